#include "src/codec/coerce.h"

#include <absl/strings/ascii.h>

namespace tidemark {
namespace {

using SKind = ScalarText::Kind;  // Kind is the type's

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

// PostgreSQL's: beginnings of true, false, yes and no, and on, of(f), 1, 0, in letters of any size.
std::optional<bool> BoolOf(std::string_view text) {
  const std::string word = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  const auto begins = [&](std::string_view whole, size_t least) {
    return word.size() >= least && whole.substr(0, word.size()) == word;
  };
  if (word == "1" || word == "on" || begins("true", 1) || begins("yes", 1)) return true;
  if (word == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1)) return false;
  return std::nullopt;
}

// Text as a number of JSON's grammar, into `out`: without plus sign and leading zeros, with digits on both sides of a
// point.
bool NumberOf(std::string_view text, std::string* out) {
  const auto digit = [](std::string_view s, size_t i) {
    return i < s.size() && absl::ascii_isdigit(static_cast<unsigned char>(s[i]));
  };
  text = Trimmed(text);
  out->clear();
  if (text.starts_with('-')) out->push_back('-');
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text.starts_with('-')) return false;  // JSON's grammar would take it for the sign
  while (digit(text, 0) && digit(text, 1) && text[0] == '0') text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view rest = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() && !digit(rest, 0)) return false;
  out->append(whole.empty() ? "0" : whole);
  if (digit(rest, 0)) out->push_back('.');
  out->append(rest);
  return IsJsonNumber(*out);
}

// "5.00" becomes "5". False: the fraction isn't empty.
bool DropFraction(std::string* number) {
  const size_t point = number->find('.');
  if (point == std::string::npos) return true;
  if (number->find_first_not_of('0', point + 1) != std::string::npos) return false;
  number->resize(point);
  return true;
}

}  // namespace

std::optional<ScalarText> Coerce(const Type& type, const ScalarText& value, std::string* scratch) {
  const bool text = value.kind == SKind::kString, number = value.kind == SKind::kNumber;
  const bool truth = value.kind == SKind::kTrue || value.kind == SKind::kFalse;
  switch (type.kind) {
    case Kind::kBool: {
      if (!text && !number) return std::nullopt;
      const std::optional<bool> is = BoolOf(Trimmed(value.text));
      if (!is) return std::nullopt;
      return ScalarText{*is ? SKind::kTrue : SKind::kFalse, value.text, std::nullopt};
    }
    case Kind::kString:
      if (number) return ScalarText{SKind::kString, value.text, std::nullopt};
      if (truth) return ScalarText{SKind::kString, value.kind == SKind::kTrue ? "true" : "false", std::nullopt};
      return std::nullopt;
    case Kind::kTimestamp:
      if (type.form == TimestampForm::kRfc3339) return std::nullopt;
      [[fallthrough]];
    case Kind::kInt32:
    case Kind::kInt64:
      if (number) scratch->assign(value.text);
      if (!number && !(text && NumberOf(value.text, scratch))) return std::nullopt;
      if (!DropFraction(scratch)) return std::nullopt;
      return ScalarText{SKind::kNumber, *scratch, std::nullopt};
    case Kind::kDouble:
    case Kind::kDecimal:
      if (!text || !NumberOf(value.text, scratch)) return std::nullopt;
      return ScalarText{SKind::kNumber, *scratch, std::nullopt};
    default:
      return std::nullopt;
  }
}

}  // namespace tidemark
