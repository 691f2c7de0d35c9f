// Parquet files as tables. A file's type may be narrower or wider than the declared one as long as every value fits
// exactly; another kind of value is refused before a row is read.
#include <charconv>
#include <mutex>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_binary.h>
#include <arrow/array/array_decimal.h>
#include <arrow/array/array_primitive.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/interfaces.h>
#include <arrow/table.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/reader.h>

#include "src/base/status.h"
#include "src/codec/table_file.h"

namespace tidemark {
namespace {

using Reason = std::optional<std::string>;

// The few Arrow types that all others of a file are brought to; null where a column can't be made of the file's.
std::shared_ptr<arrow::DataType> ReadAs(const Type& type, const arrow::DataType& file) {
  const arrow::Type::type id = file.id();
  if (id == arrow::Type::NA) return arrow::null();
  const bool text = arrow::is_base_binary_like(id) || arrow::is_binary_view_like(id);
  const bool integer = arrow::is_integer(id);
  switch (type.kind) {
    case Kind::kBool:
      return id == arrow::Type::BOOL ? arrow::boolean() : nullptr;
    case Kind::kInt32:
    case Kind::kInt64:
      return integer ? arrow::int64() : nullptr;
    case Kind::kDouble:
      return integer || arrow::is_floating(id) ? arrow::float64() : nullptr;
    case Kind::kJson:
      return text ? arrow::binary() : nullptr;
    case Kind::kString:
    case Kind::kBytes:
      return text || id == arrow::Type::FIXED_SIZE_BINARY ? arrow::binary() : nullptr;
    case Kind::kDate:
      if (text) return arrow::binary();
      return id == arrow::Type::DATE32 || id == arrow::Type::DATE64 ? arrow::date32() : nullptr;
    case Kind::kDecimal:
      if (text) return arrow::binary();
      if (integer) return arrow::int64();
      return arrow::is_decimal(id) ? arrow::decimal256(76, static_cast<const arrow::DecimalType&>(file).scale())
                                   : nullptr;
    case Kind::kTimestamp:
      if (id == arrow::Type::TIMESTAMP) return arrow::timestamp(static_cast<const arrow::TimestampType&>(file).unit());
      if (type.form == TimestampForm::kRfc3339) return text ? arrow::binary() : nullptr;
      return integer ? arrow::int64() : nullptr;
  }
  return nullptr;
}

// Exactly, or not at all. A timestamp without a zone is UTC.
arrow::Result<std::shared_ptr<arrow::ChunkedArray>> Cast(std::shared_ptr<arrow::ChunkedArray> column,
                                                         const std::shared_ptr<arrow::DataType>& to) {
  if (column->type()->Equals(*to)) return column;
  if (column->type()->id() == arrow::Type::DICTIONARY) {
    const auto& dictionary = static_cast<const arrow::DictionaryType&>(*column->type());
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum plain, arrow::compute::Cast(column, dictionary.value_type()));
    return Cast(plain.chunked_array(), to);
  }
  ARROW_ASSIGN_OR_RAISE(const arrow::Datum cast, arrow::compute::Cast(column, arrow::compute::CastOptions::Safe(to)));
  return cast.chunked_array();
}

Reason SetText(size_t c, std::string_view text, ColumnSet* columns) {
  const Type& type = columns->column(c).column.type;
  if (type.kind == Kind::kBytes) return columns->SetRaw(c, text);
  if (!arrow::util::ValidateUTF8(text)) return columns->Reject(c, Describe(Fit::kNotUtf8, type, {}));
  return columns->Set(c, {type.kind == Kind::kJson ? ScalarText::Kind::kJson : ScalarText::Kind::kString, text});
}

// A number in the notation of JSON, which integers of every width and both kinds of timestamps share.
Reason SetNumber(size_t c, int64_t value, ColumnSet* columns) {
  char text[24];
  const char* const end = std::to_chars(text, text + sizeof(text), value).ptr;
  return columns->Set(c, {ScalarText::Kind::kNumber, {text, static_cast<size_t>(end - text)}});
}

// Nanoseconds are cut off towards the past, as in JSON.
Reason SetTimestamp(size_t c, int64_t value, arrow::TimeUnit::type unit, ColumnSet* columns) {
  if (unit == arrow::TimeUnit::NANO) return columns->SetInt64(c, value / 1000 - (value % 1000 < 0 ? 1 : 0));
  const TimestampForm form = unit == arrow::TimeUnit::SECOND  ? TimestampForm::kSeconds
                             : unit == arrow::TimeUnit::MILLI ? TimestampForm::kMillis
                                                              : TimestampForm::kMicros;
  int64_t us = 0;
  if (ScaleTimestamp(value, form, &us) != Fit::kOk) return columns->Reject(c, "the timestamp is out of range");
  return columns->SetInt64(c, us);
}

Reason SetValue(size_t c, const arrow::Array& array, int64_t i, ColumnSet* columns) {
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      return columns->Set(c, {static_cast<const arrow::BooleanArray&>(array).Value(i) ? ScalarText::Kind::kTrue
                                                                                      : ScalarText::Kind::kFalse,
                              {}});
    case arrow::Type::INT64:
      return SetNumber(c, static_cast<const arrow::Int64Array&>(array).Value(i), columns);
    case arrow::Type::DOUBLE:
      return columns->SetDouble(c, static_cast<const arrow::DoubleArray&>(array).Value(i));
    case arrow::Type::DATE32:
      return columns->SetInt64(c, static_cast<const arrow::Date32Array&>(array).Value(i));
    case arrow::Type::TIMESTAMP:
      return SetTimestamp(c, static_cast<const arrow::TimestampArray&>(array).Value(i),
                          static_cast<const arrow::TimestampType&>(*array.type()).unit(), columns);
    case arrow::Type::BINARY:
      return SetText(c, static_cast<const arrow::BinaryArray&>(array).GetView(i), columns);
    case arrow::Type::DECIMAL256: {
      const auto& decimals = static_cast<const arrow::Decimal256Array&>(array);
      const int scale = static_cast<const arrow::DecimalType&>(*array.type()).scale();
      const std::string text = arrow::Decimal256(decimals.GetValue(i)).ToIntegerString() + "e" + std::to_string(-scale);
      return columns->Set(c, {ScalarText::Kind::kNumber, text});
    }
    default:
      return columns->Reject(c, absl::StrCat("a value of type ", array.type()->ToString()));
  }
}

absl::StatusOr<std::shared_ptr<arrow::Table>> ReadColumns(const TablePlan& plan, const TableBytes& bytes,
                                                          std::vector<int>* positions) {
  auto opened = parquet::arrow::OpenFile(bytes, arrow::default_memory_pool());
  if (!opened.ok()) return TableFileError(plan, opened.status());
  parquet::arrow::FileReader* const reader = opened->get();
  reader->set_use_threads(false);
  std::shared_ptr<arrow::Schema> schema;
  if (const arrow::Status status = reader->GetSchema(&schema); !status.ok()) return TableFileError(plan, status);
  TM_ASSIGN_OR_RETURN(*positions, MatchFileColumns(plan, schema->field_names()));
  for (size_t c = 0; c < positions->size(); ++c) {
    if ((*positions)[c] < 0) continue;
    const arrow::DataType* type = schema->field((*positions)[c])->type().get();
    if (type->id() == arrow::Type::DICTIONARY)
      type = static_cast<const arrow::DictionaryType&>(*type).value_type().get();
    if (ReadAs(plan.columns[c].column.type, *type) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(plan.file, ": column ", plan.columns[c].column.name, ": expected ",
                                                     TypeName(plan.columns[c].column.type), ", the file has ",
                                                     type->ToString()));
    }
  }
  auto table = reader->ReadTable();
  if (!table.ok()) return TableFileError(plan, table.status());
  return *std::move(table);
}

}  // namespace

absl::StatusOr<Batch> ReadParquetTable(const TablePlan& plan, const TableBytes& bytes) {
  static std::once_flag once;
  static arrow::Status initialized;
  std::call_once(once, [] {
    initialized = arrow::compute::Initialize();
    arrow::util::InitializeUTF8();
  });
  if (!initialized.ok()) return FromArrow(initialized, "Arrow's kernels");

  std::vector<int> positions;
  TM_ASSIGN_OR_RETURN(const auto table, ReadColumns(plan, bytes, &positions));
  arrow::FieldVector fields;
  arrow::ChunkedArrayVector arrays;
  for (size_t c = 0; c < positions.size(); ++c) {
    if (positions[c] < 0) continue;
    const std::string& name = plan.columns[c].column.name;
    std::shared_ptr<arrow::ChunkedArray> column = table->column(positions[c]);
    const arrow::DataType* type = column->type().get();
    if (type->id() == arrow::Type::DICTIONARY)
      type = static_cast<const arrow::DictionaryType&>(*type).value_type().get();
    auto cast = Cast(column, ReadAs(plan.columns[c].column.type, *type));
    if (!cast.ok()) return TableError(plan, absl::StrCat("column ", name), cast.status().message());
    fields.push_back(arrow::field(name, (*cast)->type()));
    arrays.push_back(*std::move(cast));
  }
  const auto selected = arrow::Table::Make(arrow::schema(std::move(fields)), std::move(arrays), table->num_rows());
  ColumnSet columns(plan.columns);
  columns.Start(table->num_rows());
  arrow::TableBatchReader batches(*selected);
  int64_t row = 0;
  while (true) {
    TM_ASSIGN_OR_RETURN(const Batch batch, FromArrow(batches.Next(), plan.file));
    if (batch == nullptr) break;
    const arrow::ArrayVector chunks = batch->columns();
    for (int64_t i = 0; i < batch->num_rows(); ++i, ++row) {
      columns.BeginRow(row);
      Reason reason;
      for (size_t c = 0, next = 0; c < positions.size() && !reason; ++c) {
        if (positions[c] < 0) continue;
        const arrow::Array& chunk = *chunks[next++];
        if (!chunk.IsNull(i)) reason = SetValue(c, chunk, i, &columns);
      }
      if (!reason) reason = columns.EndRow();
      if (reason) return TableError(plan, absl::StrCat("row ", row + 1), *reason);
    }
  }
  return FinishTable(plan, &columns, row);
}

}  // namespace tidemark
