// to_char, to_date and to_timestamp. A format is a constant, read with the expression.
#include <cmath>
#include <cstdio>

#include "src/expr/calendar.h"
#include "src/expr/coerce.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"
#include "src/expr/number_format.h"
#include "src/expr/time_format.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

template <typename Format>
struct PreparedFormat final : Prepared {
  explicit PreparedFormat(Format f) : format(std::move(f)) {}
  Format format;
};

template <typename Format>
const Format& FormatOf(const KernelCall& call) {
  return static_cast<const PreparedFormat<Format>*>(call.prepared)->format;
}

absl::StatusOr<std::string_view> ConstantFormat(absl::Span<const BoundPtr> args) {
  auto text = ConstantText(*args[1]);
  if (!text) return absl::InvalidArgumentError("a format is a constant: it is checked at the start");
  return *text;
}

template <bool kReading>
absl::StatusOr<PreparedPtr> PrepareTime(absl::Span<const BoundPtr> args) {
  TM_ASSIGN_OR_RETURN(View text, ConstantFormat(args));
  TM_ASSIGN_OR_RETURN(TimeFormat format, TimeFormat::Parse(text, kReading));
  return std::make_shared<PreparedFormat<TimeFormat>>(std::move(format));
}

absl::StatusOr<PreparedPtr> PrepareNumber(absl::Span<const BoundPtr> args) {
  TM_ASSIGN_OR_RETURN(View text, ConstantFormat(args));
  TM_ASSIGN_OR_RETURN(NumberFormat format, NumberFormat::Parse(text));
  return std::make_shared<PreparedFormat<NumberFormat>>(std::move(format));
}

absl::StatusOr<Values> TimeToChar(KernelCall& call) {
  const auto& format = FormatOf<TimeFormat>(call);
  const bool local = IsLocal(call.types[0]);
  std::string out;
  return Map<View, int64_t>(call, [&](Row&, int64_t us) -> View {
    out.clear();
    format.Append(us, local, &out);
    return out;
  });
}

// The digits of a decimal at the places that the format has.
absl::StatusOr<Values> DecimalToChar(KernelCall& call) {
  const auto& format = FormatOf<NumberFormat>(call);
  const int scale = call.types[0].scale, places = std::min(format.places(), scale);
  std::string digits, out;
  return Map<View, Int128>(call, [&](Row&, Int128 value) -> View {
    const Int128 rounded = *Rescale(value, scale, places);
    digits.clear();
    AppendDecimal(rounded < 0 ? -rounded : rounded, places, &digits);
    if (places == 0 && format.places() > 0) digits += '.';
    digits.append(static_cast<size_t>(format.places() - places), '0');
    out.clear();
    format.Append(rounded < 0, digits, &out);
    return out;
  });
}

absl::StatusOr<Values> IntegerToChar(KernelCall& call) {
  const auto& format = FormatOf<NumberFormat>(call);
  std::string digits, out;
  return Map<View, int64_t>(call, [&](Row&, int64_t value) -> View {
    digits.clear();
    AppendDecimal(value < 0 ? -Int128{value} : Int128{value}, 0, &digits);
    if (format.places() > 0) digits.append(1, '.').append(static_cast<size_t>(format.places()), '0');
    out.clear();
    format.Append(value < 0, digits, &out);
    return out;
  });
}

// A double has 15 digits; what the format wants beyond isn't shown.
absl::StatusOr<Values> DoubleToChar(KernelCall& call) {
  const auto& format = FormatOf<NumberFormat>(call);
  std::string out;
  return Map<View, double>(call, [&](Row& row, double value) -> View {
    if (!std::isfinite(value)) return row.Fail("to_char has no form for NaN and infinity"), View();
    char text[480];
    const int whole = std::snprintf(text, sizeof(text), "%.0f", std::fabs(value));
    const int places = whole >= 15 ? 0 : std::min(format.places(), 15 - whole);
    const int size = std::snprintf(text, sizeof(text), "%.*f", places, value);
    View digits(text, static_cast<size_t>(size));
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    out.clear();
    format.Append(negative, digits, &out);
    return out;
  });
}

absl::StatusOr<Values> TextToDate(KernelCall& call) {
  const auto& format = FormatOf<TimeFormat>(call);
  std::string error;
  return Map<int32_t, View>(call, [&](Row& row, View text) -> int32_t {
    auto point = format.Read(text, &error);
    if (!point) return row.Fail(error), 0;
    if (point->days < kFirstDay || point->days >= kDaysEnd) {
      return row.Fail("date out of range: \"" + std::string(text) + "\""), 0;
    }
    return static_cast<int32_t>(point->days);
  });
}

absl::StatusOr<Values> TextToTimestamp(KernelCall& call) {
  const auto& format = FormatOf<TimeFormat>(call);
  std::string error;
  return Map<int64_t, View>(call, [&](Row& row, View text) -> int64_t {
    auto point = format.Read(text, &error);
    if (!point) return row.Fail(error), 0;
    int64_t us = 0;
    if (__builtin_mul_overflow(point->days, kUsPerDay, &us) || __builtin_add_overflow(us, point->us, &us) ||
        us < kFirstDay * kUsPerDay) {
      return row.Fail("timestamp out of range"), 0;
    }
    return us;
  });
}

}  // namespace

std::vector<Function> FormatFunctions() {
  const Type text{Kind::kString};
  const Kind s = Kind::kString;
  return {
      {"to_char", {Kind::kTimestamp, s}, text, TimeToChar, false, nullptr, PrepareTime<false>},
      {"to_char", {Kind::kInt64, s}, text, IntegerToChar, false, nullptr, PrepareNumber},
      {"to_char", {Kind::kDecimal, s}, text, DecimalToChar, false, nullptr, PrepareNumber},
      {"to_char", {Kind::kDouble, s}, text, DoubleToChar, true, nullptr, PrepareNumber},
      {"to_date", {s, s}, Type{Kind::kDate}, TextToDate, true, nullptr, PrepareTime<true>},
      {"to_timestamp", {s, s}, Type{Kind::kTimestamp}, TextToTimestamp, true, nullptr, PrepareTime<true>},
  };
}

}  // namespace tidemark::internal
