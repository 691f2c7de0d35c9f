#include "operators/window/calendar_windows.h"

#include "src/base/time.h"
#include "src/expr/calendar.h"

namespace tidemark {

using internal::kUsPerDay;

// Days of the longest window of a unit. So many days behind the first day of one lies the next one.
static int64_t MostDays(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::kDay:
      return 1;
    case CalendarUnit::kWeek:
      return 7;
    case CalendarUnit::kMonth:
      return 31;
    case CalendarUnit::kQuarter:
      return 92;
    case CalendarUnit::kYear:
      return 366;
  }
  __builtin_unreachable();
}

// Clocks change by a day at the most.
int64_t CalendarWindows::LongestUs(CalendarUnit unit) { return (MostDays(unit) + 1) * kUsPerDay; }

int64_t CalendarWindows::ShortestUs(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::kDay:
    case CalendarUnit::kWeek:
      return MostDays(unit) * kUsPerDay;
    case CalendarUnit::kMonth:
      return 28 * kUsPerDay;
    case CalendarUnit::kQuarter:
      return 90 * kUsPerDay;
    case CalendarUnit::kYear:
      return 365 * kUsPerDay;
  }
  __builtin_unreachable();
}

int64_t CalendarWindows::FirstDay(int64_t day) const {
  if (unit_ == CalendarUnit::kDay) return day;
  if (unit_ == CalendarUnit::kWeek) return internal::WeekStart(day);
  internal::CivilDay civil = internal::ToCivil(day);
  civil.day = 1;
  if (unit_ == CalendarUnit::kQuarter) civil.month -= (civil.month - 1) % 3;
  if (unit_ == CalendarUnit::kYear) civil.month = 1;
  return internal::FromCivil(civil);
}

int64_t CalendarWindows::NextFirst(int64_t first) const { return FirstDay(first + MostDays(unit_)); }

int64_t CalendarWindows::BeginOf(int64_t first) const {
  int64_t midnight = 0;
  if (__builtin_mul_overflow(first, kUsPerDay, &midnight)) return first < 0 ? kMinTime.us : kMaxTime.us;
  const EventTime local = EventTime{midnight} + offset_us_;
  return local == kMinTime || local == kMaxTime ? local.us : zone_.FirstAt(local.us);
}

// The local date says about where; a clock that was set back may show a date that is over.
CalendarWindows::Bounds CalendarWindows::At(int64_t time_us) const {
  const EventTime local = EventTime{zone_.ToLocal(time_us).value_or(time_us)} - offset_us_;
  int64_t first = FirstDay(internal::FloorDiv(local.us, kUsPerDay));
  Bounds bounds{BeginOf(first), BeginOf(NextFirst(first))};
  while (time_us >= bounds.end && bounds.end != kMaxTime.us) {
    first = NextFirst(first);
    bounds = {bounds.end, BeginOf(NextFirst(first))};
  }
  while (time_us < bounds.start && bounds.start != kMinTime.us) {
    first = FirstDay(first - 1);
    bounds = {BeginOf(first), bounds.start};
  }
  return bounds;
}

}  // namespace tidemark
