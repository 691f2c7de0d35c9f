#include "src/codec/row_encoder.h"

#include <numeric>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/murmur2.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<RowEncoder>> RowEncoder::Make(const RowEncoderOptions& options, const Formats& formats) {
  std::vector<size_t> columns = options.value;
  if (columns.empty()) {
    columns.resize(options.schema.size());
    std::iota(columns.begin(), columns.end(), size_t{0});
  }
  TM_ASSIGN_OR_RETURN(auto keys, formats.MakeKeyWriter(options.key_format, options.schema, options.key));
  TM_ASSIGN_OR_RETURN(auto values, formats.MakeWriter(options.format, options.schema, columns));
  return std::unique_ptr<RowEncoder>(new RowEncoder(options, std::move(keys), std::move(values)));
}

RowEncoderOptions EncoderOptions(const Schema& schema, const KafkaSinkSpec& spec) {
  return {schema, spec.key, spec.key_format, spec.upsert, spec.format, spec.value};
}

RowEncoder::RowEncoder(const RowEncoderOptions& options, std::unique_ptr<KeyWriter> keys,
                       std::unique_ptr<ValueWriter> values)
    : options_(options), key_writer_(std::move(keys)), value_writer_(std::move(values)) {}

absl::Status RowEncoder::Encode(const arrow::RecordBatch& rows, int32_t partition_count, int32_t fallback_partition,
                                EncodedRecords* out) {
  if (static_cast<size_t>(rows.num_columns()) < options_.schema.size()) {
    return absl::InternalError(absl::StrCat("encoding: a batch of ", rows.num_columns(), " columns, expected at least ",
                                            options_.schema.size()));
  }
  const std::vector<ColumnView> columns = ViewColumns(options_.schema, rows);
  TextBuffer text(&out->arena);
  TM_RETURN_IF_ERROR(key_writer_->Write(columns, rows.num_rows(), &text, &keys_));
  const int8_t* const ops = options_.upsert ? HiddenOps(rows) : nullptr;
  if (ops != nullptr) {
    Choose(ops, rows.num_rows(), text);
  } else {
    ChooseAll(rows.num_rows());
  }
  values_begin_ = text.size();
  TM_RETURN_IF_ERROR(value_writer_->Write(columns, valued_, &text, &ends_));
  if (ends_.size() != valued_.size()) return absl::InternalError("encoding: a value is missing");
  MakeRecords(partition_count, fallback_partition, out);
  return absl::OkStatus();
}

void RowEncoder::ChooseAll(int64_t rows) {
  chosen_.clear();
  valued_.resize(static_cast<size_t>(rows));
  std::iota(valued_.begin(), valued_.end(), 0);
}

void RowEncoder::Choose(const int8_t* ops, int64_t rows, const TextBuffer& text) {
  const auto key = [&](int64_t row) {
    return text.View(row == 0 ? 0 : keys_[static_cast<size_t>(row - 1)].end, keys_[static_cast<size_t>(row)].end);
  };
  chosen_.clear();
  valued_.clear();
  for (int64_t row = 0; row < rows; ++row) {
    const Op op = static_cast<Op>(ops[row]);
    // The row before an update is buried, unless the row after it stands under the same key. (A pair that was cut
    // between two batches makes a tombstone too many, which the row after it follows.)
    const bool pair = op == Op::kUpdateAfter && row > 0 && static_cast<Op>(ops[row - 1]) == Op::kUpdateBefore;
    if (pair && key(row) == key(row - 1)) chosen_.pop_back();
    const bool has_value = op == Op::kInsert || op == Op::kUpdateAfter;
    chosen_.push_back({static_cast<int32_t>(row), has_value});
    if (has_value) valued_.push_back(static_cast<int32_t>(row));
  }
}

void RowEncoder::MakeRecords(int32_t partition_count, int32_t fallback_partition, EncodedRecords* out) const {
  const std::string_view arena = out->arena;
  const bool all = chosen_.empty();
  out->records.resize(all ? valued_.size() : chosen_.size());
  size_t begin = values_begin_, value = 0;
  for (size_t i = 0; i < out->records.size(); ++i) {
    const size_t row = all ? i : static_cast<size_t>(chosen_[i].row);
    const size_t key_begin = row == 0 ? 0 : keys_[row - 1].end;
    OutRecord& record = out->records[i];
    record = OutRecord();
    record.partition = fallback_partition;
    if (keys_[row].present) {
      record.key = arena.substr(key_begin, keys_[row].end - key_begin);
      // Results of a window come sorted, so a key often is the one before it.
      const bool again = i > 0 && record.key == out->records[i - 1].key;
      record.partition = again ? out->records[i - 1].partition : JavaPartition(*record.key, partition_count);
    }
    if (all || chosen_[i].has_value) {
      record.value = arena.substr(begin, ends_[value] - begin);
      begin = ends_[value++];
    }
  }
}

}  // namespace tidemark
