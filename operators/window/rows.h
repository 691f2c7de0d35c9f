// Rows into the windows they belong to: the input side of an aggregation over rows (phases single and partial). Decides
// what is late, evaluates the aggregates' arguments and keeps the ledger's lines of the rows. Touched only by the
// stream thread.
//
// The windows of a day so far (cumulative) that a row lies in end one after the other, and each goes on with what the
// ones before it have: so a row is added to one of them only, the first that takes it, and is one pair. It is late
// where none does.
//
// A row is late for a window iff window_end + grace <= the row's own watermark; with sessions it is late iff its time +
// grace lies before it (open_sessions.h says why). A row that at least one of its windows takes is absorbed; a row that
// all of them refuse is late. The `late` topic gets every row that is late for at least one window, once. A row on
// which an argument's expression or a FILTER fails goes to the dead letters and into no window; of rows that a FILTER
// leaves out, the argument isn't looked at.
//
// What takes a row back has the hidden columns of that row, its time and its own watermark among them. So it belongs to
// the same windows and is late for the same ones: both are taken by a window or neither is. And it comes before the
// watermark that closes these windows at the operator, because the steps whose rows may go into windows hold time back
// until they have taken back what they will (the planner refuses others); what comes behind that all the same, from a
// partition that was idle, finds the window closed and its results given, and counts as late_after_idle.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/window/calendar_windows.h"
#include "operators/window/clock.h"
#include "operators/window/group_set.h"
#include "operators/window/spec.h"
#include "src/expr/expression.h"

namespace tidemark {

class WindowRows {
 public:
  // InvalidArgument where an aggregate doesn't compile.
  static absl::StatusOr<WindowRows> Make(const WindowSpec& spec);

  const std::vector<Aggregate>& aggregates() const { return aggregates_; }

  // The (row, window) pairs of a batch that are neither late nor refused, rows ascending, and where windows share panes
  // one pair a row for all of them, which has their number (panes.h) for its start. Windows at or before
  // `closed_until` (closed at the operator, see WindowClosed) count as late_after_idle. Evaluates the arguments. Of a
  // session it is the pair of a row that isn't late with itself: its start is the row's time.
  absl::Status Pair(const Batch& batch, EventTime closed_until, StepLedger* ledger, Emitter& emitter,
                    WindowPairs* pairs);
  // One row of the last batch at a time, as Add does it.
  struct Columns {
    const int64_t* times;
    OrderColumns order;
    const int8_t* ops;
  };
  Columns ColumnsOf(const arrow::RecordBatch& batch) const;
  absl::Status AddOne(const Columns& columns, int32_t row, uint32_t slot, GroupSet* groups) const;
  // How many of the pairs take rows back.
  int64_t Retractions(const arrow::RecordBatch& batch, const WindowPairs& pairs) const;
  // Adds the pairs of the last batch to their groups, or takes them back.
  absl::Status Add(const Batch& batch, const WindowPairs& pairs, GroupSet* groups) const;
  // The same, but for the groups' numbers of rows and times.
  absl::Status AddValues(const arrow::RecordBatch& batch, const WindowPairs& pairs, GroupSet* groups) const;

 private:
  WindowRows(const WindowSpec& spec, std::vector<Aggregate> aggregates)
      : spec_(spec),
        windows_(FormOf(spec) == Form::kPanes ? spec.size_us / spec.every_us : 1),
        aggregates_(std::move(aggregates)) {}

  absl::Status Evaluate(const Batch& batch);
  absl::Status EvaluateFilter(const Batch& batch, size_t a);
  const WindowPairs& Counted(size_t a, const WindowPairs& pairs, WindowPairs* some) const;
  const int8_t* Ops(const arrow::RecordBatch& batch) const { return spec_.input_updates ? HiddenOps(batch) : nullptr; }
  struct Taken {
    int64_t taken = 0, late = 0, after_idle = 0;
    bool passed_over = false;  // a cumulative window that it lies in had closed before it was taken by a later one
  };
  enum class Form { kLength, kPanes, kCalendar, kCumulative, kSession, kAllTime };
  static Form FormOf(const WindowSpec& spec);
  Taken PairRow(int32_t row, int64_t time, EventTime watermark, EventTime closed_until, WindowPairs* pairs) const;
  Taken PairPane(int32_t row, int64_t time, EventTime watermark, EventTime closed_until, WindowPairs* pairs) const;
  Taken PairCalendar(int32_t row, int64_t time, EventTime watermark, EventTime closed_until, WindowPairs* pairs);
  Taken PairCumulative(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                       WindowPairs* pairs) const;
  Taken PairSession(int32_t row, int64_t time, EventTime watermark, EventTime closed_until, WindowPairs* pairs) const;

  WindowSpec spec_;
  int64_t windows_;                 // that a row lies in, where they share panes
  CalendarWindows::Bounds bounds_;  // of the calendar: where the last row lay
  std::vector<Aggregate> aggregates_;
  std::vector<std::shared_ptr<arrow::Array>> arguments_;  // of the last batch, by aggregate
  std::vector<std::vector<uint8_t>> counted_;             // likewise, by row: FILTER lets it count; empty: no FILTER
  std::vector<std::vector<RowError>> errors_;             // of the last batch, by aggregate
};

// The start of the newest window that has begun at a time.
inline EventTime NewestStart(const WindowSpec& spec, EventTime time) {
  return FloorTo(time - spec.offset_us, spec.every_us) + spec.offset_us;
}
// The end of the window that starts there, and whether it takes no more rows at a watermark.
inline EventTime WindowEnd(const WindowSpec& spec, int64_t start_us) {
  return spec.calendar ? EventTime{spec.calendar->EndOf(start_us)} : EventTime{start_us} + spec.size_us;
}
inline bool WindowClosed(const WindowSpec& spec, int64_t start_us, EventTime watermark) {
  return spec.size_us > 0 && WindowEnd(spec, start_us) + spec.grace_us <= watermark;
}
// Whether nothing of it is kept any more: then its rows are deleted, where they replace each other and `keep` says so.
inline bool WindowOver(const WindowSpec& spec, int64_t start_us, const WindowClock& clock) {
  return WindowClosed(spec, start_us, clock.judging()) && WindowEnd(spec, start_us) + spec.keep_us <= clock.time();
}
// The end of the first window that ends behind a time.
inline EventTime NextEnd(const WindowSpec& spec, EventTime time) {
  if (spec.calendar) return EventTime{spec.calendar->At(time.us).end};
  return NewestStart(spec, time - spec.size_us) + spec.every_us + spec.size_us;
}
// Where a window starts as its results say.
inline int64_t ShownStart(const WindowSpec& spec, int64_t start_us) {
  if (spec.cumulative_us == 0) return start_us;
  return (FloorTo(EventTime{start_us} - spec.offset_us, spec.cumulative_us) + spec.offset_us).us;
}
// Of the cumulative windows that start where this one does, the last.
inline int64_t LastOfCycle(const WindowSpec& spec, int64_t start_us) {
  return ShownStart(spec, start_us) + spec.cumulative_us - spec.every_us;
}
// Of this one and those behind it the first that takes rows at a watermark; where none does, the last.
inline int64_t FirstOpen(const WindowSpec& spec, int64_t start_us, EventTime watermark) {
  if (!WindowClosed(spec, start_us, watermark)) return start_us;
  return std::min(NewestStart(spec, watermark - spec.grace_us).us, LastOfCycle(spec, start_us));
}
// The event time of a window's results.
inline EventTime ResultTime(const WindowSpec& spec, int64_t start_us) {
  return WindowEnd(spec, start_us) - kMillisecond;
}

}  // namespace tidemark
