// Functions of numbers. Where PostgreSQL has a function for double precision and for numeric, integers take the former.
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
      {"power", {f, f}, number, Power, true},
      {"pow", {f, f}, number, Power, true},
      {"^", {f, f}, number, Power, true},
      {"mod", {i4, i4}, Type{i4}, ArithmeticKernel('%', i4), true},
      {"mod", {i8, i8}, Type{i8}, ArithmeticKernel('%', i8), true},
      {"mod", {d, d}, decimal, ArithmeticKernel('%', d), true, RemainderType},
  };
}

}  // namespace tidemark::internal
