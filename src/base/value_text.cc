#include "src/base/value_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "src/base/digits.h"
#include "src/base/json_text.h"

namespace tidemark {
namespace {

bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// A JSON number taken apart. `ok` is false where it isn't one.
struct NumberParts {
  bool ok = false;
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  int64_t exponent = 0;  // saturated
};

// The longest run of digits at the front of `text`, which moves behind it.
std::string_view TakeDigits(std::string_view* text) {
  size_t n = 0;
  while (n < text->size() && IsDigit((*text)[n])) ++n;
  const std::string_view digits = text->substr(0, n);
  text->remove_prefix(n);
  return digits;
}

bool TakeChar(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

NumberParts TakeApart(std::string_view text) {
  NumberParts parts;
  parts.negative = TakeChar(&text, '-');
  parts.whole = TakeDigits(&text);
  if (parts.whole.empty() || (parts.whole.size() > 1 && parts.whole.front() == '0')) return parts;
  if (TakeChar(&text, '.')) {
    parts.fraction = TakeDigits(&text);
    if (parts.fraction.empty()) return parts;
  }
  if (TakeChar(&text, 'e') || TakeChar(&text, 'E')) {
    const bool minus = TakeChar(&text, '-');
    if (!minus) TakeChar(&text, '+');
    const std::string_view digits = TakeDigits(&text);
    if (digits.empty()) return parts;
    for (const char c : digits) {
      if (parts.exponent < 1'000'000'000'000) parts.exponent = parts.exponent * 10 + (c - '0');
    }
    if (minus) parts.exponent = -parts.exponent;
  }
  parts.ok = text.empty();
  return parts;
}

// The digits of a decimal as a number, zeros at its end held back, so that 1.500 is as good as 1.5.
struct Significant {
  unsigned __int128 value = 0;
  int digits = 0;     // of `value`, at most 38
  int64_t zeros = 0;  // that follow
  bool overflow = false;

  void Add(std::string_view text) {
    for (const char c : text) {
      if (c == '0') {
        if (digits > 0) ++zeros;
        continue;
      }
      if (digits + zeros + 1 > 38) {
        overflow = true;
        return;
      }
      for (; zeros > 0; --zeros, ++digits) value *= 10;
      value = value * 10 + static_cast<unsigned>(c - '0');
      ++digits;
    }
  }
};

// `n` digits at `p`, or -1.
int Digits(const char* p, int n) {
  int value = 0;
  for (int i = 0; i < n; ++i) {
    if (!IsDigit(p[i])) return -1;
    value = value * 10 + (p[i] - '0');
  }
  return value;
}

// Days from 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is a
// year's last day, in eras of 400 years; std::chrono's years end at 32767.
int64_t DaysOf(int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

int DaysOfMonth(int64_t year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// YYYY-MM-DD, or with a sign and six or seven digits of the year (ISO 8601's expanded form), off the front of `text`.
bool TakeDate(std::string_view* text, int64_t* days) {
  int64_t year = 0;
  if (text->size() >= 10 && IsDigit(text->front())) {
    year = Digits(text->data(), 4);
    if (year < 0) return false;
    text->remove_prefix(4);
  } else {
    const bool minus = TakeChar(text, '-');
    if (!minus && !TakeChar(text, '+')) return false;
    const std::string_view digits = TakeDigits(text);
    if (digits.size() < 6 || digits.size() > 7) return false;
    year = Digits(digits.data(), static_cast<int>(digits.size()));
    if (minus && year == 0) return false;
    if (minus) year = -year;
  }
  if (text->size() < 6 || (*text)[0] != '-' || (*text)[3] != '-') return false;
  const int month = Digits(text->data() + 1, 2), day = Digits(text->data() + 4, 2);
  if (month < 1 || month > 12 || day < 1 || day > DaysOfMonth(year, month)) return false;
  *days = DaysOf(year, month, day);
  text->remove_prefix(6);
  return true;
}

// Microseconds of a fraction ("" or ".123456"), taken off the front of `text`; -1 where malformed.
int64_t TakeFraction(std::string_view* text) {
  if (!TakeChar(text, '.')) return 0;
  const std::string_view digits = TakeDigits(text);
  if (digits.empty()) return -1;
  int64_t us = 0;
  for (size_t i = 0; i < 6; ++i) us = us * 10 + (i < digits.size() ? digits[i] - '0' : 0);
  return us;
}

// Z or +hh:mm, in seconds; nothing else may follow.
bool ParseOffset(std::string_view text, int64_t* seconds) {
  *seconds = 0;
  if (text == "Z" || text == "z") return true;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return false;
  const int hours = Digits(text.data() + 1, 2), minutes = Digits(text.data() + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
  *seconds = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
  return true;
}

std::string_view KindName(ScalarText::Kind kind) {
  switch (kind) {
    case ScalarText::Kind::kNull:
      return "null";
    case ScalarText::Kind::kTrue:
    case ScalarText::Kind::kFalse:
      return "bool";
    case ScalarText::Kind::kNumber:
      return "number";
    case ScalarText::Kind::kString:
      return "string";
    case ScalarText::Kind::kObject:
      return "object";
    case ScalarText::Kind::kArray:
      return "array";
    case ScalarText::Kind::kJson:
      return "text";
  }
  return "";
}

// How the type is written, where its name doesn't say it.
std::string_view Notation(const Type& type) {
  switch (type.kind) {
    case Kind::kBytes:
      return " (base64)";
    case Kind::kDate:
      return " (YYYY-MM-DD)";
    case Kind::kDouble:
      return " (a number, \"NaN\", \"Infinity\" or \"-Infinity\")";
    case Kind::kTimestamp:
      return type.form == TimestampForm::kRfc3339 ? " (RFC 3339 text with an offset)" : "";
    default:
      return "";
  }
}

}  // namespace

Fit ParseInt64(std::string_view text, int64_t* out) {
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p != end && *p == '-';
  if (negative) ++p;
  const char* const first = p;
  uint64_t value = 0;
  p = ReadDigits(p, end, &value);
  if (p - first > 19) return IsJsonNumber(text) ? Fit::kOutOfRange : Fit::kWrongType;
  if (p != end || p == first || (*first == '0' && p - first > 1)) return Fit::kWrongType;
  const uint64_t limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
  if (value > limit) return Fit::kOutOfRange;
  *out = static_cast<int64_t>(negative ? 0 - value : value);
  return Fit::kOk;
}

Fit ParseDouble(std::string_view text, double* out) {
  if (!IsJsonNumber(text)) return Fit::kWrongType;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (error == std::errc()) return Fit::kOk;
  // from_chars reports what underflows and what overflows alike; strtod tells them apart.
  *out = std::strtod(std::string(text).c_str(), nullptr);
  return std::isinf(*out) ? Fit::kOutOfRange : Fit::kOk;
}

Fit ParseDecimal(std::string_view text, int precision, int scale, __int128* out) {
  const NumberParts parts = TakeApart(text);
  if (!parts.ok) return Fit::kBadText;
  Significant significant;
  significant.Add(parts.whole);
  significant.Add(parts.fraction);
  if (significant.overflow) return Fit::kOutOfRange;
  *out = 0;
  if (significant.digits == 0) return Fit::kOk;
  const int64_t power = parts.exponent - static_cast<int64_t>(parts.fraction.size()) + significant.zeros + scale;
  if (power < 0) return Fit::kTooPrecise;
  if (significant.digits + power > precision) return Fit::kOutOfRange;
  unsigned __int128 value = significant.value;
  for (int64_t i = 0; i < power; ++i) value *= 10;
  *out = parts.negative ? -static_cast<__int128>(value) : static_cast<__int128>(value);
  return Fit::kOk;
}

Fit ParseDate(std::string_view text, int32_t* out) {
  int64_t days = 0;
  if (!TakeDate(&text, &days) || !text.empty()) return Fit::kBadText;
  *out = static_cast<int32_t>(days);
  return *out == days ? Fit::kOk : Fit::kOutOfRange;
}

Fit ParseRfc3339(std::string_view text, int64_t* out) {
  int64_t days = 0;
  if (!TakeDate(&text, &days) || text.size() < 10) return Fit::kBadText;
  if ((text[0] != 'T' && text[0] != 't' && text[0] != ' ') || text[3] != ':' || text[6] != ':') return Fit::kBadText;
  const char* const p = text.data();
  const int hour = Digits(p + 1, 2), minute = Digits(p + 4, 2), second = Digits(p + 7, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return Fit::kBadText;
  text.remove_prefix(9);
  const int64_t fraction = TakeFraction(&text);
  int64_t offset = 0;
  if (fraction < 0 || !ParseOffset(text, &offset)) return Fit::kBadText;
  const int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset;
  // In 128 bits: at the very start of 64 bits' range the whole seconds alone lie outside of it.
  const __int128 us = static_cast<__int128>(seconds) * 1'000'000 + fraction;
  *out = static_cast<int64_t>(us);
  return *out == us ? Fit::kOk : Fit::kOutOfRange;
}

std::optional<double> ParseNonFinite(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

Fit ScaleTimestamp(int64_t number, TimestampForm form, int64_t* out) {
  const int64_t unit = form == TimestampForm::kSeconds ? 1'000'000 : form == TimestampForm::kMillis ? 1'000 : 1;
  return __builtin_mul_overflow(number, unit, out) ? Fit::kOutOfRange : Fit::kOk;
}

bool IsJsonNumber(std::string_view text) { return TakeApart(text).ok; }

ScalarText FromPlainText(const Type& type, std::string_view text) {
  using enum ScalarText::Kind;
  switch (type.kind) {
    case Kind::kBool:
      if (text == "true") return {kTrue, text};
      if (text == "false") return {kFalse, text};
      return {kString, text};
    case Kind::kInt32:
    case Kind::kInt64:
      return {IsJsonNumber(text) ? kNumber : kString, text};
    case Kind::kDouble:
      return {IsJsonNumber(text) ? kNumber : kString, text};
    case Kind::kTimestamp:
      if (type.form == TimestampForm::kRfc3339) return {kString, text};
      return {IsJsonNumber(text) ? kNumber : kString, text};
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kDate:
    case Kind::kDecimal:
      return {kString, text};
    case Kind::kJson:
      return {kJson, text};
  }
  return {kString, text};
}

Fit FitsPlainText(const Type& type, std::string_view text) {
  const ScalarText::Kind found = FromPlainText(type, text).kind;
  if (type.kind == Kind::kBool) return found == ScalarText::Kind::kString ? Fit::kWrongType : Fit::kOk;
  int32_t days = 0;
  int64_t integer = 0;
  double real = 0;
  __int128 digits = 0;
  std::string bytes;
  switch (type.kind) {
    case Kind::kBool:
    case Kind::kString:
      return Fit::kOk;
    case Kind::kBytes:
      return absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes) ? Fit::kOk : Fit::kBadText;
    case Kind::kDate:
      return ParseDate(text, &days);
    case Kind::kDecimal:
      return ParseDecimal(text, type.precision, type.scale, &digits);
    case Kind::kTimestamp:
      if (type.form == TimestampForm::kRfc3339) return ParseRfc3339(text, &integer);
      break;
    case Kind::kJson:
      return IsJson(text) ? Fit::kOk : Fit::kBadText;
    case Kind::kDouble:
      if (ParseNonFinite(text)) return Fit::kOk;
      break;
    case Kind::kInt32:
    case Kind::kInt64:
      break;
  }
  if (found != ScalarText::Kind::kNumber) return Fit::kWrongType;
  if (type.kind == Kind::kDouble) return ParseDouble(text, &real);
  const Fit fit = ParseInt64(text, &integer);
  if (fit != Fit::kOk) return fit;
  if (type.kind == Kind::kTimestamp) return ScaleTimestamp(integer, type.form, &integer);
  const bool small = integer >= std::numeric_limits<int32_t>::min() && integer <= std::numeric_limits<int32_t>::max();
  return type.kind == Kind::kInt64 || small ? Fit::kOk : Fit::kOutOfRange;
}

std::string Excerpt(std::string_view text) {
  constexpr size_t kMax = 64;
  const bool cut = text.size() > kMax;
  size_t n = cut ? kMax : text.size();
  // Not in the middle of a character.
  while (cut && n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(absl::string_view(text.data(), n)), cut ? "...\"" : "\"");
}

std::string Describe(Fit fit, const Type& type, const ScalarText& value) {
  switch (fit) {
    case Fit::kOk:
      return "";
    case Fit::kWrongType:
      if (value.kind == ScalarText::Kind::kNumber) {
        return absl::StrCat("expected ", TypeName(type), ", found ", std::string(value.text.substr(0, 64)));
      }
      return absl::StrCat("expected ", TypeName(type), std::string(Notation(type)), ", found ",
                          std::string(KindName(value.kind)));
    case Fit::kOutOfRange:
      return absl::StrCat(std::string(value.text.substr(0, 64)), " is out of range for ", TypeName(type));
    case Fit::kTooPrecise:
      return absl::StrCat(std::string(value.text.substr(0, 64)), " has more than ", type.scale, " fractional digits, ",
                          TypeName(type), " can't hold it exactly");
    case Fit::kBadText:
      return absl::StrCat(Excerpt(value.text), " is not a ", TypeName(type), std::string(Notation(type)));
    case Fit::kNotUtf8:
      return "invalid UTF-8";
    case Fit::kTooLarge:
      return "the batch holds more than 2 GiB of text";
  }
  return "";
}

}  // namespace tidemark
