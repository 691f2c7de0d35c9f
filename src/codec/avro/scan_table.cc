// What Avro's values mean in changes of a table (AvroTable): times of a day, texts in ISO's forms, arrays as JSON, and
// values that are left out as they haven't changed.
#include <array>
#include <charconv>

#include "src/base/json_text.h"
#include "src/base/value_text.h"
#include "src/codec/avro/scanner.h"
#include "src/codec/time_of_day.h"

namespace tidemark {
bool AvroScanner::ReadOfTable(const AvroStep& step) {
  int64_t number = 0;
  double real = 0;
  std::string_view text;
  switch (step.op) {
    case AvroOp::kFloatToDecimal:
      return Real<float>(&real) && SetReal(step, real);
    case AvroOp::kDoubleToDecimal:
      return Real<double>(&real) && SetReal(step, real);
    case AvroOp::kNumberText:
      return Long(&number) && Took(columns_->SetRaw(step.column, absl::StrCat(number)));
    case AvroOp::kTimeOfDay:
      return Long(&number) && SetTimeOfDay(step, number);
    case AvroOp::kIsoDate:
    case AvroOp::kIsoTimestamp:
      return Text(&text) && SetIso(step, text);
    default: {
      std::string json;
      return ArrayAsJson(plan_.plain[step.arg], &json) && SetJson(step, json);
    }
  }
}

// As JSON has it: the shortest digits that bring it back.
bool AvroScanner::SetReal(const AvroStep& step, double value) {
  std::array<char, 32> text{};
  const auto [end, error] = step.op == AvroOp::kFloatToDecimal
                                ? std::to_chars(text.begin(), text.end(), static_cast<float>(value))
                                : std::to_chars(text.begin(), text.end(), value);
  const std::string_view digits(text.data(), static_cast<size_t>(end - text.data()));
  if (value - value != 0) return Took(columns_->Reject(step.column, absl::StrCat(value, " is no decimal")));
  return Took(columns_->Set(step.column, {ScalarText::Kind::kNumber, digits, std::nullopt}));
}

bool AvroScanner::SetTimeOfDay(const AvroStep& step, int64_t value) {
  const auto unit = static_cast<AvroLogical>(step.arg);
  int64_t us = value;
  bool fits = true;
  if (unit == AvroLogical::kTimeMillis) fits = !__builtin_mul_overflow(value, int64_t{1000}, &us);
  if (unit == AvroLogical::kTimeNanos) us = value / 1000;
  const auto text = fits ? TimeOfDayText(us) : std::nullopt;
  if (!text) return Took(columns_->Reject(step.column, absl::StrCat(value, " isn't a time of a day")));
  return Took(columns_->SetRaw(step.column, *text));
}

bool AvroScanner::SetIso(const AvroStep& step, std::string_view text) {
  if (step.op == AvroOp::kIsoTimestamp) {
    int64_t us = 0;
    if (ParseRfc3339(text, &us) == Fit::kOk) return Set(step, us);
    return Took(columns_->Reject(step.column, absl::StrCat("expected RFC 3339 text, found ", Excerpt(text))));
  }
  std::string_view date = text;
  if (!date.empty() && date.back() == 'Z') date.remove_suffix(1);
  int32_t days = 0;
  if (ParseDate(date, &days) == Fit::kOk) return Set(step, days);
  return Took(columns_->Reject(step.column, absl::StrCat("expected a date, found ", Excerpt(text))));
}

bool AvroScanner::ArrayAsJson(const AvroScanPlan::Plain& plain, std::string* json) {
  json->push_back('[');
  while (true) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) break;
    for (; count > 0; --count) {
      if (json->size() > 1) json->push_back(',');
      // Of elements without bytes there may be any number; a null has the byte of its branch.
      if (!PlainAsJson(plain, json)) return false;
    }
  }
  json->push_back(']');
  return true;
}

bool AvroScanner::PlainAsJson(const AvroScanPlan::Plain& plain, std::string* json) {
  int64_t number = 0;
  if (plain.null >= 0) {
    if (!Index(2, "a branch that its union doesn't have", &number)) return false;
    if (number == plain.null) {
      json->append("null");
      return true;
    }
  }
  bool truth = false;
  double real = 0;
  std::string_view text;
  switch (plain.type) {
    case AvroType::kBoolean:
      if (!Bool(&truth)) return false;
      json->append(truth ? "true" : "false");
      return true;
    case AvroType::kInt:
    case AvroType::kLong:
      if (!Long(&number)) return false;
      absl::StrAppend(json, number);
      return true;
    case AvroType::kFloat:
    case AvroType::kDouble: {
      const bool is_float = plain.type == AvroType::kFloat;
      if (!(is_float ? Real<float>(&real) : Real<double>(&real))) return false;
      if (real - real != 0) {
        absl::StrAppend(json, "\"", real != real ? "NaN" : real > 0 ? "Infinity" : "-Infinity", "\"");
        return true;
      }
      std::array<char, 32> digits{};
      const auto end = is_float ? std::to_chars(digits.begin(), digits.end(), static_cast<float>(real)).ptr
                                : std::to_chars(digits.begin(), digits.end(), real).ptr;
      json->append(digits.data(), static_cast<size_t>(end - digits.data()));
      return true;
    }
    default: {
      if (!Text(&text)) return false;
      if (!IsUtf8(text)) return Fail("invalid UTF-8 in an array");
      json->append(JsonQuoted(text));
      return true;
    }
  }
}

bool AvroScanner::Unavailable(const AvroStep& step) {
  const char* const before = p_;
  const auto restore = [&] {
    p_ = before;
    reason_.reset();
    return false;
  };
  std::string_view text;
  if (step.op == AvroOp::kUnavailable) {
    if (!Text(&text) || text != plan_.unavailable) return restore();
  } else {
    int64_t count = 0, branch = 0;
    std::optional<int64_t> bytes;
    const AvroScanPlan::Plain& plain = plan_.plain[step.arg];
    if (!Block(&count, &bytes) || count != 1 || (plain.null >= 0 && (!Long(&branch) || branch == plain.null)) ||
        !Text(&text) || text != plan_.unavailable || !Block(&count, &bytes) || count != 0) {
      return restore();
    }
  }
  const size_t c = step.column;
  columns_->SetAny(c);
  std::string& unchanged = taken_->unchanged;
  if (unchanged.size() <= c / 8) unchanged.resize(c / 8 + 1);
  unchanged[c / 8] = static_cast<char>(unchanged[c / 8] | 1 << (c % 8));
  return true;
}

}  // namespace tidemark
