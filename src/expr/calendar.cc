#include "src/expr/calendar.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include <absl/strings/ascii.h>
#include <absl/strings/str_format.h>

namespace tidemark::internal {
namespace {

constexpr bool IsLeap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

// Reads numbers and separators from the front of a text.
struct Scanner {
  std::string_view rest;

  bool Skip(char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  void SkipBlanks() {
    while (!rest.empty() && absl::ascii_isspace(rest.front())) rest.remove_prefix(1);
  }
  // -1 where there is no number of that many digits.
  int64_t Number(size_t least, size_t most) {
    int64_t value = 0;
    size_t n = 0;
    for (; n < rest.size() && absl::ascii_isdigit(rest[n]); ++n) {
      if (n == most) return -1;
      value = value * 10 + (rest[n] - '0');
    }
    if (n < least) return -1;
    rest.remove_prefix(n);
    return value;
  }
};

// The digits behind a point, perhaps none, in microseconds, rounded; may be a whole second.
int64_t Fraction(Scanner* in) {
  double scale = 1e5, value = 0;
  while (!in->rest.empty() && absl::ascii_isdigit(in->rest.front())) {
    value += (in->rest.front() - '0') * scale;
    scale /= 10;
    in->rest.remove_prefix(1);
  }
  return std::llrint(value);
}

// The same, cut behind the sixth, so that no time moves into the next window: the rule of sources (base/value_text.h).
int64_t FractionOfSecond(Scanner* in) {
  int64_t us = 0, unit = 100'000;
  for (; !in->rest.empty() && absl::ascii_isdigit(in->rest.front()); unit /= 10) {
    us += (in->rest.front() - '0') * unit;
    in->rest.remove_prefix(1);
  }
  return us;
}

// "hh:mm[:ss[.f]]", at most 24:00:00; a leap second is the first second of the next minute.
std::optional<int64_t> TimeOfDay(Scanner* in, TimeError* error) {
  int64_t hour = in->Number(1, 2), minute = -1, second = 0, fraction = 0;
  if (hour < 0 || !in->Skip(':') || (minute = in->Number(2, 2)) < 0) return std::nullopt;
  if (in->Skip(':')) {
    if ((second = in->Number(2, 2)) < 0) return std::nullopt;
    if (in->Skip('.')) fraction = FractionOfSecond(in);
  }
  int64_t us = ((hour * 60 + minute) * 60 + second) * kUsPerSecond + fraction;
  const bool leap_second_of_day = hour == 23 && minute == 59 && second == 60;
  if (minute > 59 || second > 60 || (us > kUsPerDay && !leap_second_of_day)) {
    *error = TimeError::kRange;
    return std::nullopt;
  }
  return us;
}

// "Z" or "+hh[[:]mm[[:]ss]]"; what must be subtracted from local time.
std::optional<int64_t> Zone(Scanner* in, TimeError* error) {
  if (in->Skip('Z') || in->Skip('z')) return 0;
  if (in->rest.size() >= 3 && absl::AsciiStrToUpper(absl::string_view(in->rest.data(), 3)) == "UTC") {
    in->rest.remove_prefix(3);
    return 0;
  }
  bool minus = in->Skip('-');
  if (!minus && !in->Skip('+')) return std::nullopt;
  Scanner ahead = *in;
  int64_t hours = ahead.Number(1, 2), minutes = 0, seconds = 0;
  if (hours < 0) {  // without colons: +hhmm
    int64_t both = in->Number(4, 4);
    if (both < 0) return std::nullopt;
    hours = both / 100;
    minutes = both % 100;
  } else {
    *in = ahead;
    if (in->Skip(':') && (minutes = in->Number(2, 2)) < 0) return std::nullopt;
    if (in->Skip(':') && (seconds = in->Number(2, 2)) < 0) return std::nullopt;
  }
  if (hours > 15 || minutes > 59 || seconds > 59) {
    *error = TimeError::kZone;
    return std::nullopt;
  }
  int64_t offset = ((hours * 60 + minutes) * 60 + seconds) * kUsPerSecond;
  return minus ? -offset : offset;
}

std::optional<int64_t> DateAt(Scanner* in, TimeError* error) {
  CivilDay day;
  day.year = in->Number(4, 6);
  if (day.year < 0 || !in->Skip('-')) return std::nullopt;
  day.month = static_cast<int>(in->Number(1, 2));
  if (day.month < 0 || !in->Skip('-')) return std::nullopt;
  day.day = static_cast<int>(in->Number(1, 2));
  if (day.day < 0) return std::nullopt;
  if (day.year == 0 || day.month < 1 || day.month > 12 || day.day < 1 || day.day > DaysInMonth(day.year, day.month)) {
    *error = TimeError::kRange;
    return std::nullopt;
  }
  return FromCivil(day);
}

// The Monday of ISO week 1: the week that January 4th lies in.
int64_t IsoYearStart(int64_t year) { return WeekStart(FromCivil({year, 1, 4})); }

}  // namespace

int64_t FromCivil(CivilDay day) {
  // March-based years put the leap day last, so that months have a linear rule.
  int64_t year = day.year - (day.month <= 2);
  int64_t era = FloorDiv(year, 400);
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (day.month + (day.month > 2 ? -3 : 9)) + 2) / 5 + day.day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

CivilDay ToCivil(int64_t days) {
  days += 719'468;
  int64_t era = FloorDiv(days, 146'097);
  int64_t day_of_era = days - era * 146'097;
  int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month = (5 * day_of_year + 2) / 153;  // 0 is March
  CivilDay out;
  out.day = static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1);
  out.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  out.year = year_of_era + era * 400 + (out.month <= 2);
  return out;
}

int DaysInMonth(int64_t year, int month) {
  static constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays[static_cast<size_t>(month - 1)];
}

int64_t IsoYear(int64_t days) { return ToCivil(WeekStart(days) + 3).year; }

int IsoWeek(int64_t days) { return static_cast<int>((WeekStart(days) - IsoYearStart(IsoYear(days))) / 7) + 1; }

std::optional<int64_t> ParseTimestamp(std::string_view text, TimeError* error) {
  *error = TimeError::kSyntax;
  Scanner in{text};
  in.SkipBlanks();
  auto days = DateAt(&in, error);
  if (!days) return std::nullopt;
  int64_t us = 0, offset = 0;
  bool blank = !in.rest.empty() && absl::ascii_isspace(in.rest.front());
  if (in.Skip('T') || in.Skip('t') || blank) {
    in.SkipBlanks();
    if (!in.rest.empty() || !blank) {
      auto time = TimeOfDay(&in, error);
      if (!time) return std::nullopt;
      us = *time;
      in.SkipBlanks();
      if (!in.rest.empty()) {
        auto zone = Zone(&in, error);
        if (!zone) return std::nullopt;
        offset = *zone;
        in.SkipBlanks();
      }
    }
  }
  if (!in.rest.empty()) return std::nullopt;
  int64_t result = 0;
  if (__builtin_mul_overflow(*days, kUsPerDay, &result) || __builtin_add_overflow(result, us - offset, &result)) {
    *error = TimeError::kRange;
    return std::nullopt;
  }
  return result;
}

std::optional<int32_t> ParseDate(std::string_view text, TimeError* error) {
  *error = TimeError::kSyntax;
  Scanner in{text};
  in.SkipBlanks();
  auto days = DateAt(&in, error);
  if (!days) return std::nullopt;
  in.SkipBlanks();
  if (!in.rest.empty() && !ParseTimestamp(text, error)) return std::nullopt;
  return static_cast<int32_t>(*days);
}

void AppendDate(int64_t days, std::string* out) {
  CivilDay day = ToCivil(days);
  bool before_christ = day.year <= 0;
  absl::StrAppendFormat(out, "%04d-%02d-%02d%s", before_christ ? 1 - day.year : day.year, day.month, day.day,
                        before_christ ? " BC" : "");
}

void AppendTimestamp(int64_t us, std::string* out) {
  int64_t days = FloorDiv(us, kUsPerDay), rest = FloorMod(us, kUsPerDay);
  CivilDay day = ToCivil(days);
  bool before_christ = day.year <= 0;
  int64_t seconds = rest / kUsPerSecond, fraction = rest % kUsPerSecond;
  absl::StrAppendFormat(out, "%04d-%02d-%02d %02d:%02d:%02d", before_christ ? 1 - day.year : day.year, day.month,
                        day.day, seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (fraction != 0) {
    absl::StrAppendFormat(out, ".%06d", fraction);
    while (out->back() == '0') out->pop_back();
  }
  out->append("+00");
  if (before_christ) out->append(" BC");
}

std::optional<Interval> ParseInterval(std::string_view text) {
  struct Unit {
    std::string_view name;
    int64_t months;
    int64_t us;
  };
  static constexpr Unit kUnits[] = {{"microsecond", 0, 1},
                                    {"us", 0, 1},
                                    {"millisecond", 0, 1'000},
                                    {"ms", 0, 1'000},
                                    {"second", 0, kUsPerSecond},
                                    {"sec", 0, kUsPerSecond},
                                    {"s", 0, kUsPerSecond},
                                    {"minute", 0, 60 * kUsPerSecond},
                                    {"min", 0, 60 * kUsPerSecond},
                                    {"m", 0, 60 * kUsPerSecond},
                                    {"hour", 0, 3600 * kUsPerSecond},
                                    {"hr", 0, 3600 * kUsPerSecond},
                                    {"h", 0, 3600 * kUsPerSecond},
                                    {"day", 0, kUsPerDay},
                                    {"d", 0, kUsPerDay},
                                    {"week", 0, 7 * kUsPerDay},
                                    {"w", 0, 7 * kUsPerDay},
                                    {"month", 1, 0},
                                    {"mon", 1, 0},
                                    {"year", 12, 0},
                                    {"y", 12, 0},
                                    {"decade", 120, 0},
                                    {"century", 1200, 0}};
  Interval sum;
  Scanner in{text};
  bool any = false;
  for (in.SkipBlanks(); !in.rest.empty(); in.SkipBlanks()) {
    bool minus = in.Skip('-');
    if (!minus) in.Skip('+');
    int64_t sign = minus ? -1 : 1;
    Scanner ahead = in;
    TimeError error;
    if (auto time = TimeOfDay(&ahead, &error)) {
      sum.us += sign * *time;
      in = ahead;
      any = true;
      continue;
    }
    int64_t count = in.Number(1, 12), fraction = 0;
    if (count < 0) return std::nullopt;
    if (in.Skip('.')) fraction = Fraction(&in);
    in.SkipBlanks();
    size_t length = 0;
    while (length < in.rest.size() && absl::ascii_isalpha(in.rest[length])) ++length;
    std::string name = absl::AsciiStrToLower(absl::string_view(in.rest.data(), length));
    in.rest.remove_prefix(length);
    auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) {
      return name == u.name ||
             (u.name.size() > 2 && name.size() == u.name.size() + 1 && name.starts_with(u.name) && name.back() == 's');
    });
    if (unit == std::end(kUnits) || (unit->months != 0 && fraction != 0)) return std::nullopt;
    // In 128 bits nothing of this overflows: the count has 12 digits.
    __int128 us = sum.us + sign * (static_cast<__int128>(count) * unit->us +
                                   static_cast<__int128>(unit->us) * fraction / kUsPerSecond);
    sum.months += sign * count * unit->months;
    constexpr int64_t kLongest = int64_t{1} << 62;
    if (us > kLongest || us < -kLongest || std::abs(sum.months) > 12'000'000) return std::nullopt;
    sum.us = static_cast<int64_t>(us);
    any = true;
  }
  if (!any) return std::nullopt;
  return sum;
}

std::optional<int64_t> AddInterval(int64_t us, Interval interval) {
  if (interval.months != 0) {
    int64_t days = FloorDiv(us, kUsPerDay), rest = FloorMod(us, kUsPerDay);
    CivilDay day = ToCivil(days);
    int64_t months = day.year * 12 + day.month - 1 + interval.months;
    day.year = FloorDiv(months, 12);
    day.month = static_cast<int>(FloorMod(months, 12)) + 1;
    day.day = std::min(day.day, DaysInMonth(day.year, day.month));
    if (__builtin_mul_overflow(FromCivil(day), kUsPerDay, &us) || __builtin_add_overflow(us, rest, &us)) {
      return std::nullopt;
    }
  }
  if (__builtin_add_overflow(us, interval.us, &us) || us < kFirstDay * kUsPerDay) return std::nullopt;
  return us;
}

std::optional<TruncUnit> FindTruncUnit(std::string_view name) {
  static constexpr std::string_view kNames[] = {"microseconds", "milliseconds", "second",    "minute",  "hour",
                                                "day",          "week",         "month",     "quarter", "year",
                                                "decade",       "century",      "millennium"};
  auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<TruncUnit>(found - std::begin(kNames));
}

std::optional<int64_t> Truncate(TruncUnit unit, int64_t us) {
  auto scaled = [](int64_t count, int64_t width) -> std::optional<int64_t> {
    int64_t start = 0;
    if (__builtin_mul_overflow(count, width, &start)) return std::nullopt;
    return start;
  };
  auto floor_to = [&](int64_t width) { return scaled(FloorDiv(us, width), width); };
  int64_t days = FloorDiv(us, kUsPerDay);
  auto start_of = [&](CivilDay day) { return scaled(FromCivil(day), kUsPerDay); };
  switch (unit) {
    case TruncUnit::kMicroseconds:
      return us;
    case TruncUnit::kMilliseconds:
      return floor_to(1'000);
    case TruncUnit::kSecond:
      return floor_to(kUsPerSecond);
    case TruncUnit::kMinute:
      return floor_to(60 * kUsPerSecond);
    case TruncUnit::kHour:
      return floor_to(3600 * kUsPerSecond);
    case TruncUnit::kDay:
      return floor_to(kUsPerDay);
    case TruncUnit::kWeek:
      return scaled(WeekStart(days), kUsPerDay);
    default:
      break;
  }
  CivilDay day = ToCivil(days);
  switch (unit) {
    case TruncUnit::kMonth:
      return start_of({day.year, day.month, 1});
    case TruncUnit::kQuarter:
      return start_of({day.year, day.month - (day.month - 1) % 3, 1});
    case TruncUnit::kDecade:
      return start_of({FloorDiv(day.year, 10) * 10, 1, 1});
    // Centuries and millennia begin with a year 1.
    case TruncUnit::kCentury:
      return start_of({FloorDiv(day.year - 1, 100) * 100 + 1, 1, 1});
    case TruncUnit::kMillennium:
      return start_of({FloorDiv(day.year - 1, 1000) * 1000 + 1, 1, 1});
    default:
      return start_of({day.year, 1, 1});
  }
}

}  // namespace tidemark::internal
