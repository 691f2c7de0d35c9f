// Conversions between types, explicit and implicit alike.
#include <cmath>
#include <cstdio>
#include <limits>

#include "src/base/json_text.h"
#include "src/expr/calendar.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"
#include "src/expr/text_form.h"

namespace tidemark::internal {
namespace {

template <typename T>
constexpr std::string_view kOutOfRange = sizeof(T) == 4 ? "integer out of range" : "bigint out of range";

// A conversion that always succeeds.
template <typename From, typename To>
absl::StatusOr<Values> Widen(KernelCall& call) {
  return Map<To, From>(call, [](Row&, From a) { return static_cast<To>(a); });
}

absl::StatusOr<Values> IntToBool(KernelCall& call) {
  return Map<bool, int32_t>(call, [](Row&, int32_t a) { return a != 0; });
}

absl::StatusOr<Values> Narrow(KernelCall& call) {
  return Map<int32_t, int64_t>(call, [](Row& row, int64_t a) {
    if (a < INT32_MIN || a > INT32_MAX) row.Fail(kOutOfRange<int32_t>);
    return static_cast<int32_t>(a);
  });
}

template <typename T>
absl::StatusOr<Values> DoubleToInt(KernelCall& call) {
  return Map<T, double>(call, [](Row& row, double a) -> T {
    double rounded = std::rint(a);
    // The limits are powers of two, so exact as doubles.
    constexpr double kLimit = sizeof(T) == 4 ? 2147483648.0 : 9223372036854775808.0;
    if (!(rounded >= -kLimit && rounded < kLimit)) return row.Fail(kOutOfRange<T>), T{0};
    return static_cast<T>(rounded);
  });
}

template <typename T>
absl::StatusOr<Values> DecimalToInt(KernelCall& call) {
  int scale = call.types[0].scale;
  return Map<T, Int128>(call, [=](Row& row, Int128 a) -> T {
    Int128 whole = *Rescale(a, scale, 0);
    if (whole < std::numeric_limits<T>::min() || whole > std::numeric_limits<T>::max()) {
      return row.Fail(kOutOfRange<T>), T{0};
    }
    return static_cast<T>(whole);
  });
}

absl::StatusOr<Values> DecimalToDoubles(KernelCall& call) {
  int scale = call.types[0].scale;
  return Map<double, Int128>(call, [=](Row&, Int128 a) { return DecimalToDouble(a, scale); });
}

Int128 FitDecimal(Row& row, std::optional<Int128> value, int precision) {
  if (!value || !FitsDigits(*value, precision)) return row.Fail("numeric field overflow"), Int128{0};
  return *value;
}

template <typename T>
absl::StatusOr<Values> IntToDecimal(KernelCall& call) {
  int scale = call.type.scale, precision = call.type.precision;
  return Map<Int128, T>(call, [=](Row& row, T a) { return FitDecimal(row, Rescale(a, 0, scale), precision); });
}

absl::StatusOr<Values> DecimalToDecimal(KernelCall& call) {
  int from = call.types[0].scale, scale = call.type.scale, precision = call.type.precision;
  return Map<Int128, Int128>(call,
                             [=](Row& row, Int128 a) { return FitDecimal(row, Rescale(a, from, scale), precision); });
}

// By way of 15 significant digits, as PostgreSQL does.
absl::StatusOr<Values> DoubleToDecimal(KernelCall& call) {
  Type type = call.type;
  return Map<Int128, double>(call, [type](Row& row, double a) -> Int128 {
    if (std::isnan(a)) return row.Fail("cannot convert NaN to numeric"), Int128{0};
    if (std::isinf(a)) return row.Fail("numeric field overflow"), Int128{0};
    char text[40];
    std::snprintf(text, sizeof(text), "%.15g", a);
    DecimalError error;
    auto parsed = ParseDecimal(text, type.scale, &error);
    return FitDecimal(row, parsed ? std::optional<Int128>(parsed->value) : std::nullopt, type.precision);
  });
}

absl::StatusOr<Values> DateToTimestamp(KernelCall& call) {
  return Map<int64_t, int32_t>(call, [](Row& row, int32_t days) {
    int64_t us = 0;
    if (__builtin_mul_overflow(int64_t{days}, kUsPerDay, &us)) row.Fail("date out of range for timestamp");
    return us;
  });
}

absl::StatusOr<Values> TimestampToDate(KernelCall& call) {
  return Map<int32_t, int64_t>(call, [](Row&, int64_t us) { return static_cast<int32_t>(FloorDiv(us, kUsPerDay)); });
}

// The same values under another type: another form of timestamp.
absl::StatusOr<Values> Same(KernelCall& call) { return call.args[0]; }

template <typename T, auto kRead>
absl::StatusOr<Values> FromText(KernelCall& call) {
  std::string error;
  return Map<T, std::string_view>(call, [&](Row& row, std::string_view text) {
    T value{};
    if (!kRead(text, &value, &error)) row.Fail(error);
    return value;
  });
}

absl::StatusOr<Values> TextToDecimal(KernelCall& call) {
  std::string error;
  return Map<Int128, std::string_view>(call, [&](Row& row, std::string_view text) {
    Int128 value = 0;
    if (!ReadDecimal(text, call.type, &value, &error)) row.Fail(error);
    return value;
  });
}

absl::StatusOr<Values> TextToBytes(KernelCall& call) {
  std::string value, error;
  return Map<std::string_view, std::string_view>(call, [&](Row& row, std::string_view text) -> std::string_view {
    if (!ReadBytes(text, &value, &error)) row.Fail(error);
    return value;
  });
}

absl::StatusOr<Values> TextToJson(KernelCall& call) {
  return Map<std::string_view, std::string_view>(call, [](Row& row, std::string_view text) {
    if (!IsJson(text)) row.Fail("invalid input syntax for type json");
    return text;
  });
}

template <typename T, auto kAppend>
absl::StatusOr<Values> ToText(KernelCall& call) {
  std::string text;
  return Map<std::string_view, T>(call, [&](Row&, T value) -> std::string_view {
    text.clear();
    kAppend(value, &text);
    return text;
  });
}

void AppendBool(bool value, std::string* out) { out->append(value ? "true" : "false"); }
void AppendInt(int64_t value, std::string* out) { AppendDecimal(value, 0, out); }

absl::StatusOr<Values> DecimalToText(KernelCall& call) {
  int scale = call.types[0].scale;
  std::string text;
  return Map<std::string_view, Int128>(call, [&](Row&, Int128 value) -> std::string_view {
    text.clear();
    AppendDecimal(value, scale, &text);
    return text;
  });
}

Kernel FromTextKernel(Kind to) {
  switch (to) {
    case Kind::kBool:
      return FromText<bool, ReadBool>;
    case Kind::kInt32:
      return FromText<int32_t, ReadInt32>;
    case Kind::kInt64:
      return FromText<int64_t, ReadInt64>;
    case Kind::kDouble:
      return FromText<double, ReadDouble>;
    case Kind::kDecimal:
      return TextToDecimal;
    case Kind::kDate:
      return FromText<int32_t, ReadDate>;
    case Kind::kTimestamp:
      return FromText<int64_t, ReadTimestamp>;
    case Kind::kBytes:
      return TextToBytes;
    case Kind::kJson:
      return TextToJson;
    case Kind::kString:
      return Same;
  }
  return nullptr;
}

Kernel ToTextKernel(Kind from) {
  switch (from) {
    case Kind::kBool:
      return ToText<bool, AppendBool>;
    case Kind::kInt32:
      return ToText<int32_t, AppendInt>;
    case Kind::kInt64:
      return ToText<int64_t, AppendInt>;
    case Kind::kDouble:
      return ToText<double, AppendDouble>;
    case Kind::kDecimal:
      return DecimalToText;
    case Kind::kDate:
      return ToText<int32_t, AppendDate>;
    case Kind::kTimestamp:
      return ToText<int64_t, AppendTimestamp>;
    case Kind::kBytes:
      return ToText<std::string_view, AppendBytes>;
    case Kind::kString:
    case Kind::kJson:
      return Same;
  }
  return nullptr;
}

}  // namespace

Kernel CastKernel(Kind from, Kind to) {
  if (from == Kind::kString) return FromTextKernel(to);
  if (to == Kind::kString) return ToTextKernel(from);
  struct Entry {
    Kind from, to;
    Kernel kernel;
  };
  static constexpr Entry kEntries[] = {
      {Kind::kBool, Kind::kInt32, Widen<bool, int32_t>},     {Kind::kInt32, Kind::kBool, IntToBool},
      {Kind::kInt32, Kind::kInt64, Widen<int32_t, int64_t>}, {Kind::kInt32, Kind::kDouble, Widen<int32_t, double>},
      {Kind::kInt32, Kind::kDecimal, IntToDecimal<int32_t>}, {Kind::kInt64, Kind::kInt32, Narrow},
      {Kind::kInt64, Kind::kDouble, Widen<int64_t, double>}, {Kind::kInt64, Kind::kDecimal, IntToDecimal<int64_t>},
      {Kind::kDouble, Kind::kInt32, DoubleToInt<int32_t>},   {Kind::kDouble, Kind::kInt64, DoubleToInt<int64_t>},
      {Kind::kDouble, Kind::kDecimal, DoubleToDecimal},      {Kind::kDecimal, Kind::kInt32, DecimalToInt<int32_t>},
      {Kind::kDecimal, Kind::kInt64, DecimalToInt<int64_t>}, {Kind::kDecimal, Kind::kDouble, DecimalToDoubles},
      {Kind::kDecimal, Kind::kDecimal, DecimalToDecimal},    {Kind::kDate, Kind::kTimestamp, DateToTimestamp},
      {Kind::kTimestamp, Kind::kDate, TimestampToDate},
  };
  for (const Entry& entry : kEntries) {
    if (entry.from == from && entry.to == to) return entry.kernel;
  }
  return from == to ? Same : nullptr;
}

bool CastMayFail(const Type& from, const Type& to) {
  if (from.kind == to.kind && from.kind != Kind::kDecimal) return false;
  if (to.kind == Kind::kString || to.kind == Kind::kDouble || to.kind == Kind::kBool) return from.kind == Kind::kString;
  if (to.kind == Kind::kDecimal) {
    int whole = from.kind == Kind::kInt32 ? 10 : from.kind == Kind::kInt64 ? 19 : from.precision - from.scale;
    bool exact = from.kind != Kind::kString && from.kind != Kind::kDouble;
    // Rounding may carry into one more digit.
    return !exact || whole + (from.scale > to.scale ? 1 : 0) > to.precision - to.scale;
  }
  if (to.kind == Kind::kInt64) return from.kind != Kind::kInt32;
  if (to.kind == Kind::kInt32) return from.kind != Kind::kBool;
  if (to.kind == Kind::kDate) return from.kind != Kind::kTimestamp;
  return true;
}

}  // namespace tidemark::internal
