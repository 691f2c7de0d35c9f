// The text of values: what a JSON token, a record key, a header or a CSV field must look like to become a value of a
// Type. Pure functions, without allocation; usable from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/schema.h"

namespace tidemark {

// A value as it stands in its source, before it is known which column it goes to.
struct ScalarText {
  enum class Kind { kNull, kTrue, kFalse, kNumber, kString, kObject, kArray, kJson };

  Kind kind = Kind::kNull;
  // kNumber: as written; kString: without quotes and escapes, valid UTF-8; kObject, kArray: as written, valid JSON;
  // kJson: what has yet to be seen to be JSON, valid UTF-8.
  std::string_view text;
  std::optional<int64_t> integer;  // kNumber: its value, where whoever read it has met it as an integer
};

// Why a value can't be a column's.
enum class Fit {
  kOk,
  kWrongType,   // another kind of value
  kOutOfRange,  // a number that the type can't hold
  kTooPrecise,  // decimals: more fractional digits than the scale
  kBadText,     // text that isn't written as the type demands
  kNotUtf8,
  kTooLarge,  // the batch's text exceeds what one column holds (2 GiB)
};

// An integer in JSON's grammar; "1.0" and "1e3" are kWrongType.
Fit ParseInt64(std::string_view text, int64_t* out);
// A number in JSON's grammar. What is too small becomes 0 or a denormal, what is too large is kOutOfRange.
Fit ParseDouble(std::string_view text, double* out);
// A number in JSON's grammar, exactly: the unscaled value.
Fit ParseDecimal(std::string_view text, int precision, int scale, __int128* out);
// What JSON has no number for: "NaN", "Infinity", "-Infinity".
std::optional<double> ParseNonFinite(std::string_view text);
// YYYY-MM-DD: days since 1970-01-01. Years before 0 and behind 9999 have a sign and six digits or seven, as they are
// written.
Fit ParseDate(std::string_view text, int32_t* out);
// RFC 3339 with its offset, and such years: microseconds since the epoch. Digits behind the sixth are dropped (towards
// the past), so that a row never moves into the next window; a leap second, second 60, is the first of the next minute.
// Casts keep to the same rule (src/expr/calendar.h).
Fit ParseRfc3339(std::string_view text, int64_t* out);
// A number of seconds, milliseconds or microseconds as microseconds.
Fit ScaleTimestamp(int64_t number, TimestampForm form, int64_t* out);

bool IsJsonNumber(std::string_view text);

// Text that stands by itself - a key, a header, a default, a CSV field - as the value it would be in JSON.
ScalarText FromPlainText(const Type& type, std::string_view text);
// Whether such a text is a value of the type.
Fit FitsPlainText(const Type& type, std::string_view text);

// "expected int64, found string"; "99999999999 is out of range for int32".
std::string Describe(Fit fit, const Type& type, const ScalarText& value);

// The text in quotes, cut after 64 bytes, safe to show.
std::string Excerpt(std::string_view text);

}  // namespace tidemark
