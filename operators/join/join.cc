#include "operators/join/join.h"

#include <arrow/record_batch.h>

#include "operators/join/table_snapshot.h"
#include "src/base/status.h"

namespace tidemark {

JoinOperator::JoinOperator(const Node& node, const JoinSpec& spec) : shape_(node), spec_(spec) {
  for (const auto& [stream, table] : spec.on) stream_columns_.push_back(stream);
}

absl::Status JoinOperator::Open(const OperatorContext& context) {
  context_ = context;
  return absl::OkStatus();
}

absl::Status JoinOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  StepLedger& ledger = *context_.ledger;
  ledger.in += n;
  const std::shared_ptr<const TableSnapshot> table = context_.table(context_.table_owner, spec_.table);
  if (table == nullptr)
    return absl::InternalError(absl::StrCat("step ", shape_.name, ": table ", spec_.table, " isn't loaded"));
  TM_RETURN_IF_ERROR(table->Lookup(*batch, stream_columns_, &matches_));
  int64_t unmatched = 0;
  for (const int32_t match : matches_) unmatched += match < 0;
  if (unmatched > 0) TM_RETURN_IF_ERROR(EmitUnmatched(batch, matches_, emitter));

  Batch stream = shape_.PassThrough(batch);
  if (!spec_.left && unmatched > 0) {
    ledger.unmatched += unmatched;
    std::vector<uint8_t> keep(n);
    for (int64_t i = 0; i < n; ++i) keep[i] = matches_[i] >= 0;
    stream = Selection(keep, HiddenOps(*batch)).Apply(stream);
    std::erase_if(matches_, [](int32_t match) { return match < 0; });
  }
  ledger.passed += stream->num_rows();
  ledger.out += stream->num_rows();
  if (stream->num_rows() == 0) return absl::OkStatus();

  std::vector<std::shared_ptr<arrow::Array>> columns;
  const auto passed = static_cast<int>(shape_.passed.size());
  for (int c = 0; c < passed; ++c) columns.push_back(stream->column(c));
  for (const size_t c : spec_.columns) {
    TM_ASSIGN_OR_RETURN(auto column, TakeCells(*table->rows()->column_data(static_cast<int>(c)), matches_));
    columns.push_back(std::move(column));
  }
  for (int c = passed; c < stream->num_columns(); ++c) columns.push_back(stream->column(c));
  return emitter.Emit(arrow::RecordBatch::Make(shape_.batch_schema, stream->num_rows(), std::move(columns)));
}

// Retractions don't go to the topic: it gets the rows that came, once.
absl::Status JoinOperator::EmitUnmatched(const Batch& batch, const std::vector<int32_t>& matches, Emitter& emitter) {
  if (!spec_.unmatched_topic) return absl::OkStatus();
  const int8_t* ops = HiddenOps(*batch);
  std::vector<int32_t> rows;
  for (size_t i = 0; i < matches.size(); ++i) {
    if (matches[i] < 0 && !IsRetraction(ops, static_cast<int64_t>(i))) rows.push_back(static_cast<int32_t>(i));
  }
  if (rows.empty()) return absl::OkStatus();
  return emitter.EmitSide("unmatched", TakeRows(batch, rows));
}

}  // namespace tidemark
