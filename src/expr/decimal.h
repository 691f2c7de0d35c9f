// Decimals as evaluation sees them: the digits as a 128-bit integer, the scale known from the type. All functions that
// can leave the 38 digits of decimal128 say so with nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/schema.h"

namespace tidemark::internal {

using Int128 = __int128;

constexpr int kMaxDigits = 38;

// 10^0 to 10^38.
inline constexpr std::array<Int128, kMaxDigits + 1> kPowersOfTen = [] {
  std::array<Int128, kMaxDigits + 1> powers{};
  powers[0] = 1;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

constexpr bool FitsDigits(Int128 value, int precision) {
  Int128 limit = kPowersOfTen[static_cast<size_t>(precision)];
  return value < limit && value > -limit;
}

// a / b rounded half away from zero; b > 0.
constexpr Int128 DivideRounded(Int128 a, Int128 b) {
  Int128 quotient = a / b, rest = a % b;
  if (rest < 0) rest = -rest;
  if (rest >= b - rest) quotient += a < 0 ? -1 : 1;
  return quotient;
}

// The digits at another scale, rounded half away from zero.
constexpr std::optional<Int128> Rescale(Int128 value, int from, int to) {
  if (to == from) return value;
  if (to < from) {
    if (from - to > kMaxDigits) return 0;
    return DivideRounded(value, kPowersOfTen[static_cast<size_t>(from - to)]);
  }
  if (to - from > kMaxDigits) return value == 0 ? std::optional<Int128>(0) : std::nullopt;
  Int128 scaled = 0;
  if (__builtin_mul_overflow(value, kPowersOfTen[static_cast<size_t>(to - from)], &scaled)) return std::nullopt;
  if (!FitsDigits(scaled, kMaxDigits)) return std::nullopt;
  return scaled;
}

// a at scale `a_scale` against b at scale `b_scale`: negative, zero or positive.
constexpr int CompareDecimal(Int128 a, int a_scale, Int128 b, int b_scale) {
  if (a_scale < b_scale) {
    auto scaled = Rescale(a, a_scale, b_scale);
    // Too big for 38 digits is beyond any b.
    if (!scaled) return a < 0 ? -1 : 1;
    a = *scaled;
  } else if (b_scale < a_scale) {
    auto scaled = Rescale(b, b_scale, a_scale);
    if (!scaled) return b < 0 ? 1 : -1;
    b = *scaled;
  }
  return (a > b) - (a < b);
}

// a / b at `scale`, rounded half away from zero; b is not 0.
std::optional<Int128> DivideDecimal(Int128 a, int a_scale, Int128 b, int b_scale, int scale);

// The nearest double, as PostgreSQL's numeric -> float8.
double DecimalToDouble(Int128 value, int scale);

// Digits, point, exponent, surrounding blanks, as PostgreSQL's numeric input reads them. `precision` and `scale` are
// those of the text itself.
struct ParsedDecimal {
  Int128 value = 0;
  int precision = 1, scale = 0;
};
enum class DecimalError { kSyntax, kTooLong };
// nullopt and *error where the text isn't a number, or doesn't fit into 38 digits. With `scale` >= 0 the value is
// rounded to that scale, however many digits the text has.
std::optional<ParsedDecimal> ParseDecimal(std::string_view text, int scale, DecimalError* error);

// "-12.50"; as long as the scale says.
void AppendDecimal(Int128 value, int scale, std::string* out);

}  // namespace tidemark::internal
