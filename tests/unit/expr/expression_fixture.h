// What the tests of expressions share: a schema, a batch of it, and results as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/api.h>
#include <arrow/json/from_string.h>

#include "src/base/schema.h"
#include "src/expr/expression.h"

namespace tidemark {

// Columns: i int32, l int64, f double, s string, b bool, n decimal(10,2), d date, ts timestamp_ms, "Mixed" int64,
// req int64 not nullable.
inline Schema TestSchema() {
  return Schema({{"i", Type{Kind::kInt32}, true},
                 {"l", Type{Kind::kInt64}, true},
                 {"f", Type{Kind::kDouble}, true},
                 {"s", Type{Kind::kString}, true},
                 {"b", Type{Kind::kBool}, true},
                 {"n", *ParseType("decimal(10,2)"), true},
                 {"d", Type{Kind::kDate}, true},
                 {"ts", *ParseType("timestamp_ms"), true},
                 {"Mixed", Type{Kind::kInt64}, true},
                 {"req", Type{Kind::kInt64}, false}});
}

// A batch of rows written as JSON arrays in the order of the schema.
inline std::shared_ptr<arrow::RecordBatch> TestRows(std::string_view json) {
  Schema schema = TestSchema();
  arrow::FieldVector fields;
  for (const Column& column : schema.columns()) {
    fields.push_back(arrow::field(column.name, ArrowType(column.type), column.nullable));
  }
  auto array = arrow::json::ArrayFromJSONString(arrow::struct_(fields), std::string(json)).ValueOrDie();
  return arrow::RecordBatch::FromStructArray(array).ValueOrDie();
}

inline const char kRows[] = R"([
  [1, 10, 1.5, "abc", true, "2.50", 19782, 1709214359123000, 7, 1],
  [0, -3, 0.0, "", false, "-0.01", 0, 0, 8, 2],
  [null, null, null, null, null, null, null, null, null, 3],
  [2147483647, 9223372036854775807, 1e308, "Ünï", true, "99999999.99", -1, -1, 9, 4]])";

inline std::string ValueText(const arrow::Array& array, int64_t row) {
  return array.IsNull(row) ? "null" : array.GetScalar(row).ValueOrDie()->ToString();
}

// "int32: 1, null, !division by zero": the type and each row's value or error; or "error at POSITION: message".
inline std::string Eval(std::string_view sql, const std::shared_ptr<arrow::RecordBatch>& rows = TestRows(kRows)) {
  auto expression = Expression::Compile(sql, TestSchema());
  if (!expression.ok()) {
    auto position = ErrorPosition(expression.status());
    return absl::StrCat("error at ", position ? std::to_string(*position) : "?", ": ",
                        std::string(expression.status().message()));
  }
  std::vector<RowError> errors;
  auto result = expression->Evaluate(*rows, &errors);
  if (!result.ok()) return std::string(result.status().message());
  if (auto valid = (*result)->ValidateFull(); !valid.ok()) return valid.ToString();
  std::string text = TypeName(expression->type()) + ":";
  size_t next = 0;
  for (int64_t row = 0; row < rows->num_rows(); ++row) {
    bool failed = next < errors.size() && errors[next].row == row;
    text += row == 0 ? " " : ", ";
    text += failed ? "!" + errors[next++].message : ValueText(**result, row);
  }
  if (next != errors.size()) text += " and errors out of order";
  return text;
}

}  // namespace tidemark
