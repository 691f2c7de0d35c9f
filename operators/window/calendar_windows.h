// Windows of the calendar: days, weeks, months, quarters and years as they are in a time zone, with its changes of the
// clock. A day begins at the first point at which the clock there shows midnight or later, so it has 23 hours where
// that skips one and 25 where it shows one twice; where midnight itself is skipped it begins with the change, where the
// clock shows it twice at the first. Windows follow each other without gaps whatever clocks do. A week begins on
// Monday. `offset` moves the beginning on the local clock: days from 06:00 to 06:00.
//
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "src/expr/time_zone.h"

namespace tidemark {

enum class CalendarUnit { kDay, kWeek, kMonth, kQuarter, kYear };

class CalendarWindows {
 public:
  struct Bounds {
    int64_t start = 0, end = 0;
    bool Has(int64_t time) const { return start <= time && time < end; }
  };

  CalendarWindows(CalendarUnit unit, internal::TimeZone zone, int64_t offset_us)
      : unit_(unit), zone_(zone), offset_us_(offset_us) {}

  // Of the window that a time lies in.
  Bounds At(int64_t time_us) const;
  int64_t EndOf(int64_t start_us) const { return At(start_us).end; }

  // No window is longer, and none shorter than the other.
  static int64_t LongestUs(CalendarUnit unit);
  static int64_t ShortestUs(CalendarUnit unit);

 private:
  // Days count from 1970-01-01 on the local calendar.
  int64_t FirstDay(int64_t day) const;
  int64_t NextFirst(int64_t first) const;
  int64_t BeginOf(int64_t first) const;

  const CalendarUnit unit_;
  const internal::TimeZone zone_;
  const int64_t offset_us_;
};

}  // namespace tidemark
