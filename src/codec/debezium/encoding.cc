#include "src/codec/debezium/encoding.h"

#include <algorithm>

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "src/codec/time_of_day.h"

namespace tidemark::debezium {
namespace {

constexpr size_t kMostDigits = 40;

Reading Refuse(std::string reason) { return {Encoding::kRefused, 0, std::move(reason)}; }

// What a database's type, by the name that the schema part gives it, is read from and into.
struct Meaning {
  std::string_view name, short_name;
  Encoding encoding;
  Kind kind;  // of the column
};
constexpr Meaning kMeanings[] = {
    {"io.debezium.time.Date", "Date", Encoding::kDays, Kind::kDate},
    {"org.apache.kafka.connect.data.Date", "", Encoding::kDays, Kind::kDate},
    {"io.debezium.time.IsoDate", "IsoDate", Encoding::kIsoDate, Kind::kDate},
    {"io.debezium.time.Timestamp", "Timestamp", Encoding::kMillis, Kind::kTimestamp},
    {"org.apache.kafka.connect.data.Timestamp", "", Encoding::kMillis, Kind::kTimestamp},
    {"io.debezium.time.MicroTimestamp", "MicroTimestamp", Encoding::kMicros, Kind::kTimestamp},
    {"io.debezium.time.NanoTimestamp", "NanoTimestamp", Encoding::kNanos, Kind::kTimestamp},
    {"io.debezium.time.ZonedTimestamp", "ZonedTimestamp", Encoding::kIsoTimestamp, Kind::kTimestamp},
    {"io.debezium.time.IsoTimestamp", "IsoTimestamp", Encoding::kIsoTimestamp, Kind::kTimestamp},
    {"io.debezium.time.Time", "Time", Encoding::kTimeMillis, Kind::kString},
    {"org.apache.kafka.connect.data.Time", "", Encoding::kTimeMillis, Kind::kString},
    {"io.debezium.time.MicroTime", "MicroTime", Encoding::kTimeMicros, Kind::kString},
    {"io.debezium.time.NanoTime", "NanoTime", Encoding::kTimeNanos, Kind::kString},
    {"io.debezium.time.ZonedTime", "ZonedTime", Encoding::kPlain, Kind::kString},
    {"io.debezium.time.IsoTime", "IsoTime", Encoding::kPlain, Kind::kString},
    {"io.debezium.time.Year", "", Encoding::kPlain, Kind::kInt32},
    {"io.debezium.data.Enum", "", Encoding::kPlain, Kind::kString},
    {"io.debezium.data.EnumSet", "", Encoding::kPlain, Kind::kString},
    {"io.debezium.data.Uuid", "", Encoding::kPlain, Kind::kString},
    {"io.debezium.data.Json", "", Encoding::kPlain, Kind::kString},
    {"io.debezium.data.Json", "", Encoding::kJsonText, Kind::kJson},
    {"io.debezium.data.Xml", "", Encoding::kPlain, Kind::kString},
    {"io.debezium.data.Ltree", "", Encoding::kPlain, Kind::kString},
    {"org.apache.kafka.connect.data.Decimal", "", Encoding::kDecimalBytes, Kind::kDecimal},
    {"io.debezium.data.VariableScaleDecimal", "VariableScaleDecimal", Encoding::kDecimalStruct, Kind::kDecimal},
};

struct Unreadable {
  std::string_view name, what;
};
constexpr Unreadable kUnreadable[] = {
    {"io.debezium.data.Bits", "a bit string"},
    {"io.debezium.time.Interval", "an interval"},
    {"io.debezium.time.MicroDuration", "an interval"},
    {"io.debezium.time.NanoDuration", "an interval"},
};

bool IsWhole(const Type& type) { return type.kind == Kind::kInt32 || type.kind == Kind::kInt64; }

Reading Mismatch(std::string_view type, std::string_view name, const Type& column) {
  return Refuse(absl::StrCat("the table has ", std::string(name.empty() ? type : name), ", which isn't read as ",
                             TypeName(column)));
}

// Types that mean what they are.
Reading OfPlain(std::string_view type, const Type& column) {
  const bool number = absl::StartsWith(absl::string_view(type.data(), type.size()), "int");
  const bool real = type == "float" || type == "double" || type == "float32" || type == "float64";
  bool fits = false;
  switch (column.kind) {
    case Kind::kBool:
      fits = type == "boolean";
      break;
    case Kind::kInt32:
    case Kind::kInt64:
      fits = number;
      break;
    case Kind::kDouble:
      fits = number || real;
      break;
    case Kind::kDecimal:
      if (type == "string") return {Encoding::kDecimalText, 0, ""};
      fits = number || real;
      break;
    case Kind::kString:
      fits = type == "string";
      break;
    case Kind::kJson:  // MariaDB's JSON is a text with a check
      if (type == "string") return {Encoding::kJsonText, 0, ""};
      break;
    case Kind::kBytes:
      fits = type == "bytes";
      break;
    default:
      break;
  }
  return fits ? Reading() : Mismatch(type, "", column);
}

// Elements that JSON has as they are: those of other types (days, bytes of decimals) would be read as what they aren't.
bool IsPlainItem(const TableType& of) {
  constexpr std::string_view kTypes[] = {"boolean", "int8", "int16", "int32", "int64", "float", "double", "string"};
  constexpr std::string_view kNames[] = {"", "io.debezium.data.Uuid", "io.debezium.data.Enum",
                                         "io.debezium.time.ZonedTimestamp", "io.debezium.time.ZonedTime"};
  return std::find(std::begin(kTypes), std::end(kTypes), of.item) != std::end(kTypes) &&
         std::find(std::begin(kNames), std::end(kNames), of.item_name) != std::end(kNames);
}

std::string NotImplemented(const TableType& of) {
  const std::string item(of.item_name.empty() ? of.item : of.item_name);
  return absl::StrCat("the table has ",
                      of.type == "array" ? absl::StrCat("an array", item.empty() ? "" : " of ", item)
                      : of.name.empty()  ? "a structure"
                                         : std::string(of.name),
                      ", which isn't implemented",
                      of.type == "array" ? " (arrays of plain values are, as columns of type json)" : "",
                      ": leave the column out");
}

std::optional<std::string> SetTime(size_t column, int64_t number, Encoding encoding, ColumnSet* columns) {
  int64_t us = number;
  Fit fit = Fit::kOk;
  if (encoding == Encoding::kMillis) fit = ScaleTimestamp(number, TimestampForm::kMillis, &us);
  if (encoding == Encoding::kNanos) us = number / 1000 - (number % 1000 < 0 ? 1 : 0);
  if (fit != Fit::kOk) return columns->Reject(column, absl::StrCat(number, " ms since 1970 is out of range"));
  return columns->SetInt64(column, us);
}

std::optional<std::string> SetTimeOfDay(size_t column, int64_t number, Encoding encoding, ColumnSet* columns) {
  int64_t us = number;
  bool fits = true;
  if (encoding == Encoding::kTimeMillis) fits = !__builtin_mul_overflow(number, int64_t{1000}, &us);
  if (encoding == Encoding::kTimeNanos) us = number / 1000;
  const auto text = fits ? TimeOfDayText(us) : std::nullopt;
  if (!text) return columns->Reject(column, absl::StrCat(number, " isn't a time of a day"));
  return columns->SetRaw(column, *text);
}

// The decimal's digits, with a point in front of the last `scale`.
std::string DecimalText(__int128 unscaled, int scale) {
  const bool negative = unscaled < 0;
  auto rest = negative ? -static_cast<unsigned __int128>(unscaled) : static_cast<unsigned __int128>(unscaled);
  std::string digits;
  for (; rest != 0; rest /= 10) digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
  if (scale < 0 && !digits.empty()) digits.insert(0, std::string(static_cast<size_t>(-scale), '0'));
  const size_t behind = scale > 0 ? static_cast<size_t>(scale) : 0;
  while (digits.size() <= behind) digits.push_back('0');
  std::string text = negative ? "-" : "";
  std::reverse(digits.begin(), digits.end());
  text.append(digits, 0, digits.size() - behind);
  if (behind > 0) text.append(".").append(digits, digits.size() - behind, behind);
  return text;
}

std::optional<std::string> Expected(std::string_view what, size_t column, const ScalarText& value, ColumnSet* columns) {
  const bool text = value.kind == ScalarText::Kind::kString;
  return columns->Reject(column, absl::StrCat("expected ", std::string(what), ", found ",
                                              text ? Excerpt(value.text) : std::string(value.text)));
}

}  // namespace

std::optional<std::string> SetDecimal(size_t column, std::string_view base64, int scale, ColumnSet* columns) {
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(base64.data(), base64.size()), &bytes) || bytes.empty()) {
    return columns->Reject(column, absl::StrCat("expected the bytes of a decimal in base64, found ", Excerpt(base64)));
  }
  if (bytes.size() > sizeof(__int128) || scale > static_cast<int>(kMostDigits) ||
      -scale > static_cast<int>(kMostDigits)) {
    return columns->Reject(column, "the number has more digits than a decimal column holds");
  }
  unsigned __int128 unscaled = static_cast<signed char>(bytes[0]) < 0 ? ~static_cast<unsigned __int128>(0) : 0;
  for (const char byte : bytes) unscaled = unscaled << 8 | static_cast<uint8_t>(byte);
  const std::string text = DecimalText(static_cast<__int128>(unscaled), scale);
  return columns->Set(column, {ScalarText::Kind::kNumber, text});
}

Reading ReadingOf(const TableType& of, const Type& column) {
  for (const Unreadable& unreadable : kUnreadable) {
    if (unreadable.name != of.name) continue;
    return Refuse(absl::StrCat("the table has ", std::string(unreadable.what), " (", std::string(of.name),
                               "), which isn't implemented: leave the column out"));
  }
  bool known = false;
  for (const Meaning& meaning : kMeanings) {
    if (meaning.name != of.name) continue;
    known = true;
    if (meaning.kind != column.kind && !(meaning.kind == Kind::kInt32 && IsWhole(column))) continue;
    if (meaning.encoding == Encoding::kDecimalBytes && !of.scale) return Refuse("the schema part names no scale");
    return {meaning.encoding, of.scale.value_or(0), ""};
  }
  if (known) return Mismatch(of.type, of.name, column);
  if (of.type == "array" && column.kind == Kind::kJson && IsPlainItem(of)) return {Encoding::kArray, 0, ""};
  if (of.type == "array" || of.type == "map" || of.type == "struct") return Refuse(NotImplemented(of));
  return OfPlain(of.type, column);
}

std::optional<Reading> ReadingAs(std::string_view as, const Type& column) {
  const absl::string_view text(as.data(), as.size());
  if (column.kind == Kind::kBytes && as == "base64") return Reading();
  if (column.kind == Kind::kDecimal) {
    if (as == "text") return Reading{Encoding::kDecimalText, 0, ""};
    if (as == "double") return Reading();
    absl::string_view number = text;
    int scale = 0;
    if (absl::ConsumePrefix(&number, "Decimal(") && absl::ConsumeSuffix(&number, ")") &&
        absl::SimpleAtoi(number, &scale) && scale >= 0 && scale <= 38) {
      return Reading{Encoding::kDecimalBytes, scale, ""};
    }
  }
  for (const Meaning& meaning : kMeanings) {
    if (meaning.short_name.empty() || meaning.kind != column.kind) continue;
    if (meaning.short_name == as || meaning.name == as) return Reading{meaning.encoding, 0, ""};
  }
  return std::nullopt;
}

std::string AsFor(const Type& column) {
  if (column.kind == Kind::kString) return "";  // a time of a day may be one
  std::string words = column.kind == Kind::kDecimal ? "Decimal(SCALE), text, double"
                      : column.kind == Kind::kBytes ? "base64"  // binary.handling.mode has others, which look like it
                                                    : "";
  for (const Meaning& meaning : kMeanings) {
    if (meaning.short_name.empty() || meaning.kind != column.kind) continue;
    absl::StrAppend(&words, words.empty() ? "" : ", ",
                    absl::string_view(meaning.short_name.data(), meaning.short_name.size()));
  }
  return words;
}

std::optional<std::string> SetValue(const Reading& reading, size_t column, const ScalarText& value,
                                    ColumnSet* columns) {
  if (value.kind == ScalarText::Kind::kNull || reading.encoding == Encoding::kPlain) return columns->Set(column, value);
  if (reading.encoding == Encoding::kRefused) return columns->Reject(column, reading.refusal);
  const bool text = value.kind == ScalarText::Kind::kString;
  int64_t number = 0;
  switch (reading.encoding) {
    case Encoding::kIsoTimestamp:
      if (!text || ParseRfc3339(value.text, &number) != Fit::kOk)
        return Expected("RFC 3339 text", column, value, columns);
      return columns->SetInt64(column, number);
    case Encoding::kIsoDate: {
      int32_t days = 0;
      std::string_view date = value.text;
      if (text && !date.empty() && date.back() == 'Z') date.remove_suffix(1);
      if (!text || ParseDate(date, &days) != Fit::kOk) return Expected("a date", column, value, columns);
      return columns->SetInt64(column, days);
    }
    case Encoding::kJsonText:
      // Without a schema part nothing tells jsonb from an array, nor that from hstore.
      if (value.kind == ScalarText::Kind::kArray || value.kind == ScalarText::Kind::kObject) {
        return columns->Set(column, value);
      }
      if (!text) return Expected("text that is JSON", column, value, columns);
      return columns->Set(column, {ScalarText::Kind::kJson, value.text, std::nullopt});
    case Encoding::kArray:
      if (value.kind != ScalarText::Kind::kArray) return Expected("an array", column, value, columns);
      return columns->Set(column, value);
    case Encoding::kDecimalText:
      if (!text || !IsJsonNumber(value.text)) return Expected("a decimal as text", column, value, columns);
      return columns->Set(column, {ScalarText::Kind::kNumber, value.text});
    case Encoding::kDecimalBytes:
      if (!text) return Expected("the bytes of a decimal in base64", column, value, columns);
      return SetDecimal(column, value.text, reading.scale, columns);
    case Encoding::kDecimalStruct:
      return Expected("an object of scale and value", column, value, columns);
    default:
      break;
  }
  if (value.kind != ScalarText::Kind::kNumber || ParseInt64(value.text, &number) != Fit::kOk) {
    return Expected("a whole number", column, value, columns);
  }
  switch (reading.encoding) {
    case Encoding::kDays:
      if (number < INT32_MIN || number > INT32_MAX) return columns->Reject(column, "the date is out of range");
      return columns->SetInt64(column, number);
    case Encoding::kMillis:
    case Encoding::kMicros:
    case Encoding::kNanos:
      return SetTime(column, number, reading.encoding, columns);
    default:
      return SetTimeOfDay(column, number, reading.encoding, columns);
  }
}

}  // namespace tidemark::debezium
