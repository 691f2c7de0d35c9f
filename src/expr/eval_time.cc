// Dates and timestamps. All of it happens in UTC, where a day has 24 hours.
#include <cmath>

#include <absl/strings/str_format.h>

#include "src/expr/calendar.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

// What extract can take out of a point in time, and the scale PostgreSQL gives the number.
struct Field {
  std::string_view name;
  bool of_date;  // of a date too
  int scale;
  Int128 (*value)(int64_t days, int64_t us_of_day);
};

// There is no year 0: 1 BC is -1.
int64_t HistoricYear(int64_t year) { return year > 0 ? year : year - 1; }
// The century or millennium, which begin with a year 1.
int64_t YearsIn(int64_t year, int64_t length) {
  return year > 0 ? (year + length - 1) / length : -((length - 1 - (year - 1)) / length);
}

constexpr Field kFields[] = {
    {"year", true, 0, [](int64_t d, int64_t) -> Int128 { return HistoricYear(ToCivil(d).year); }},
    {"month", true, 0, [](int64_t d, int64_t) -> Int128 { return ToCivil(d).month; }},
    {"day", true, 0, [](int64_t d, int64_t) -> Int128 { return ToCivil(d).day; }},
    {"hour", false, 0, [](int64_t, int64_t us) -> Int128 { return us / (3600 * kUsPerSecond); }},
    {"minute", false, 0, [](int64_t, int64_t us) -> Int128 { return us / (60 * kUsPerSecond) % 60; }},
    {"second", false, 6, [](int64_t, int64_t us) -> Int128 { return us % (60 * kUsPerSecond); }},
    {"milliseconds", false, 3, [](int64_t, int64_t us) -> Int128 { return us % (60 * kUsPerSecond); }},
    {"microseconds", false, 0, [](int64_t, int64_t us) -> Int128 { return us % (60 * kUsPerSecond); }},
    {"epoch", true, 6, [](int64_t d, int64_t us) -> Int128 { return Int128{d} * kUsPerDay + us; }},
    {"dow", true, 0, [](int64_t d, int64_t) -> Int128 { return IsoWeekday(d) % 7; }},
    {"isodow", true, 0, [](int64_t d, int64_t) -> Int128 { return IsoWeekday(d); }},
    {"doy", true, 0, [](int64_t d, int64_t) -> Int128 { return d - FromCivil({ToCivil(d).year, 1, 1}) + 1; }},
    {"week", true, 0, [](int64_t d, int64_t) -> Int128 { return IsoWeek(d); }},
    {"isoyear", true, 0, [](int64_t d, int64_t) -> Int128 { return HistoricYear(IsoYear(d)); }},
    {"quarter", true, 0, [](int64_t d, int64_t) -> Int128 { return (ToCivil(d).month + 2) / 3; }},
    {"decade", true, 0, [](int64_t d, int64_t) -> Int128 { return FloorDiv(ToCivil(d).year, 10); }},
    {"century", true, 0, [](int64_t d, int64_t) -> Int128 { return YearsIn(ToCivil(d).year, 100); }},
    {"millennium", true, 0, [](int64_t d, int64_t) -> Int128 { return YearsIn(ToCivil(d).year, 1000); }},
    {"timezone", false, 0, [](int64_t, int64_t) -> Int128 { return 0; }},
};

const Field* FindField(std::string_view name) {
  for (const Field& field : kFields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

// The binder has checked the field.
const Field& FieldOf(const KernelCall& call) { return *FindField(Reader<std::string_view>(call.args[0])[0]); }

absl::StatusOr<Values> ExtractTimestamp(KernelCall& call) {
  const Field& field = FieldOf(call);
  // "milliseconds" counts its digits at scale 3, but our digits are microseconds all the same.
  return Map<Int128, std::string_view, int64_t>(call, [&](Row&, std::string_view, int64_t us) {
    return field.value(FloorDiv(us, kUsPerDay), FloorMod(us, kUsPerDay));
  });
}

absl::StatusOr<Values> ExtractDate(KernelCall& call) {
  const Field& field = FieldOf(call);
  Int128 unit = kPowersOfTen[static_cast<size_t>(field.scale)];
  return Map<Int128, std::string_view, int32_t>(
      call, [&](Row&, std::string_view, int32_t days) { return field.value(days, 0) / unit; });
}

absl::StatusOr<Values> DateTrunc(KernelCall& call) {
  // The binder has checked the unit.
  TruncUnit unit = *FindTruncUnit(Reader<std::string_view>(call.args[0])[0]);
  return Map<int64_t, std::string_view, int64_t>(call, [unit](Row& row, std::string_view, int64_t us) {
    auto start = Truncate(unit, us);
    if (!start) row.Fail("timestamp out of range");
    return start.value_or(0);
  });
}

absl::StatusOr<Values> AddToTimestamp(KernelCall& call) {
  return Map<int64_t, int64_t, int64_t, int64_t, double>(
      call, [](Row& row, int64_t us, int64_t months, int64_t length, double factor) -> int64_t {
        double scaled = static_cast<double>(length) * factor;
        // Beyond this a double no longer holds microseconds exactly, unless the factor is 1 or -1.
        bool whole = factor == 1 || factor == -1;
        if (!whole && !(std::fabs(scaled) < 9e18)) return row.Fail("interval out of range"), 0;
        int64_t shift = whole ? static_cast<int64_t>(factor) * length : static_cast<int64_t>(std::llrint(scaled));
        if (std::fabs(static_cast<double>(months) * factor) > 1e8) return row.Fail("interval out of range"), 0;
        auto moved = AddInterval(us, {static_cast<int64_t>(static_cast<double>(months) * factor), shift});
        if (!moved) row.Fail("timestamp out of range");
        return moved.value_or(0);
      });
}

template <int kSign>
absl::StatusOr<Values> ShiftDate(KernelCall& call) {
  return Map<int32_t, int32_t, int32_t>(call, [](Row& row, int32_t date, int32_t days) {
    int64_t moved = int64_t{date} + int64_t{kSign} * days;
    if (moved < kFirstDay || moved >= kDaysEnd) row.Fail("date out of range");
    return static_cast<int32_t>(moved);
  });
}

absl::StatusOr<Values> DateDifference(KernelCall& call) {
  return Map<int32_t, int32_t, int32_t>(call, [](Row& row, int32_t a, int32_t b) {
    int32_t out = 0;
    if (__builtin_sub_overflow(a, b, &out)) row.Fail("integer out of range");
    return out;
  });
}

absl::StatusOr<Values> TimeDifference(KernelCall& call) {
  return Map<Int128, int64_t, int64_t>(call, [](Row&, int64_t a, int64_t b) { return Int128{a} - b; });
}

// The start of the stretch that a time lies in, of stretches that are counted from the origin.
absl::StatusOr<Values> DateBin(KernelCall& call) {
  return Map<int64_t, int64_t, int64_t, int64_t>(call, [](Row& row, int64_t stride, int64_t us, int64_t origin) {
    int64_t behind = 0, start = 0;
    if (__builtin_sub_overflow(us, origin, &behind) || __builtin_sub_overflow(us, FloorMod(behind, stride), &start)) {
      row.Fail("timestamp out of range");
    }
    return start;
  });
}

absl::StatusOr<Values> MakeDate(KernelCall& call) {
  return Map<int32_t, int32_t, int32_t, int32_t>(call, [](Row& row, int32_t year, int32_t month, int32_t day) {
    // There is no year 0; -1 is 1 BC.
    const int64_t astronomic = year < 0 ? int64_t{year} + 1 : year;
    const bool exists = year != 0 && year != INT32_MIN && month >= 1 && month <= 12 && day >= 1 &&
                        day <= DaysInMonth(astronomic, month);
    const int64_t days = exists ? FromCivil({astronomic, month, day}) : 0;
    if (!exists) {
      row.Fail(absl::StrFormat("date field value out of range: %d-%02d-%02d", year, month, day));
    } else if (days < kFirstDay || days >= kDaysEnd) {
      row.Fail(absl::StrFormat("date out of range: %d-%02d-%02d", year, month, day));
    }
    return static_cast<int32_t>(days);
  });
}

absl::StatusOr<Values> ToTimestamp(KernelCall& call) {
  return Map<int64_t, double>(call, [](Row& row, double seconds) -> int64_t {
    double us = std::rint(seconds * 1e6);
    if (!(std::fabs(us) < 9.2e18)) return row.Fail("timestamp out of range"), 0;
    return static_cast<int64_t>(us);
  });
}

absl::StatusOr<Values> ToDate(KernelCall& call) {
  return Map<int32_t, int64_t>(call, [](Row&, int64_t us) { return static_cast<int32_t>(FloorDiv(us, kUsPerDay)); });
}

}  // namespace

Kernel AddIntervalKernel() { return AddToTimestamp; }
Kernel DateTruncKernel() { return DateTrunc; }
Kernel ExtractKernel(Kind kind) { return kind == Kind::kDate ? ExtractDate : ExtractTimestamp; }
Kernel DateShiftKernel(char op) { return op == '+' ? ShiftDate<1> : ShiftDate<-1>; }
Kernel DateDifferenceKernel() { return DateDifference; }
Kernel TimeDifferenceKernel() { return TimeDifference; }
Kernel DateBinKernel() { return DateBin; }

std::optional<Type> ExtractType(std::string_view name, Kind kind) {
  const Field* field = FindField(name);
  if (field == nullptr || (kind == Kind::kDate && !field->of_date)) return std::nullopt;
  Type type{Kind::kDecimal};
  type.scale = kind == Kind::kDate ? 0 : field->scale;
  type.precision = name == "epoch" ? 20 : 10 + type.scale;
  return type;
}

std::vector<Function> TimeFunctions() {
  return {
      {"to_timestamp", {Kind::kDouble}, Type{Kind::kTimestamp}, ToTimestamp, true},
      {"date", {Kind::kTimestamp}, Type{Kind::kDate}, ToDate},
      {"make_date", {Kind::kInt32, Kind::kInt32, Kind::kInt32}, Type{Kind::kDate}, MakeDate, true},
  };
}

}  // namespace tidemark::internal
