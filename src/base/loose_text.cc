#include "src/base/loose_text.h"

#include <absl/strings/ascii.h>

#include "src/base/value_text.h"

namespace tidemark {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::optional<bool> BoolOfWord(std::string_view text) {
  const std::string word = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  const auto begins = [&](std::string_view whole, size_t least) {
    return word.size() >= least && whole.starts_with(word);
  };
  if (word == "1" || word == "on" || begins("true", 1) || begins("yes", 1)) return true;
  if (word == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1)) return false;
  return std::nullopt;
}

bool NumberAsJson(std::string_view text, std::string* out) {
  const auto digit = [](std::string_view s, size_t i) {
    return i < s.size() && absl::ascii_isdigit(static_cast<unsigned char>(s[i]));
  };
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

}  // namespace tidemark
