#include "src/expr/decimal.h"

#include <algorithm>
#include <cstdlib>

#include <absl/strings/ascii.h>
#include <arrow/util/decimal.h>

namespace tidemark::internal {
namespace {

arrow::Decimal128 ToArrow(Int128 value) {
  return arrow::Decimal128(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value));
}

}  // namespace

std::optional<Int128> DivideDecimal(Int128 a, int a_scale, Int128 b, int b_scale, int scale) {
  bool negative = (a < 0) != (b < 0);
  if (a < 0) a = -a;
  if (b < 0) b = -b;
  int shift = scale + b_scale - a_scale;  // never negative: no result scale is below its operands'
  Int128 dividend = 0;
  Int128 quotient = 0;
  if (shift <= kMaxDigits && !__builtin_mul_overflow(a, kPowersOfTen[static_cast<size_t>(shift)], &dividend)) {
    quotient = DivideRounded(dividend, b);
  } else {
    arrow::Decimal256 wide(ToArrow(a)), divisor(ToArrow(b));
    // 76 digits is what 256 bits hold.
    if (shift > 76 || !wide.FitsInPrecision(std::max(0, 76 - shift))) {
      return std::nullopt;
    }
    wide *= arrow::Decimal256::GetScaleMultiplier(shift);
    auto divided = wide.Divide(divisor);
    if (!divided.ok()) return std::nullopt;
    arrow::Decimal256 rounded = divided->first;
    arrow::Decimal256 twice_rest = divided->second;
    twice_rest += divided->second;
    if (twice_rest >= divisor) rounded += arrow::Decimal256(1);
    if (!rounded.FitsInPrecision(kMaxDigits)) return std::nullopt;
    const auto& words = rounded.little_endian_array();
    quotient = static_cast<Int128>(words[1]) << 64 | words[0];
  }
  if (!FitsDigits(quotient, kMaxDigits)) return std::nullopt;
  return negative ? -quotient : quotient;
}

double DecimalToDouble(Int128 value, int scale) {
  // Both operands exact: one rounding, to the nearest.
  constexpr Int128 kExact = Int128{1} << 53;
  if (value < kExact && value > -kExact && scale <= 22) {
    static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                         1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    return static_cast<double>(static_cast<int64_t>(value)) / kPowers[scale];
  }
  std::string text;
  AppendDecimal(value, scale, &text);
  return std::strtod(text.c_str(), nullptr);
}

std::optional<ParsedDecimal> ParseDecimal(std::string_view text, int scale, DecimalError* error) {
  *error = DecimalError::kSyntax;
  while (!text.empty() && absl::ascii_isspace(text.front())) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(text.back())) text.remove_suffix(1);
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::string digits;
  int64_t after_point = 0;
  bool point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (absl::ascii_isdigit(text[i])) {
      if (!digits.empty() || text[i] != '0' || point) digits += text[i];
      after_point += point;
    } else if (text[i] == '.' && !point) {
      point = true;
    } else {
      break;
    }
  }
  if (i == (point ? 1u : 0u)) return std::nullopt;  // no digit
  int64_t exponent = 0;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    bool minus = false;
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) minus = text[i++] == '-';
    if (i == text.size()) return std::nullopt;
    for (; i < text.size() && absl::ascii_isdigit(text[i]); ++i) {
      exponent = std::min<int64_t>(exponent * 10 + (text[i] - '0'), 100'000);
    }
    if (minus) exponent = -exponent;
  }
  if (i != text.size()) return std::nullopt;

  *error = DecimalError::kTooLong;
  int64_t own_scale = after_point - exponent;
  if (own_scale < 0) {
    if (digits.find_first_not_of('0') == std::string::npos) own_scale = 0;
    if (own_scale < -kMaxDigits) return std::nullopt;
    digits.append(static_cast<size_t>(-own_scale), '0');
    own_scale = 0;
  }
  bool round_up = false;
  if (scale >= 0 && own_scale > scale) {
    auto drop = static_cast<size_t>(own_scale - scale);
    if (drop <= digits.size()) {
      round_up = drop > 0 && digits[digits.size() - drop] >= '5';
      digits.erase(digits.size() - drop);
    } else {
      digits.clear();
    }
    own_scale = scale;
  }
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.size() > kMaxDigits || own_scale > kMaxDigits) return std::nullopt;
  ParsedDecimal parsed;
  for (char digit : digits) parsed.value = parsed.value * 10 + (digit - '0');
  if (round_up) ++parsed.value;
  if (!FitsDigits(parsed.value, kMaxDigits)) return std::nullopt;
  if (negative) parsed.value = -parsed.value;
  parsed.scale = static_cast<int>(own_scale);
  parsed.precision = std::max({static_cast<int>(digits.size()), parsed.scale, 1});
  if (scale > parsed.scale) {
    auto scaled = Rescale(parsed.value, parsed.scale, scale);
    if (!scaled) return std::nullopt;
    parsed.value = *scaled;
    parsed.scale = scale;
  }
  return parsed;
}

void AppendDecimal(Int128 value, int scale, std::string* out) {
  unsigned __int128 rest = value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  char buffer[48];
  char* at = buffer + sizeof(buffer);
  int written = 0;
  while (rest != 0 || written <= scale) {
    if (written == scale && scale > 0) *--at = '.';
    *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
    ++written;
  }
  if (value < 0) *--at = '-';
  out->append(at, static_cast<size_t>(buffer + sizeof(buffer) - at));
}

}  // namespace tidemark::internal
