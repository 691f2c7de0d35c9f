// Values as people and other systems write them, more freely than JSON does: with blanks around, with plus signs and
// leading zeros, with yes and no. Pure functions, usable from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

// Without the blanks at both ends.
std::string_view Trimmed(std::string_view text);

// As PostgreSQL reads a boolean: beginnings of true, false, yes and no, and on, of(f), 1, 0, in letters of any size.
std::optional<bool> BoolOfWord(std::string_view text);

// A number as JSON writes it, into `out`: without plus sign and leading zeros, with digits on both sides of a point, so
// that "+5", "007", ".5" and "5." are numbers too. False: the text is none.
bool NumberAsJson(std::string_view text, std::string* out);

}  // namespace tidemark
