#include "operators/alert/rows.h"

#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

std::string_view NameOf(AlertState state) {
  switch (state) {
    case AlertState::kRaised:
      return "raised";
    case AlertState::kReminded:
      return "reminded";
    case AlertState::kCleared:
      return "cleared";
    case AlertState::kForgotten:
      return "forgotten";
  }
  __builtin_unreachable();
}

// A column of one value a row, as `value` says by position.
template <typename T, typename F>
absl::Status AppendColumn(const Type& type, size_t rows, F&& value, arrow::ArrayVector* columns) {
  CellWriter<T> writer(static_cast<int64_t>(rows));
  if constexpr (std::is_same_v<T, std::string_view>) {
    size_t bytes = 0;
    for (size_t i = 0; i < rows; ++i) bytes += value(i).size();
    writer.ReserveText(static_cast<int64_t>(bytes));
  }
  for (size_t i = 0; i < rows; ++i) writer.Append(value(i));
  TM_ASSIGN_OR_RETURN(auto column, writer.Finish(ArrowType(type)));
  columns->push_back(std::move(column));
  return absl::OkStatus();
}

}  // namespace

void AlertRows::Add(const Watch& watch, WatchKind kind, AlertState state, int64_t time) {
  rows_.push_back(watch.row);
  said_.push_back({state, kind, watch.start});
  times_.push_back(time);
}

// The columns behind the input's, in the order of the check (check.cc).
absl::Status AlertRows::AppendMade(arrow::ArrayVector* columns) const {
  const size_t n = rows_.size(), first = shape_.input.size();
  const auto type = [&](size_t made) -> const Type& { return shape_.output[first + made].type; };
  TM_RETURN_IF_ERROR(
      AppendColumn<std::string_view>(type(0), n, [&](size_t i) { return NameOf(said_[i].state); }, columns));
  TM_RETURN_IF_ERROR(AppendColumn<std::string_view>(
      type(1), n, [&](size_t i) -> std::string_view { return said_[i].kind == kCondition ? "condition" : "absent"; },
      columns));
  TM_RETURN_IF_ERROR(AppendColumn<int64_t>(type(2), n, [&](size_t i) { return said_[i].start; }, columns));
  TM_RETURN_IF_ERROR(AppendColumn<int64_t>(type(3), n, [&](size_t i) { return times_[i]; }, columns));
  TM_RETURN_IF_ERROR(AppendColumn<double>(
      type(4), n,
      [&](size_t i) { return static_cast<double>(times_[i] - said_[i].start) / static_cast<double>(kSecond); },
      columns));
  if (!severity_) return absl::OkStatus();
  return AppendColumn<std::string_view>(type(5), n, [&](size_t) -> std::string_view { return *severity_; }, columns);
}

absl::Status AlertRows::Flush(StepLedger* ledger, Emitter& emitter) {
  if (rows_.empty()) return absl::OkStatus();
  arrow::ArrayVector columns;
  TM_RETURN_IF_ERROR(codec_.Decode({rows_.begin(), rows_.end()}, &columns));
  TM_RETURN_IF_ERROR(AppendMade(&columns));
  ledger->out += static_cast<int64_t>(rows_.size());
  HiddenValues hidden;
  hidden.times = std::exchange(times_, {});
  Batch batch = MakeBatch(shape_, std::move(columns), hidden);
  rows_.clear();
  said_.clear();
  return emitter.Emit(std::move(batch));
}

}  // namespace tidemark
