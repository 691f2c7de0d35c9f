// Arrays, maps and records of Avro as JSON: what a column of type json takes of them.
//
//   null, boolean, string, enum    as they are
//   int, long, float, double       numbers; NaN and infinite ones as text
//   decimal                        a number
//   bytes, fixed                   text in base64; a uuid is its text
//   date, timestamps               text, 2026-01-31 and 2026-01-31T12:34:56Z; times of day stay numbers
//   union                          the value of its branch
//   array, map, record             array, object
#include <array>
#include <charconv>

#include <absl/strings/escaping.h>

#include "src/base/json_text.h"
#include "src/base/time.h"
#include "src/base/value_text.h"
#include "src/codec/avro/scanner.h"

namespace tidemark {
namespace {

// Elements without bytes may be any number, and a record's text is to have an end.
constexpr size_t kMostBytes = 16 << 20;
constexpr int64_t kMostDays = 100'000'000;

template <typename T>
void AppendReal(T value, std::string* json) {
  if (value - value != 0) {
    absl::StrAppend(json, "\"", value != value ? "NaN" : value > 0 ? "Infinity" : "-Infinity", "\"");
    return;
  }
  std::array<char, 32> digits{};
  json->append(digits.data(),
               static_cast<size_t>(std::to_chars(digits.begin(), digits.end(), value).ptr - digits.data()));
}

// A number that is a time, as text; one that is none stays a number.
void AppendNumber(AvroLogical logical, int64_t number, std::string* json) {
  int64_t us = number;
  bool time = true;
  switch (logical) {
    case AvroLogical::kDate:
      time = number >= -kMostDays && number <= kMostDays;
      us = time ? number * 86'400 * kSecond : 0;
      break;
    case AvroLogical::kTimestampMillis:
      time = ScaleTimestamp(number, TimestampForm::kMillis, &us) == Fit::kOk;
      break;
    case AvroLogical::kTimestampMicros:
      break;
    case AvroLogical::kTimestampNanos:
      us = number / 1000 - (number % 1000 < 0 ? 1 : 0);
      break;
    default:
      time = false;
  }
  if (!time) {
    absl::StrAppend(json, number);
    return;
  }
  std::string text = TimestampText(us, TimestampForm::kRfc3339);
  if (logical == AvroLogical::kDate) text.resize(text.find('T'));
  AppendJsonString(text, json);
}

}  // namespace

bool AvroScanner::TextAsJson(std::string_view text, std::string* json) {
  if (!IsUtf8(text)) return Fail("invalid UTF-8");
  AppendJsonString(text, json);
  return true;
}

bool AvroScanner::ItemsAsJson(const AvroNode& node, std::string* json) {
  const bool map = node.type == AvroType::kMap;
  json->push_back(map ? '{' : '[');
  for (bool first = true;;) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) break;
    for (; count > 0; --count) {
      if (!std::exchange(first, false)) json->push_back(',');
      std::string_view key;
      if (map && (!Text(&key) || !TextAsJson(key, json))) return false;
      if (map) json->push_back(':');
      if (!TreeAsJson(*node.members[0], json)) return false;
    }
  }
  json->push_back(map ? '}' : ']');
  return true;
}

bool AvroScanner::TreeAsJson(const AvroNode& node, std::string* json) {
  if (json->size() > kMostBytes) return Fail("more than 16 MiB as JSON");
  int64_t number = 0;
  double real = 0;
  bool truth = false;
  std::string_view text;
  switch (node.type) {
    case AvroType::kNull:
      json->append("null");
      return true;
    case AvroType::kBoolean:
      if (!Bool(&truth)) return false;
      json->append(truth ? "true" : "false");
      return true;
    case AvroType::kInt:
    case AvroType::kLong:
      if (!(node.type == AvroType::kInt ? Int(&number) : Long(&number))) return false;
      AppendNumber(node.logical, number, json);
      return true;
    case AvroType::kFloat:
      if (!Real<float>(&real)) return false;
      AppendReal(static_cast<float>(real), json);
      return true;
    case AvroType::kDouble:
      if (!Real<double>(&real)) return false;
      AppendReal(real, json);
      return true;
    case AvroType::kString:
      return Text(&text) && TextAsJson(text, json);
    case AvroType::kEnum:
      if (!Index(static_cast<uint32_t>(node.symbols.size()), "a symbol that its enum doesn't have", &number))
        return false;
      AppendJsonString(node.symbols[static_cast<size_t>(number)], json);
      return true;
    case AvroType::kBytes:
    case AvroType::kFixed: {
      if (!(node.type == AvroType::kBytes ? Text(&text) : Bytes(static_cast<size_t>(node.size), &text))) return false;
      __int128 digits = 0;
      if (node.logical == AvroLogical::kDecimal && ReadDigits(text, &digits)) {
        json->append(DecimalText(digits, node.scale));
      } else if (node.logical == AvroLogical::kUuid && text.size() == 16) {
        const std::array<char, 36> uuid = UuidText(text);
        AppendJsonString({uuid.data(), uuid.size()}, json);
      } else {
        AppendJsonString(absl::Base64Escape(absl::string_view(text.data(), text.size())), json);
      }
      return true;
    }
    case AvroType::kUnion:
      return Index(static_cast<uint32_t>(node.members.size()), "a branch that its union doesn't have", &number) &&
             TreeAsJson(*node.members[static_cast<size_t>(number)], json);
    case AvroType::kArray:
    case AvroType::kMap:
      return ItemsAsJson(node, json);
    case AvroType::kRecord:
      break;
  }
  json->push_back('{');
  for (size_t i = 0; i < node.fields.size(); ++i) {
    if (i > 0) json->push_back(',');
    AppendJsonString(node.fields[i].name, json);
    json->push_back(':');
    if (!TreeAsJson(*node.fields[i].type, json)) return false;
  }
  json->push_back('}');
  return true;
}

}  // namespace tidemark
