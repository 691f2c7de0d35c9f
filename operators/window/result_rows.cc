#include "operators/window/result_rows.h"

#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {

namespace {

ResultRows::Rows Piece(const ResultRows::Rows& rows, size_t begin, size_t end) {
  const auto part = [&](const auto& all) {
    using Values = std::decay_t<decltype(all)>;
    return all.empty() ? Values()
                       : Values(all.begin() + static_cast<int64_t>(begin), all.begin() + static_cast<int64_t>(end));
  };
  return {rows.slots.subspan(begin, end - begin), part(rows.starts), part(rows.ends), part(rows.times), part(rows.ops)};
}

}  // namespace

absl::Status ResultRows::Emit(Rows rows, StepLedger* ledger, Emitter& emitter) const {
  if (groups_.OutsideBytes() <= kPieceBytes) return EmitPiece(std::move(rows), ledger, emitter);
  size_t begin = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < rows.slots.size(); ++i) {
    const bool of_a_pair = !rows.ops.empty() && rows.ops[i] == static_cast<int8_t>(Op::kUpdateAfter);
    if (bytes > kPieceBytes && !of_a_pair) {
      TM_RETURN_IF_ERROR(EmitPiece(Piece(rows, std::exchange(begin, i), i), ledger, emitter));
      bytes = 0;
    }
    bytes += groups_.OutsideBytes(rows.slots[i]);
  }
  return EmitPiece(Piece(rows, begin, rows.slots.size()), ledger, emitter);
}

absl::Status ResultRows::EmitPiece(Rows rows, StepLedger* ledger, Emitter& emitter) const {
  if (rows.slots.empty()) return absl::OkStatus();
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(groups_.Keys(rows.slots, &columns));
  for (const std::vector<int64_t>* times : {&rows.starts, &rows.ends}) {
    if (times->empty()) continue;
    CellWriter<int64_t> column(static_cast<int64_t>(times->size()));
    for (const int64_t time : *times) column.Append(time);
    TM_ASSIGN_OR_RETURN(auto array, column.Finish(ArrowType({.kind = Kind::kTimestamp})));
    columns.push_back(std::move(array));
  }
  std::vector<std::vector<ResultError>> errors(groups_.accumulators().size());
  bool failed = false;
  for (size_t a = 0; a < errors.size(); ++a) {
    TM_RETURN_IF_ERROR(groups_.accumulators()[a]->Result(rows.slots, &columns, &errors[a]));
    failed |= !errors[a].empty();
  }
  HiddenValues hidden;
  hidden.times = std::move(rows.times);
  hidden.ops = rows.ops;
  Batch results = MakeBatch(shape_, std::move(columns), hidden);
  if (failed) {
    std::vector<uint8_t> keep(rows.slots.size(), 1);
    TM_RETURN_IF_ERROR(ReportErrors(results, rows.ops, errors, &keep, emitter));
    results = Selection(keep, rows.ops.empty() ? nullptr : rows.ops.data()).Apply(results);
  }
  ledger->out += results->num_rows();
  if (results->num_rows() == 0) return absl::OkStatus();
  return emitter.Emit(std::move(results));
}

// A row before that has no result was never emitted: nothing to report.
absl::Status ResultRows::ReportErrors(const Batch& results, const std::vector<int8_t>& ops,
                                      const std::vector<std::vector<ResultError>>& errors, std::vector<uint8_t>* keep,
                                      Emitter& emitter) const {
  for (size_t a = 0; a < errors.size(); ++a) {
    for (const ResultError& error : errors[a]) {
      if (!std::exchange((*keep)[error.position], 0)) continue;
      if (IsRetraction(ops.empty() ? nullptr : ops.data(), static_cast<int64_t>(error.position))) continue;
      TM_RETURN_IF_ERROR(emitter.DeadLetter({results, static_cast<int64_t>(error.position), &shape_.output,
                                             spec_.aggregates[a].expression, error.reason}));
    }
  }
  return absl::OkStatus();
}

}  // namespace tidemark
