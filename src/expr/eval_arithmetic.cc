// + - * / % and unary minus: integers checked for overflow, doubles as PostgreSQL checks them, decimals in 128 bits.
#include <algorithm>
#include <cmath>

#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

constexpr std::string_view kDivisionByZero = "division by zero";
constexpr std::string_view kDecimalOverflow = "numeric field overflow";

template <typename T>
constexpr std::string_view kOutOfRange = sizeof(T) == 4 ? "integer out of range" : "bigint out of range";

template <typename T>
absl::StatusOr<Values> AddInt(KernelCall& call) {
  return Map<T, T, T>(call, [](Row& row, T a, T b) {
    T out = 0;
    if (__builtin_add_overflow(a, b, &out)) row.Fail(kOutOfRange<T>);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> SubtractInt(KernelCall& call) {
  return Map<T, T, T>(call, [](Row& row, T a, T b) {
    T out = 0;
    if (__builtin_sub_overflow(a, b, &out)) row.Fail(kOutOfRange<T>);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> MultiplyInt(KernelCall& call) {
  return Map<T, T, T>(call, [](Row& row, T a, T b) {
    T out = 0;
    if (__builtin_mul_overflow(a, b, &out)) row.Fail(kOutOfRange<T>);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> DivideInt(KernelCall& call) {
  return Map<T, T, T>(call, [](Row& row, T a, T b) -> T {
    if (b == 0) return row.Fail(kDivisionByZero), T{0};
    T out = 0;
    if (b != -1) return a / b;
    if (__builtin_sub_overflow(T{0}, a, &out)) row.Fail(kOutOfRange<T>);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> RemainderInt(KernelCall& call) {
  return Map<T, T, T>(call, [](Row& row, T a, T b) -> T {
    if (b == 0) return row.Fail(kDivisionByZero), T{0};
    return b == -1 ? T{0} : a % b;
  });
}

template <typename T>
absl::StatusOr<Values> NegateInt(KernelCall& call) {
  return Map<T, T>(call, [](Row& row, T a) {
    T out = 0;
    if (__builtin_sub_overflow(T{0}, a, &out)) row.Fail(kOutOfRange<T>);
    return out;
  });
}

// An infinite result of finite operands is an overflow.
double Checked(Row& row, double result, double a, double b) {
  if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) row.Fail("value out of range: overflow");
  return result;
}

absl::StatusOr<Values> AddDouble(KernelCall& call) {
  return Map<double, double, double>(call, [](Row& row, double a, double b) { return Checked(row, a + b, a, b); });
}
absl::StatusOr<Values> SubtractDouble(KernelCall& call) {
  return Map<double, double, double>(call, [](Row& row, double a, double b) { return Checked(row, a - b, a, b); });
}
absl::StatusOr<Values> MultiplyDouble(KernelCall& call) {
  return Map<double, double, double>(call, [](Row& row, double a, double b) {
    if (a * b == 0 && a != 0 && b != 0) row.Fail("value out of range: underflow");
    return Checked(row, a * b, a, b);
  });
}
absl::StatusOr<Values> DivideDouble(KernelCall& call) {
  return Map<double, double, double>(call, [](Row& row, double a, double b) {
    if (b == 0 && !std::isnan(a)) return row.Fail(kDivisionByZero), 0.0;
    if (a / b == 0 && a != 0 && !std::isinf(b)) row.Fail("value out of range: underflow");
    return Checked(row, a / b, a, b);
  });
}
absl::StatusOr<Values> NegateDouble(KernelCall& call) {
  return Map<double, double>(call, [](Row&, double a) { return -a; });
}

Int128 OrOverflow(Row& row, std::optional<Int128> value) {
  if (!value) row.Fail(kDecimalOverflow);
  return value.value_or(0);
}

template <bool kSubtract>
absl::StatusOr<Values> AddDecimal(KernelCall& call) {
  int left = call.types[0].scale, right = call.types[1].scale, scale = call.type.scale;
  return Map<Int128, Int128, Int128>(call, [=](Row& row, Int128 a, Int128 b) {
    auto x = Rescale(a, left, scale), y = Rescale(b, right, scale);
    Int128 out = 0;
    bool fits = x && y;
    if (fits) fits = kSubtract ? !__builtin_sub_overflow(*x, *y, &out) : !__builtin_add_overflow(*x, *y, &out);
    if (!fits || !FitsDigits(out, kMaxDigits)) row.Fail(kDecimalOverflow);
    return out;
  });
}

absl::StatusOr<Values> MultiplyDecimal(KernelCall& call) {
  return Map<Int128, Int128, Int128>(call, [](Row& row, Int128 a, Int128 b) {
    Int128 out = 0;
    if (__builtin_mul_overflow(a, b, &out) || !FitsDigits(out, kMaxDigits)) row.Fail(kDecimalOverflow);
    return out;
  });
}

absl::StatusOr<Values> DivideDecimals(KernelCall& call) {
  int left = call.types[0].scale, right = call.types[1].scale, scale = call.type.scale;
  return Map<Int128, Int128, Int128>(call, [=](Row& row, Int128 a, Int128 b) {
    if (b == 0) return row.Fail(kDivisionByZero), Int128{0};
    return OrOverflow(row, DivideDecimal(a, left, b, right, scale));
  });
}

absl::StatusOr<Values> RemainderDecimal(KernelCall& call) {
  int left = call.types[0].scale, right = call.types[1].scale, scale = call.type.scale;
  return Map<Int128, Int128, Int128>(call, [=](Row& row, Int128 a, Int128 b) {
    if (b == 0) return row.Fail(kDivisionByZero), Int128{0};
    auto x = Rescale(a, left, scale), y = Rescale(b, right, scale);
    if (!y && x) return *x;  // a divisor beyond 38 digits is greater than the dividend
    if (!x || !y) return row.Fail(kDecimalOverflow), Int128{0};
    return *x % *y;
  });
}

absl::StatusOr<Values> NegateDecimal(KernelCall& call) {
  return Map<Int128, Int128>(call, [](Row&, Int128 a) { return -a; });
}

template <typename T>
Kernel IntegerKernel(char op) {
  switch (op) {
    case '+':
      return AddInt<T>;
    case '-':
      return SubtractInt<T>;
    case '*':
      return MultiplyInt<T>;
    case '/':
      return DivideInt<T>;
    default:
      return RemainderInt<T>;
  }
}

}  // namespace

Kernel ArithmeticKernel(char op, Kind kind) {
  if (kind == Kind::kInt32) return IntegerKernel<int32_t>(op);
  if (kind == Kind::kInt64) return IntegerKernel<int64_t>(op);
  bool decimal = kind == Kind::kDecimal;
  switch (op) {
    case '+':
      return decimal ? AddDecimal<false> : AddDouble;
    case '-':
      return decimal ? AddDecimal<true> : SubtractDouble;
    case '*':
      return decimal ? MultiplyDecimal : MultiplyDouble;
    case '/':
      return decimal ? DivideDecimals : DivideDouble;
    default:
      return decimal ? RemainderDecimal : nullptr;
  }
}

Kernel NegateKernel(Kind kind) {
  switch (kind) {
    case Kind::kInt32:
      return NegateInt<int32_t>;
    case Kind::kInt64:
      return NegateInt<int64_t>;
    case Kind::kDouble:
      return NegateDouble;
    case Kind::kDecimal:
      return NegateDecimal;
    default:
      return nullptr;
  }
}

std::optional<Type> DecimalResult(char op, const Type& left, const Type& right) {
  Type type{Kind::kDecimal};
  type.scale = std::max(left.scale, right.scale);
  int whole = std::max(left.precision - left.scale, right.precision - right.scale);
  switch (op) {
    case '*':
      type.scale = left.scale + right.scale;
      type.precision = left.precision + right.precision;
      break;
    case '/':
      // PostgreSQL keeps at least 16 significant digits; we keep at least 16 places.
      type.scale = std::max(type.scale, 16);
      type.precision = kMaxDigits;
      break;
    case '%':
      type.precision = whole + type.scale;
      break;
    default:
      type.precision = whole + type.scale + 1;
  }
  if (type.scale > kMaxDigits) return std::nullopt;
  type.precision = std::clamp(type.precision, 1, kMaxDigits);
  return type;
}

}  // namespace tidemark::internal
