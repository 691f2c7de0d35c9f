#include "src/expr/text_form.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/loose_text.h"
#include "src/expr/calendar.h"
#include "src/expr/decimal.h"

namespace tidemark::internal {
namespace {

// Errors go into logs and headers: as much of a long text as shows what it is.
std::string Quoted(std::string_view text) {
  constexpr size_t kMost = 64;
  size_t size = text.size();
  if (size > kMost) {
    for (size = kMost; size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80;) --size;
  }
  return absl::StrCat("\"", std::string(text.substr(0, size)), size < text.size() ? "...\"" : "\"");
}

bool BadSyntax(std::string_view type, std::string_view text, std::string* error) {
  *error = absl::StrCat("invalid input syntax for type ", std::string(type), ": ", Quoted(text));
  return false;
}

template <typename T>
bool ReadInteger(std::string_view text, std::string_view type, T* value, std::string* error) {
  std::string_view digits = Trimmed(text);
  if (digits.starts_with('+') && digits.size() > 1 && absl::ascii_isdigit(digits[1])) digits.remove_prefix(1);
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  if (end != digits.data() + digits.size() || code == std::errc::invalid_argument) return BadSyntax(type, text, error);
  if (code == std::errc()) return true;
  *error = absl::StrCat("value ", Quoted(text), " is out of range for type ", std::string(type));
  return false;
}

bool TimeFailure(TimeError failure, std::string_view type, std::string_view text, std::string* error) {
  if (failure == TimeError::kSyntax) return BadSyntax(type, text, error);
  *error = absl::StrCat(
      failure == TimeError::kRange ? "date/time field value out of range: " : "time zone displacement out of range: ",
      Quoted(text));
  return false;
}

}  // namespace

bool ReadBool(std::string_view text, bool* value, std::string* error) {
  const std::optional<bool> is = BoolOfWord(Trimmed(text));
  if (!is) return BadSyntax("boolean", text, error);
  *value = *is;
  return true;
}

bool ReadInt32(std::string_view text, int32_t* value, std::string* error) {
  return ReadInteger(text, "integer", value, error);
}

bool ReadInt64(std::string_view text, int64_t* value, std::string* error) {
  return ReadInteger(text, "bigint", value, error);
}

bool ReadDouble(std::string_view text, double* value, std::string* error) {
  std::string number(Trimmed(text));
  char* end = nullptr;
  *value = std::strtod(number.c_str(), &end);
  if (number.empty() || end != number.c_str() + number.size()) return BadSyntax("double precision", text, error);
  bool spelled = absl::ascii_isalpha(number.back());
  bool nonzero = number.find_first_of("123456789") < number.find_first_of("eE");
  if ((std::isinf(*value) && !spelled) || (*value == 0 && nonzero)) {
    *error = absl::StrCat(Quoted(number), " is out of range for type double precision");
    return false;
  }
  return true;
}

bool ReadDecimal(std::string_view text, const Type& type, __int128* value, std::string* error) {
  DecimalError failure;
  auto parsed = ParseDecimal(text, type.scale, &failure);
  if (!parsed && failure == DecimalError::kSyntax) return BadSyntax("numeric", text, error);
  if (!parsed || !FitsDigits(parsed->value, type.precision)) {
    *error = "numeric field overflow";
    return false;
  }
  *value = parsed->value;
  return true;
}

bool ReadDate(std::string_view text, int32_t* value, std::string* error) {
  TimeError failure;
  auto parsed = ParseDate(text, &failure);
  if (!parsed) return TimeFailure(failure, "date", text, error);
  *value = *parsed;
  return true;
}

bool ReadTimestamp(std::string_view text, int64_t* value, std::string* error) {
  TimeError failure;
  auto parsed = ParseTimestamp(text, &failure);
  if (!parsed) return TimeFailure(failure, "timestamp with time zone", text, error);
  *value = *parsed;
  return true;
}

bool ReadBytes(std::string_view text, std::string* value, std::string* error) {
  value->clear();
  if (text.starts_with("\\x")) {
    std::string digits;
    for (char c : text.substr(2)) {
      if (absl::ascii_isspace(c)) continue;
      if (!absl::ascii_isxdigit(c)) {
        *error = absl::StrCat("invalid hexadecimal digit: \"", std::string(1, c), "\"");
        return false;
      }
      digits += c;
    }
    if (digits.size() % 2 != 0) {
      *error = "invalid hexadecimal data: odd number of digits";
      return false;
    }
    *value = absl::HexStringToBytes(digits);
    return true;
  }
  auto octal = [&](size_t i, char most) { return i < text.size() && text[i] >= '0' && text[i] <= most; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      *value += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      *value += text[++i];
    } else if (octal(i + 1, '3') && octal(i + 2, '7') && octal(i + 3, '7')) {
      *value += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      *error = "invalid input syntax for type bytea";
      return false;
    }
  }
  return true;
}

// The shortest digits that read back as the same number; PostgreSQL leaves positional notation at 1e-5 and 1e15.
void AppendDouble(double value, std::string* out) {
  if (std::isnan(value)) {
    out->append("NaN");
  } else if (std::isinf(value)) {
    out->append(value < 0 ? "-Infinity" : "Infinity");
  } else {
    char buffer[32];
    auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
    std::string_view text(buffer, static_cast<size_t>(end - buffer));
    int exponent = std::atoi(std::string(text.substr(text.find('e') + 1)).c_str());
    if (exponent >= -4 && exponent < 15) {
      char fixed[64];
      end = std::to_chars(fixed, fixed + sizeof(fixed), value, std::chars_format::fixed).ptr;
      out->append(fixed, static_cast<size_t>(end - fixed));
    } else {
      out->append(text);
    }
  }
}

void AppendBytes(std::string_view value, std::string* out) {
  absl::StrAppend(out, "\\x", absl::BytesToHexString(absl::string_view(value.data(), value.size())));
}

}  // namespace tidemark::internal
