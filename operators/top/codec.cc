#include "operators/top/codec.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

RowCodec RankCodec(const Schema& schema, const TopSpec& spec) {
  std::vector<RowCodec::Field> fields;
  for (const TopSpec::Order& order : spec.order) {
    fields.push_back({order.column, schema[order.column].type, order.descending});
  }
  return RowCodec::Key(std::move(fields));
}

}  // namespace

TopCodec::TopCodec(const Node& node, const TopSpec& spec)
    : shape_(node),
      has_rank_(!spec.rank.empty()),
      group_(RowCodec::Key(node.in().schema, spec.by)),
      rank_(RankCodec(node.in().schema, spec)),
      row_(RowCodec::Rows(node.in().schema)),
      key_(RowCodec::Key(node.in().schema, spec.input_key)) {}

absl::Status TopCodec::Encode(const arrow::RecordBatch& batch, TopKeys* out) const {
  TM_RETURN_IF_ERROR(group_.Encode(batch, &out->groups));
  TM_RETURN_IF_ERROR(rank_.Encode(batch, &out->ranks));
  TM_RETURN_IF_ERROR(row_.Encode(batch, &out->rows));
  return key_.Encode(batch, &out->keys);
}

absl::StatusOr<Batch> TopCodec::DecodeInput(const std::vector<std::string_view>& rows) const {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(row_.Decode(rows, &columns));
  arrow::FieldVector fields;
  for (const Column& column : shape_.input.columns()) {
    fields.push_back(arrow::field(column.name, ArrowType(column.type), column.nullable));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), static_cast<int64_t>(rows.size()),
                                  std::move(columns));
}

absl::Status TopCodec::Load(absl::Span<const std::string_view> records, std::vector<int64_t>* times,
                            TopKeys* out) const {
  std::vector<std::string_view> rows;
  times->resize(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].size() < sizeof(int64_t)) return absl::DataLossError("a row of top in the state can't be read");
    std::memcpy(&(*times)[i], records[i].data(), sizeof(int64_t));
    rows.push_back(records[i].substr(sizeof(int64_t)));
  }
  TM_ASSIGN_OR_RETURN(const Batch batch, DecodeInput(rows));
  return Encode(*batch, out);
}

absl::StatusOr<Batch> TopCodec::Ranked(const std::vector<std::string_view>& rows, const std::vector<int64_t>& ranks,
                                       const HiddenValues& hidden) const {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(row_.Decode(rows, &columns));
  if (has_rank_) {
    CellWriter<int64_t> writer(static_cast<int64_t>(ranks.size()));
    for (const int64_t rank : ranks) writer.Append(rank);
    TM_ASSIGN_OR_RETURN(auto column, writer.Finish(arrow::int64()));
    columns.push_back(std::move(column));
  }
  return MakeBatch(shape_, std::move(columns), hidden);
}

std::string TopRecord(int64_t time, std::string_view row) {
  std::string record(reinterpret_cast<const char*>(&time), sizeof(time));
  record.append(row);
  return record;
}

void TopChanges::Add(Op op, const Listed& row, size_t position) {
  rows_.push_back(row.row);
  ranks_.push_back(static_cast<int64_t>(position) + 1);
  hidden_.times.push_back(row.time);
  hidden_.ops.push_back(static_cast<int8_t>(op));
}

void TopChanges::CompareByRank(const std::vector<Listed>& before, const std::vector<Listed>& after) {
  for (size_t r = 0; r < std::max(before.size(), after.size()); ++r) {
    if (r >= after.size()) {
      Add(Op::kDelete, before[r], r);
    } else if (r >= before.size()) {
      Add(Op::kInsert, after[r], r);
    } else if (before[r].row != after[r].row) {
      Add(Op::kUpdateBefore, before[r], r);
      Add(Op::kUpdateAfter, after[r], r);
    }
  }
}

absl::Status TopChanges::Flush() {
  if (rows_.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(Batch batch, codec_.Ranked(std::exchange(rows_, {}), std::exchange(ranks_, {}), hidden_));
  hidden_ = HiddenValues();
  ledger_.out += batch->num_rows();
  return emitter_.Emit(std::move(batch));
}

}  // namespace tidemark
