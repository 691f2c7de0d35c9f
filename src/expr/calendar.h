// Dates and times of the proleptic Gregorian calendar in UTC, their ISO text, and intervals. Days and microseconds
// count from 1970-01-01; year 0 is 1 BC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::internal {

constexpr int64_t kUsPerSecond = 1'000'000;
constexpr int64_t kUsPerDay = 86'400 * kUsPerSecond;

// PostgreSQL's first day, 4714-11-24 BC, and the day behind its last date. Timestamps end where 64 bits do.
constexpr int64_t kFirstDay = -2'440'588;
constexpr int64_t kDaysEnd = 2'145'042'906;

struct CivilDay {
  int64_t year = 1970;
  int month = 1, day = 1;
};

CivilDay ToCivil(int64_t days);
int64_t FromCivil(CivilDay day);
int DaysInMonth(int64_t year, int month);

constexpr int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }
constexpr int64_t FloorMod(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

// Monday is 1, Sunday 7.
inline int IsoWeekday(int64_t days) { return static_cast<int>(FloorMod(days + 3, 7)) + 1; }
// The Monday of the week.
inline int64_t WeekStart(int64_t days) { return days - FloorMod(days + 3, 7); }
// ISO 8601: the year that the week of this day belongs to, and the week's number in it.
int64_t IsoYear(int64_t days);
int IsoWeek(int64_t days);

enum class TimeError { kSyntax, kRange, kZone };

// "2026-01-31", "2026-01-31 12:00:00.5+02", with T or a blank between and Z or a numeric zone behind; without a zone
// UTC. Digits of a second behind the sixth are dropped; second 60 is the first of the next minute.
std::optional<int64_t> ParseTimestamp(std::string_view text, TimeError* error);
// The same texts; a time behind the date is checked and dropped.
std::optional<int32_t> ParseDate(std::string_view text, TimeError* error);
// As PostgreSQL writes them with DateStyle ISO and TimeZone UTC.
void AppendDate(int64_t days, std::string* out);
void AppendTimestamp(int64_t us, std::string* out);

struct Interval {
  int64_t months = 0;
  int64_t us = 0;
};
// "1 year 2 months -3 days 04:05:06", "90 minutes", "1.5 hours".
std::optional<Interval> ParseInterval(std::string_view text);
// Months first, the day clamped to the month's end; nothing beyond the range of time.
std::optional<int64_t> AddInterval(int64_t us, Interval interval);

enum class TruncUnit {
  kMicroseconds,
  kMilliseconds,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  kDecade,
  kCentury,
  kMillennium
};
// By its name in the singular ("day"), but "microseconds" and "milliseconds".
std::optional<TruncUnit> FindTruncUnit(std::string_view name);
// `us` cut down to the start of its unit; nothing where that is beyond the range of time.
std::optional<int64_t> Truncate(TruncUnit unit, int64_t us);

}  // namespace tidemark::internal
