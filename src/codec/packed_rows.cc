#include "src/codec/packed_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/codec/packed_columns.h"
#include "src/codec/packed_schema.h"

namespace tidemark {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char kVersion = 2;
constexpr char kArrowVersion = 1;  // before: an Arrow IPC message for the columns
constexpr size_t kPrefix = 5;      // version, length of the header
// A header's size is left to it; none comes near.
constexpr size_t kHeaderRoom = 256;
// A record whose texts repeat much may be far smaller than its rows.
constexpr size_t kMaxUnpackedTexts = 8 << 20;
// Rows are added this way until hardly any more fit.
constexpr size_t kFewRows = 16;

void AppendPrefix(const packed::RowsHeader& header, std::string* value) {
  const uint32_t bytes = static_cast<uint32_t>(header.ByteSizeLong());
  value->push_back(kVersion);
  value->append(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
  header.AppendToString(value);
}

// Rows that were under way when the worker that reads them got a new version. At an address that Arrow's kernels like,
// in memory that the batch keeps alive.
absl::StatusOr<Batch> ReadArrowMessage(std::string_view message, const std::shared_ptr<arrow::Schema>& schema) {
  TM_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> copy,
                      FromArrow(arrow::AllocateBuffer(static_cast<int64_t>(message.size())), "unpacking rows"));
  std::memcpy(copy->mutable_data(), message.data(), message.size());
  arrow::io::BufferReader reader(std::move(copy));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  arrow::ipc::DictionaryMemo dictionaries;
  arrow::Result<Batch> rows = arrow::ipc::ReadRecordBatch(schema, &dictionaries, options, &reader);
  if (!rows.ok()) return absl::DataLossError(absl::StrCat("packed rows: ", rows.status().message()));
  if (const arrow::Status status = (*rows)->Validate(); !status.ok()) {
    return absl::DataLossError(absl::StrCat("packed rows: ", status.message()));
  }
  return *std::move(rows);
}

absl::StatusOr<Batch> ReadColumns(std::string_view bytes, int64_t rows, const std::shared_ptr<arrow::Schema>& schema) {
  if (rows > kMaxPackedRows) return absl::DataLossError(absl::StrCat("packed rows: ", rows, " in one record"));
  arrow::ArrayVector columns;
  columns.reserve(static_cast<size_t>(schema->num_fields()));
  for (const auto& field : schema->fields()) {
    TM_ASSIGN_OR_RETURN(auto column, UnpackColumn(field->type(), rows, &bytes));
    columns.push_back(std::move(column));
  }
  if (!bytes.empty()) return absl::DataLossError("packed rows: bytes behind the last column");
  return arrow::RecordBatch::Make(schema, rows, std::move(columns));
}

}  // namespace

RowsPacker::RowsPacker(std::shared_ptr<arrow::Schema> schema)
    : schema_(std::move(schema)),
      schema_hash_(SchemaHash(*schema_)),
      room_(kMaxPackedRow - kHeaderRoom - PackSchema(*schema_).ByteSizeLong()) {
  for (int c = 0; c < schema_->num_fields(); ++c) {
    columns_.emplace_back(*schema_->field(c)->type());
    cells_bytes_ += columns_.back().cell_bytes();
    if (columns_.back().holds_texts()) texts_.push_back(c);
  }
}

std::vector<std::pair<int64_t, size_t>> RowsPacker::TooLarge(const arrow::RecordBatch& batch) const {
  std::vector<std::pair<int64_t, size_t>> large;
  if (batch.num_rows() == 0) return large;
  std::vector<const int32_t*> ends;
  size_t all = cells_bytes_;
  for (const int c : texts_) {
    ends.push_back(batch.column_data(c)->GetValues<int32_t>(1));
    all += static_cast<size_t>(ends.back()[batch.num_rows()] - ends.back()[0]);
  }
  if (all <= room_) return large;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    size_t bytes = cells_bytes_;
    for (const int32_t* const end : ends) bytes += static_cast<size_t>(end[row + 1] - end[row]);
    if (bytes > room_) large.emplace_back(row, bytes);
  }
  return large;
}

// The first of `rows` that the record under way has room for whatever is in them; 0: too few to go on with it.
absl::StatusOr<size_t> RowsPacker::RowsThatFit(const arrow::RecordBatch& batch, absl::Span<const int32_t> rows) {
  size_t bytes = kHeaderRoom;
  for (const ColumnPacker& column : columns_) bytes += column.bytes();
  const size_t most = std::min(rows.size(), static_cast<size_t>(kMaxPackedRows - rows_));
  text_bytes_.assign(most, 0);
  for (const int c : texts_) {
    const auto* const ends = batch.column_data(c)->GetValues<int32_t>(1);
    for (size_t i = 0; i < most; ++i) text_bytes_[i] += static_cast<size_t>(ends[rows[i] + 1] - ends[rows[i]]);
  }
  if (rows_ == 0 && text_bytes_[0] + cells_bytes_ > room_) {
    return absl::InvalidArgumentError(absl::StrCat("a row of ", text_bytes_[0] + cells_bytes_,
                                                   " bytes is larger than an internal topic carries (", kMaxPackedRow,
                                                   ")"));
  }
  size_t fit = 0;
  size_t unpacked = unpacked_;
  for (; fit < most; ++fit) {
    bytes += cells_bytes_ + text_bytes_[fit];
    unpacked += text_bytes_[fit];
    if (bytes >= kPackedTargetBytes || unpacked > kMaxUnpackedTexts) break;
    unpacked_ = unpacked;
  }
  if (rows_ == 0 && fit == 0) unpacked_ += text_bytes_[fit++];  // larger than any record should be
  return rows_ > 0 && fit < std::min(rows.size(), kFewRows) ? 0 : fit;
}

absl::Status RowsPacker::Append(const arrow::RecordBatch& batch, absl::Span<const int32_t> rows) {
  while (!rows.empty()) {
    TM_ASSIGN_OR_RETURN(const size_t fit, RowsThatFit(batch, rows));
    for (size_t c = 0; fit > 0 && c < columns_.size(); ++c) {
      columns_[c].Append(*batch.column_data(static_cast<int>(c)), rows.first(fit));
    }
    rows_ += static_cast<int64_t>(fit);
    rows.remove_prefix(fit);
    if (fit == 0) CloseRecord();
  }
  return absl::OkStatus();
}

void RowsPacker::CloseRecord() {
  if (rows_ == 0) return;
  Record record{rows_, {}};
  for (ColumnPacker& column : columns_) column.Finish(&record.columns);
  records_.push_back(std::move(record));
  rows_ = 0;
  unpacked_ = 0;
}

void RowsPacker::Finish(packed::RowsHeader header, std::vector<std::string>* out) {
  CloseRecord();
  if (records_.empty()) records_.emplace_back();
  for (size_t part = 0; part < records_.size(); ++part) {
    header.set_part(static_cast<uint32_t>(part));
    if (part > 0) {
      header.clear_schema();
      if (header.sequence() > 0) header.set_sequence(header.sequence() + 1);
    }
    header.set_last(part + 1 == records_.size());
    header.set_rows(static_cast<uint32_t>(records_[part].rows));
    header.set_schema_hash(records_[part].rows > 0 ? schema_hash_ : 0);
    std::string value;
    value.reserve(kPrefix + header.ByteSizeLong() + records_[part].columns.size());
    AppendPrefix(header, &value);
    value.append(records_[part].columns);
    out->push_back(std::move(value));
  }
  records_.clear();
}

absl::StatusOr<PackedRecord> OpenRecord(std::string_view value) {
  if (value.size() < kPrefix || (value[0] != kVersion && value[0] != kArrowVersion)) {
    return absl::DataLossError("not a record of packed rows");
  }
  PackedRecord record;
  record.arrow_message = value[0] == kArrowVersion;
  uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, value.data() + 1, sizeof(header_bytes));
  value.remove_prefix(kPrefix);
  if (header_bytes > value.size() || !record.header.ParseFromArray(value.data(), static_cast<int>(header_bytes))) {
    return absl::DataLossError("packed rows: the header is damaged");
  }
  TM_RETURN_IF_ERROR(CheckKeptFormat(record.header.needs_format(), "a record of packed rows"));
  value.remove_prefix(header_bytes);
  if (record.header.rows() == 0 && !value.empty()) {
    return absl::DataLossError("packed rows: rows behind a header that says there are none");
  }
  record.columns = value;
  return record;
}

absl::StatusOr<Batch> UnpackColumns(const PackedRecord& record, const packed::RowsHeader& header,
                                    const std::shared_ptr<arrow::Schema>& schema) {
  TM_ASSIGN_OR_RETURN(Batch rows, record.arrow_message ? ReadArrowMessage(record.columns, schema)
                                                       : ReadColumns(record.columns, header.rows(), schema));
  if (rows->num_rows() != header.rows()) {
    return absl::DataLossError(
        absl::StrCat("packed rows: ", rows->num_rows(), " rows, the header says ", header.rows()));
  }
  return rows;
}

// A counting sort.
void SplitByTarget(const std::vector<int32_t>& targets, int32_t count, RowsByTarget* out) {
  out->begins.assign(static_cast<size_t>(count) + 1, 0);
  for (const int32_t target : targets) ++out->begins[static_cast<size_t>(target) + 1];
  for (size_t t = 1; t < out->begins.size(); ++t) out->begins[t] += out->begins[t - 1];
  std::vector<size_t> next(out->begins.begin(), out->begins.end() - 1);
  out->rows.resize(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    out->rows[next[static_cast<size_t>(targets[i])]++] = static_cast<int32_t>(i);
  }
}

}  // namespace tidemark
