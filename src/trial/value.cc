#include "src/trial/value.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/value_text.h"
#include "src/codec/column_set.h"
#include "src/codec/column_text.h"
#include "src/codec/json/object_reader.h"
#include "src/plan/yaml_tree.h"

namespace tidemark::trial {
namespace {

constexpr char kNull[] = "null";
// Sums of doubles don't depend on their order beyond this (docs/expressions.md).
constexpr double kRounding = 1e-9;

absl::Status Unfit(Fit fit, const Type& type, std::string_view text) {
  return absl::InvalidArgumentError(fit == Fit::kWrongType
                                        ? absl::StrCat("expected ", TypeName(type), ", found '", std::string(text), "'")
                                        : Describe(fit, type, FromPlainText(type, text)));
}

int64_t MicrosOf(TimestampForm form) {
  return form == TimestampForm::kSeconds ? kSecond : form == TimestampForm::kMillis ? kMillisecond : 1;
}

absl::StatusOr<std::string> JsonOfTimestamp(const Type& type, const std::string& text) {
  if (type.form == TimestampForm::kRfc3339) {
    int64_t us = 0;
    if (const Fit fit = ParseRfc3339(text, &us); fit != Fit::kOk) return Unfit(Fit::kWrongType, type, text);
    return JsonQuoted(text);
  }
  if (IsJsonNumber(text)) return text;
  int64_t us = 0;
  if (ParseRfc3339(text, &us) != Fit::kOk) return Unfit(Fit::kWrongType, type, text);
  const int64_t unit = MicrosOf(type.form);
  if (us % unit != 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is finer than ", TypeName(type), " holds"));
  }
  return absl::StrCat(us / unit);
}

// As SQL compares them, where text would tell 1 and 1.0 apart.
bool IsNumber(const Type& type) { return type.kind == Kind::kDouble; }

Type InOneForm(Type type) {
  if (type.kind == Kind::kTimestamp) type.form = TimestampForm::kRfc3339;
  return type;
}

std::string TextAt(const ColumnView& view, int64_t row) {
  if (view.IsNull(row)) return kNull;
  std::string text;
  TextBuffer buffer(&text);
  WriteJsonValue(view, row, &buffer);
  text.resize(buffer.size());
  return text;
}

// Reads the same whether YAML, or a person, looks at it.
bool IsPlain(std::string_view text) {
  if (text.empty() || !(absl::ascii_isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/')) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        absl::string_view("_-./ +").find(c) == absl::string_view::npos)
      return false;
  }
  const std::string low = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  return text.back() != ' ' && low != "null" && low != "true" && low != "false" && low != "yes" && low != "no";
}

std::string PlainText(const std::string& json) {
  JsonText reader(json);
  ScalarText value;
  std::string scratch;
  return reader.ReadPlain(&value, &scratch) ? std::string(value.text) : json;
}

}  // namespace

absl::StatusOr<std::string> JsonOf(const Type& type, const std::optional<std::string>& text) {
  if (!text) return std::string(kNull);
  switch (type.kind) {
    case Kind::kTimestamp:
      return JsonOfTimestamp(type, *text);
    case Kind::kJson:
      return IsJson(*text) ? *text : JsonQuoted(*text);
    case Kind::kDouble:
      if (ParseNonFinite(*text)) return JsonQuoted(*text);
      break;
    default:
      break;
  }
  if (const Fit fit = FitsPlainText(type, *text); fit != Fit::kOk) return Unfit(fit, type, *text);
  const bool quoted = type.kind == Kind::kString || type.kind == Kind::kBytes || type.kind == Kind::kDate;
  return quoted ? JsonQuoted(*text) : *text;
}

absl::StatusOr<std::string> Comparable(const Type& type, const std::optional<std::string>& text) {
  if (!text) return std::string(kNull);
  TM_ASSIGN_OR_RETURN(const std::string json, JsonOf(type, text));
  SourceColumn column;
  column.column = {"value", type, /*nullable=*/true};
  ColumnSet columns({column});
  columns.Start(1);
  columns.BeginRow(0);
  JsonObjectReader reader({{{"value"}, 0}});
  std::optional<std::string> reason = reader.Read(absl::StrCat("{\"value\":", json, "}"), &columns);
  if (!reason) reason = columns.EndRow();
  if (reason) return absl::InvalidArgumentError(*reason);
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  columns.Finish(1, &arrays);
  return TextAt(ViewColumn(InOneForm(type), *arrays[0]->data()), 0);
}

std::vector<std::vector<std::string>> ComparableRows(const Schema& schema, const arrow::RecordBatch& rows) {
  std::vector<std::vector<std::string>> cells(static_cast<size_t>(rows.num_rows()));
  for (size_t c = 0; c < schema.size(); ++c) {
    const auto array = rows.column(static_cast<int>(c));
    const ColumnView view = ViewColumn(InOneForm(schema[c].type), *array->data());
    for (size_t row = 0; row < cells.size(); ++row) cells[row].push_back(TextAt(view, static_cast<int64_t>(row)));
  }
  return cells;
}

bool SameValue(const Type& type, const std::string& a, const std::string& b, double tolerance) {
  if (a == b) return true;
  double x = 0, y = 0;
  if (!IsNumber(type) || ParseDouble(a, &x) != Fit::kOk || ParseDouble(b, &y) != Fit::kOk) return false;
  return std::abs(x - y) <= tolerance + kRounding * std::max(std::abs(x), std::abs(y));
}

std::string YamlOf(const Type& type, const std::string& comparable) {
  if (comparable.empty() || comparable[0] != '"') {
    if (type.kind != Kind::kJson || comparable == kNull) return comparable;
    return absl::StrCat("'", absl::StrReplaceAll(comparable, {{"'", "''"}}), "'");
  }
  const std::string text = PlainText(comparable);
  if (type.kind == Kind::kTimestamp || type.kind == Kind::kDate || IsPlain(text)) return text;
  return comparable;
}

std::string CsvOf(const std::string& comparable) {
  if (comparable == kNull) return "";
  const std::string text = comparable[0] == '"' ? PlainText(comparable) : comparable;
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace tidemark::trial
