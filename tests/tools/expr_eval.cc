// Evaluates expressions over the rows of an Arrow file: our side of the comparison with PostgreSQL.
//
//   expr_eval ROWS.arrow EXPRESSIONS RESULTS.arrow
//
// EXPRESSIONS has one expression a line. RESULTS has one row for each and every row of ROWS: expression (its line, from
// 0), row, type, value as text (null for NULL) and error; row -1 and the error for an expression that doesn't compile.
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/api.h>

#include "src/base/schema.h"
#include "src/base/status.h"
#include "src/expr/expression.h"

namespace tidemark {
namespace {

absl::StatusOr<Type> TypeOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Type{Kind::kBool};
    case arrow::Type::INT32:
      return Type{Kind::kInt32};
    case arrow::Type::INT64:
      return Type{Kind::kInt64};
    case arrow::Type::DOUBLE:
      return Type{Kind::kDouble};
    case arrow::Type::STRING:
      return Type{Kind::kString};
    case arrow::Type::BINARY:
      return Type{Kind::kBytes};
    case arrow::Type::DATE32:
      return Type{Kind::kDate};
    case arrow::Type::TIMESTAMP:
      return Type{Kind::kTimestamp};
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
      return Type{Kind::kDecimal, {}, decimal.precision(), decimal.scale()};
    }
    default:
      return absl::InvalidArgumentError(type.ToString());
  }
}

struct Results {
  arrow::Int32Builder expression, row;
  arrow::StringBuilder type, error;
  arrow::BinaryBuilder value;

  arrow::Status Add(int32_t e, int32_t r, const std::string& t, const std::string* v, const std::string* failure) {
    ARROW_RETURN_NOT_OK(expression.Append(e));
    ARROW_RETURN_NOT_OK(row.Append(r));
    ARROW_RETURN_NOT_OK(type.Append(t));
    ARROW_RETURN_NOT_OK(v ? value.Append(*v) : value.AppendNull());
    return failure ? error.Append(*failure) : error.AppendNull();
  }
};

// Full precision, without our own formatting code, which is under test too.
std::string Text(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case arrow::Type::DOUBLE: {
      char text[40];
      std::snprintf(text, sizeof(text), "%.17g", static_cast<const arrow::DoubleArray&>(array).Value(row));
      return text;
    }
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return static_cast<const arrow::BinaryArray&>(array).GetString(row);
    case arrow::Type::DATE32:
      return std::to_string(static_cast<const arrow::Date32Array&>(array).Value(row));
    case arrow::Type::TIMESTAMP:
      return std::to_string(static_cast<const arrow::TimestampArray&>(array).Value(row));
    default:
      return array.GetScalar(row).ValueOrDie()->ToString();
  }
}

absl::Status EvaluateOne(const std::string& sql, int32_t index, const Schema& schema, const arrow::RecordBatch& rows,
                         Results* out) {
  auto expression = Expression::Compile(sql, schema);
  if (!expression.ok()) {
    std::string message(expression.status().message());
    return FromArrow(out->Add(index, -1, "", nullptr, &message), "results");
  }
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(auto array, expression->Evaluate(rows, &errors));
  TM_RETURN_IF_ERROR(FromArrow(array->ValidateFull(), "the result of " + sql));
  if (!array->type()->Equals(*ArrowType(expression->type()))) return absl::InternalError("the wrong type: " + sql);
  size_t next = 0;
  for (int32_t row = 0; row < rows.num_rows(); ++row) {
    const std::string* error = nullptr;
    if (next < errors.size() && errors[next].row == row) error = &errors[next++].message;
    if (error != nullptr && array->IsValid(row)) return absl::InternalError("a value where it failed: " + sql);
    if (array->IsNull(row) && error == nullptr && !expression->nullable()) {
      return absl::InternalError("NULL from what isn't nullable: " + sql);
    }
    std::string text = array->IsValid(row) ? Text(*array, row) : "";
    TM_RETURN_IF_ERROR(FromArrow(
        out->Add(index, row, TypeName(expression->type()), array->IsValid(row) ? &text : nullptr, error), "results"));
  }
  if (next != errors.size()) return absl::InternalError("errors out of order: " + sql);
  return absl::OkStatus();
}

absl::Status Run(const std::string& rows_path, const std::string& list_path, const std::string& results_path) {
  TM_ASSIGN_OR_RETURN(auto in, FromArrow(arrow::io::ReadableFile::Open(rows_path), rows_path));
  TM_ASSIGN_OR_RETURN(auto reader, FromArrow(arrow::ipc::RecordBatchFileReader::Open(in), rows_path));
  TM_ASSIGN_OR_RETURN(auto rows, FromArrow(reader->ReadRecordBatch(0), rows_path));
  Schema schema;
  for (const auto& field : rows->schema()->fields()) {
    TM_ASSIGN_OR_RETURN(Type type, TypeOf(*field->type()));
    schema.Add({field->name(), type, field->nullable()});
  }
  Results results;
  std::ifstream list(list_path);
  std::string sql;
  for (int32_t index = 0; std::getline(list, sql); ++index) {
    TM_RETURN_IF_ERROR(EvaluateOne(sql, index, schema, *rows, &results));
  }
  std::vector<std::shared_ptr<arrow::Array>> columns(5);
  arrow::ArrayBuilder* builders[] = {&results.expression, &results.row, &results.type, &results.value, &results.error};
  for (size_t i = 0; i < columns.size(); ++i) {
    TM_RETURN_IF_ERROR(FromArrow(builders[i]->Finish(&columns[i]), "results"));
  }
  auto shape = arrow::schema({arrow::field("expression", arrow::int32()), arrow::field("row", arrow::int32()),
                              arrow::field("type", arrow::utf8()), arrow::field("value", arrow::binary()),
                              arrow::field("error", arrow::utf8())});
  auto batch = arrow::RecordBatch::Make(shape, columns[0]->length(), columns);
  TM_ASSIGN_OR_RETURN(auto file, FromArrow(arrow::io::FileOutputStream::Open(results_path), results_path));
  TM_ASSIGN_OR_RETURN(auto writer, FromArrow(arrow::ipc::MakeFileWriter(file, shape), results_path));
  TM_RETURN_IF_ERROR(FromArrow(writer->WriteRecordBatch(*batch), results_path));
  return FromArrow(writer->Close(), results_path);
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: expr_eval ROWS.arrow EXPRESSIONS RESULTS.arrow\n";
    return 2;
  }
  absl::Status status = tidemark::Run(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
