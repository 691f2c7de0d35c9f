// Windowed and all-time aggregation, as the plan holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;   // src/plan/step_check.h
class CalendarWindows;  // operators/window/calendar_windows.h

struct AggregateItem {
  std::string name;
  std::string expression;  // one aggregate call, see Aggregate::Compile
  bool from_now = false;  // groups that there are may not have it: it is that of no rows there, and counts from then on
};

// Output columns: the group_by columns, window_start and window_end (timestamps, not for all-time), the aggregates.
// There are windows of a length, of the calendar, cumulative ones, sessions, and one group for all time. Inside a
// window goes by one number, its start; of cumulative ones, which have their starts in common, by that of its last
// pane: they are windows of the length of a pane then, whose groups go on into the next one.
struct WindowSpec {
  static const OperatorKind& Kind();
  using Phase = OperatorPhase;

  Phase phase = Phase::kSingle;
  int64_t size_us = 0;        // 0: sessions, or all time. Of the calendar: the longest; cumulative: of a pane
  int64_t gap_us = 0;         // > 0: sessions. Of one phase, over rows that stand
  int64_t every_us = 0;       // == size_us for tumbling
  int64_t offset_us = 0;      // windows start at multiples of every_us and this behind them
  int64_t cumulative_us = 0;  // > 0: the length of the longest. On close, over rows that stand
  std::shared_ptr<const CalendarWindows> calendar;  // immutable; null: none. With it:
  std::string calendar_unit, time_zone;
  int64_t keep_us = 0;  // > 0: on_update; so long behind a window's end its rows are deleted
  int64_t grace_us = 0;
  bool on_update = false;
  bool every_record = false;  // on_update as well, but a result for each row at once. Of one phase
  std::optional<std::string> late_topic;
  std::vector<size_t> group_by;           // positions in `rows`
  std::vector<AggregateItem> aggregates;  // those from now on behind all others
  bool input_updates = false;             // rows of the input are taken back and replaced
  Schema rows;                            // the schema of the rows aggregated: that of the input, except for kFinal
};

const OperatorSyntax& WindowSyntax();
const OperatorSyntax& GroupBySyntax();

}  // namespace tidemark
