// Functions of numbers. Where PostgreSQL has a function for double precision and for numeric, integers take the former.
#include <algorithm>
#include <cmath>

#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

template <typename T>
absl::StatusOr<Values> Abs(KernelCall& call) {
  return Map<T, T>(call, [](Row& row, T a) -> T {
    if constexpr (std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
      if (a == std::numeric_limits<T>::min()) {
        return row.Fail(sizeof(T) == 4 ? "integer out of range" : "bigint out of range"), a;
      }
    }
    if constexpr (std::is_same_v<T, double>) return std::fabs(a);
    return a < 0 ? -a : a;
  });
}

// Half to even, as PostgreSQL rounds doubles.
absl::StatusOr<Values> RoundDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return std::rint(a); });
}
absl::StatusOr<Values> FloorDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return std::floor(a); });
}
absl::StatusOr<Values> CeilDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return std::ceil(a); });
}
absl::StatusOr<Values> TruncDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return std::trunc(a); });
}
absl::StatusOr<Values> SignDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return static_cast<double>((a > 0) - (a < 0)); });
}
absl::StatusOr<Values> Sqrt(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    if (a < 0) row.Fail("cannot take square root of a negative number");
    return std::sqrt(a);
  });
}

absl::StatusOr<Values> Power(KernelCall& call) {
  return Map<double, double, double>(call, [](Row& row, double a, double b) {
    if (a == 0 && b < 0) row.Fail("zero raised to a negative power is undefined");
    if (a < 0 && std::isfinite(b) && std::isfinite(a) && b != std::floor(b)) {
      row.Fail("a negative number raised to a non-integer power yields a complex result");
      return 0.0;
    }
    double result = std::pow(a, b);
    if (std::isinf(result) && std::isfinite(a) && std::isfinite(b) && a != 0) row.Fail("value out of range: overflow");
    if (result == 0 && a != 0 && std::isfinite(a) && std::isfinite(b)) row.Fail("value out of range: underflow");
    return result;
  });
}

// Digits at the argument's scale to a whole number.
enum class Toward { kNearest, kFloor, kCeil, kZero };

template <Toward kToward>
absl::StatusOr<Values> WholeDecimal(KernelCall& call) {
  int scale = call.types[0].scale;
  Int128 unit = kPowersOfTen[static_cast<size_t>(scale)];
  return Map<Int128, Int128>(call, [=](Row&, Int128 a) -> Int128 {
    if (kToward == Toward::kNearest) return DivideRounded(a, unit);
    Int128 whole = a / unit, rest = a % unit;
    if (kToward == Toward::kFloor && rest < 0) --whole;
    if (kToward == Toward::kCeil && rest > 0) ++whole;
    return whole;
  });
}

absl::StatusOr<Values> SignDecimal(KernelCall& call) {
  return Map<Int128, Int128>(call, [](Row&, Int128 a) -> Int128 { return (a > 0) - (a < 0); });
}

// round(x, n) and trunc(x, n) at the scale of x: the scale of a result can't depend on the row.
template <bool kRound>
absl::StatusOr<Values> ToPlaces(KernelCall& call) {
  int scale = call.types[0].scale;
  return Map<Int128, Int128, int32_t>(call, [=](Row& row, Int128 a, int32_t places) -> Int128 {
    int drop = scale - std::min<int32_t>(std::max<int32_t>(places, -kMaxDigits), scale);
    if (drop > kMaxDigits) return 0;
    Int128 unit = kPowersOfTen[static_cast<size_t>(drop)];
    Int128 kept = (kRound ? DivideRounded(a, unit) : a / unit), out = 0;
    if (__builtin_mul_overflow(kept, unit, &out) || !FitsDigits(out, kMaxDigits)) row.Fail("numeric field overflow");
    return out;
  });
}

// A function of the C library whose argument may lie anywhere.
template <double (*kFunction)(double)>
absl::StatusOr<Values> Libm(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return kFunction(a); });
}

absl::StatusOr<Values> Exp(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    const double value = std::exp(a);
    if (std::isinf(value) && !std::isinf(a)) row.Fail("value out of range: overflow");
    if (value == 0 && !std::isinf(a)) row.Fail("value out of range: underflow");
    return value;
  });
}

template <double (*kFunction)(double)>
absl::StatusOr<Values> Logarithm(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    if (a == 0) return row.Fail("cannot take logarithm of zero"), a;
    if (a < 0) return row.Fail("cannot take logarithm of a negative number"), a;
    return kFunction(a);
  });
}

// Sines of infinity don't exist.
template <double (*kFunction)(double)>
absl::StatusOr<Values> OfFinite(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    if (std::isinf(a)) return row.Fail("input is out of range"), a;
    return kFunction(a);
  });
}

template <double (*kFunction)(double)>
absl::StatusOr<Values> OfSine(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    if (a < -1 || a > 1) return row.Fail("input is out of range"), a;
    return kFunction(a);
  });
}

absl::StatusOr<Values> Atan2(KernelCall& call) {
  return Map<double, double, double>(call, [](Row&, double a, double b) { return std::atan2(a, b); });
}

constexpr double kDegree = 0.0174532925199432957692;
absl::StatusOr<Values> Degrees(KernelCall& call) {
  return Map<double, double>(call, [](Row& row, double a) {
    const double value = a / kDegree;
    if (std::isinf(value) && !std::isinf(a)) row.Fail("value out of range: overflow");
    return value;
  });
}
absl::StatusOr<Values> Radians(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return a * kDegree; });
}

// The bucket, from 1, of `count` equal ones between two bounds, of which the first may be the greater; 0 and count + 1
// lie outside.
int32_t Outside(Row& row, bool above, int32_t count) {
  if (above && count == INT32_MAX) row.Fail("integer out of range");
  return above && count < INT32_MAX ? count + 1 : 0;
}

absl::StatusOr<Values> BucketOfDouble(KernelCall& call) {
  return Map<int32_t, double, double, double, int32_t>(
      call, [](Row& row, double a, double low, double high, int32_t count) -> int32_t {
        if (count <= 0) return row.Fail("count must be greater than zero"), 0;
        if (std::isnan(a) || std::isnan(low) || std::isnan(high)) {
          return row.Fail("operand, lower bound, and upper bound cannot be NaN"), 0;
        }
        if (std::isinf(low) || std::isinf(high)) return row.Fail("lower and upper bounds must be finite"), 0;
        if (low == high) return row.Fail("lower bound cannot equal upper bound"), 0;
        const bool rising = low < high;
        if (rising ? a < low : a > low) return 0;
        if (rising ? a >= high : a <= high) return Outside(row, /*above=*/true, count);
        // Halves, where the whole would be infinite.
        const double part =
            std::isinf(high - low) ? (a / 2 - low / 2) / (high / 2 - low / 2) : (a - low) / (high - low);
        return std::min(static_cast<int32_t>(count * part), count - 1) + 1;
      });
}

absl::StatusOr<Values> BucketOfDecimal(KernelCall& call) {
  const int scale = std::max({call.types[0].scale, call.types[1].scale, call.types[2].scale});
  const int scales[] = {call.types[0].scale, call.types[1].scale, call.types[2].scale};
  return Map<int32_t, Int128, Int128, Int128, int32_t>(
      call, [=](Row& row, Int128 operand, Int128 from, Int128 to, int32_t count) -> int32_t {
        if (count <= 0) return row.Fail("count must be greater than zero"), 0;
        auto a = Rescale(operand, scales[0], scale), low = Rescale(from, scales[1], scale);
        auto high = Rescale(to, scales[2], scale);
        if (!a || !low || !high) return row.Fail("numeric field overflow"), 0;
        if (*low == *high) return row.Fail("lower bound cannot equal upper bound"), 0;
        const bool rising = *low < *high;
        if (rising ? *a < *low : *a > *low) return 0;
        if (rising ? *a >= *high : *a <= *high) return Outside(row, /*above=*/true, count);
        const Int128 behind = rising ? *a - *low : *low - *a, width = rising ? *high - *low : *low - *high;
        Int128 scaled = 0;
        if (__builtin_mul_overflow(behind, Int128{count}, &scaled)) return row.Fail("numeric field overflow"), 0;
        return static_cast<int32_t>(scaled / width) + 1;
      });
}

Type SameType(absl::Span<const Type> args) { return args[0]; }
Type OneMoreDigit(absl::Span<const Type> args) {
  Type type = args[0];
  type.precision = std::min(type.precision + 1, kMaxDigits);
  return type;
}
Type WholeType(absl::Span<const Type> args) {
  Type type = args[0];
  type.precision = std::min(type.precision - type.scale + 1, kMaxDigits);
  type.scale = 0;
  return type;
}
Type OneDigit(absl::Span<const Type>) { return Type{.kind = Kind::kDecimal, .precision = 1, .scale = 0}; }

Type RemainderType(absl::Span<const Type> args) { return *DecimalResult('%', args[0], args[1]); }

}  // namespace

std::vector<Function> MathFunctions() {
  const Type number{Kind::kDouble}, decimal{Kind::kDecimal};
  const Kind i4 = Kind::kInt32, i8 = Kind::kInt64, f = Kind::kDouble, d = Kind::kDecimal;
  return {
      {"abs", {i4}, Type{i4}, Abs<int32_t>, true},
      {"abs", {i8}, Type{i8}, Abs<int64_t>, true},
      {"abs", {f}, number, Abs<double>},
      {"abs", {d}, decimal, Abs<Int128>, false, SameType},
      {"round", {f}, number, RoundDouble},
      {"round", {d}, decimal, WholeDecimal<Toward::kNearest>, false, WholeType},
      {"round", {d, i4}, decimal, ToPlaces<true>, true, OneMoreDigit},
      {"trunc", {f}, number, TruncDouble},
      {"trunc", {d}, decimal, WholeDecimal<Toward::kZero>, false, WholeType},
      {"trunc", {d, i4}, decimal, ToPlaces<false>, true, SameType},
      {"floor", {f}, number, FloorDouble},
      {"floor", {d}, decimal, WholeDecimal<Toward::kFloor>, false, WholeType},
      {"ceil", {f}, number, CeilDouble},
      {"ceil", {d}, decimal, WholeDecimal<Toward::kCeil>, false, WholeType},
      {"ceiling", {f}, number, CeilDouble},
      {"ceiling", {d}, decimal, WholeDecimal<Toward::kCeil>, false, WholeType},
      {"sign", {f}, number, SignDouble},
      {"sign", {d}, decimal, SignDecimal, false, OneDigit},
      {"sqrt", {f}, number, Sqrt, true},
      {"cbrt", {f}, number, Libm<std::cbrt>},
      {"exp", {f}, number, Exp, true},
      {"ln", {f}, number, Logarithm<std::log>, true},
      {"log", {f}, number, Logarithm<std::log10>, true},
      {"log10", {f}, number, Logarithm<std::log10>, true},
      {"sin", {f}, number, OfFinite<std::sin>, true},
      {"cos", {f}, number, OfFinite<std::cos>, true},
      {"tan", {f}, number, OfFinite<std::tan>, true},
      {"asin", {f}, number, OfSine<std::asin>, true},
      {"acos", {f}, number, OfSine<std::acos>, true},
      {"atan", {f}, number, Libm<std::atan>},
      {"atan2", {f, f}, number, Atan2},
      {"degrees", {f}, number, Degrees, true},
      {"radians", {f}, number, Radians},
      {"width_bucket", {f, f, f, i4}, Type{i4}, BucketOfDouble, true},
      {"width_bucket", {d, d, d, i4}, Type{i4}, BucketOfDecimal, true},
      {"power", {f, f}, number, Power, true},
      {"pow", {f, f}, number, Power, true},
      {"^", {f, f}, number, Power, true},
      {"mod", {i4, i4}, Type{i4}, ArithmeticKernel('%', i4), true},
      {"mod", {i8, i8}, Type{i8}, ArithmeticKernel('%', i8), true},
      {"mod", {d, d}, decimal, ArithmeticKernel('%', d), true, RemainderType},
  };
}

}  // namespace tidemark::internal
