#include "src/base/schema.h"

#include <array>
#include <charconv>

#include <absl/strings/str_cat.h>
#include <arrow/type.h>

namespace tidemark {
namespace {

struct SimpleType {
  std::string_view name;
  Type type;
};

constexpr std::array kSimpleTypes = {
    SimpleType{"bool", {Kind::kBool, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"int32", {Kind::kInt32, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"int64", {Kind::kInt64, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"double", {Kind::kDouble, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"string", {Kind::kString, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"bytes", {Kind::kBytes, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"json", {Kind::kJson, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"date", {Kind::kDate, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"timestamp", {Kind::kTimestamp, TimestampForm::kRfc3339, 0, 0}},
    SimpleType{"timestamp_s", {Kind::kTimestamp, TimestampForm::kSeconds, 0, 0}},
    SimpleType{"timestamp_ms", {Kind::kTimestamp, TimestampForm::kMillis, 0, 0}},
    SimpleType{"timestamp_us", {Kind::kTimestamp, TimestampForm::kMicros, 0, 0}},
};

std::string_view Trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

std::optional<int> ParseInt(std::string_view s) {
  s = Trim(s);
  int value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return value;
}

// "(10,2)" or "(10)".
std::optional<Type> ParseDecimal(std::string_view arguments) {
  if (!arguments.starts_with('(') || !arguments.ends_with(')')) return std::nullopt;
  arguments = arguments.substr(1, arguments.size() - 2);
  const size_t comma = arguments.find(',');
  const std::optional<int> precision = ParseInt(arguments.substr(0, comma));
  const std::optional<int> scale = comma == std::string_view::npos ? 0 : ParseInt(arguments.substr(comma + 1));
  if (!precision || !scale || *precision < 1 || *precision > 38 || *scale < 0 || *scale > *precision) {
    return std::nullopt;
  }
  return Type{Kind::kDecimal, TimestampForm::kRfc3339, *precision, *scale};
}

}  // namespace

std::string TypeName(const Type& type) {
  if (type.kind == Kind::kDecimal) return absl::StrCat("decimal(", type.precision, ",", type.scale, ")");
  for (const SimpleType& simple : kSimpleTypes) {
    if (simple.type == type) return std::string(simple.name);
  }
  return type.kind == Kind::kTimestamp ? "timestamp" : "?";
}

std::optional<Type> ParseType(std::string_view name) {
  name = Trim(name);
  for (const SimpleType& simple : kSimpleTypes) {
    if (simple.name == name) return simple.type;
  }
  if (name.starts_with("decimal")) return ParseDecimal(Trim(name.substr(7)));
  return std::nullopt;
}

std::shared_ptr<arrow::DataType> ArrowType(const Type& type) {
  switch (type.kind) {
    case Kind::kBool:
      return arrow::boolean();
    case Kind::kInt32:
      return arrow::int32();
    case Kind::kInt64:
      return arrow::int64();
    case Kind::kDouble:
      return arrow::float64();
    case Kind::kString:
    case Kind::kJson:
      return arrow::utf8();
    case Kind::kBytes:
      return arrow::binary();
    case Kind::kDate:
      return arrow::date32();
    case Kind::kDecimal:
      return arrow::decimal128(type.precision, type.scale);
    case Kind::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  }
  return arrow::null();
}

std::optional<size_t> Schema::Find(std::string_view name) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].name == name) return i;
  }
  return std::nullopt;
}

std::vector<std::string> Schema::Names() const {
  std::vector<std::string> names;
  names.reserve(columns_.size());
  for (const Column& column : columns_) names.push_back(column.name);
  return names;
}

Schema Schema::Select(const std::vector<size_t>& positions) const {
  Schema selected;
  for (const size_t i : positions) selected.Add(columns_[i]);
  return selected;
}

std::string Schema::ToString() const {
  std::string text;
  for (const Column& column : columns_) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", column.name, " ", TypeName(column.type),
                    column.nullable ? " null" : "");
  }
  return text;
}

}  // namespace tidemark
