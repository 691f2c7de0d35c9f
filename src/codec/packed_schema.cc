#include "src/codec/packed_schema.h"

#include <absl/strings/ascii.h>
#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>
#include <arrow/array.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <xxhash.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

std::shared_ptr<arrow::DataType> ParseArrowType(const std::string& text) {
  for (const auto& type :
       {arrow::boolean(), arrow::int8(), arrow::int32(), arrow::int64(), arrow::float64(), arrow::utf8(),
        arrow::binary(), arrow::date32(), arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")}) {
    if (type->ToString() == text) return type;
  }
  int precision = 0, scale = 0;
  if (std::sscanf(text.c_str(), "decimal128(%d, %d)", &precision, &scale) != 2) return nullptr;
  const arrow::Result<std::shared_ptr<arrow::DataType>> decimal = arrow::Decimal128Type::Make(precision, scale);
  return decimal.ok() && (*decimal)->ToString() == text ? *decimal : nullptr;
}

constexpr char kJson[] = "json";

std::string TypeText(const arrow::Field& field) { return IsJsonField(field) ? kJson : field.type()->ToString(); }

// Every value of the one type is one of the other, and the same.
bool HoldsAll(const arrow::Field& is, const arrow::Field& was) {
  if (is.type()->id() == arrow::Type::DECIMAL128 && was.type()->id() == arrow::Type::DECIMAL128) {
    const auto& now = static_cast<const arrow::Decimal128Type&>(*is.type());
    const auto& before = static_cast<const arrow::Decimal128Type&>(*was.type());
    return now.scale() == before.scale() && now.precision() >= before.precision();
  }
  return is.type()->id() == arrow::Type::INT64 && was.type()->id() == arrow::Type::INT32;
}

// "__partial_2_count"
bool IsOfPartial(const std::string& column) {
  absl::string_view name = column;
  return absl::ConsumePrefix(&name, "__partial_") && !name.empty() && absl::ascii_isdigit(name.front());
}

// The cells of a column under a type that holds all of them.
absl::StatusOr<std::shared_ptr<arrow::Array>> Widened(const std::shared_ptr<arrow::Array>& cells,
                                                      const std::shared_ptr<arrow::DataType>& to) {
  if (cells->type()->Equals(*to)) return cells;
  if (to->id() == arrow::Type::DECIMAL128) {  // sixteen bytes, whatever its precision
    const std::shared_ptr<arrow::ArrayData> data = cells->data()->Copy();
    data->type = to;
    return arrow::MakeArray(data);
  }
  arrow::Int64Builder builder;
  const auto& narrow = static_cast<const arrow::Int32Array&>(*cells);
  TM_RETURN_IF_ERROR(FromArrow(builder.Reserve(narrow.length()), "a column that was widened"));
  for (int64_t row = 0; row < narrow.length(); ++row) {
    narrow.IsNull(row) ? builder.UnsafeAppendNull() : builder.UnsafeAppend(narrow.Value(row));
  }
  return FromArrow(builder.Finish(), "a column that was widened");
}

}  // namespace

uint64_t SchemaHash(const arrow::Schema& schema) {
  std::string text;
  for (const auto& field : schema.fields()) absl::StrAppend(&text, field->name(), " ", TypeText(*field), "\n");
  return XXH3_64bits(text.data(), text.size());
}

packed::PackedSchema PackSchema(const arrow::Schema& schema) {
  packed::PackedSchema packed;
  for (const auto& field : schema.fields()) {
    packed::PackedSchema::Column* column = packed.add_columns();
    column->set_name(field->name());
    column->set_type(TypeText(*field));
    column->set_nullable(field->nullable());
  }
  return packed;
}

absl::StatusOr<std::shared_ptr<arrow::Schema>> UnpackSchema(const packed::PackedSchema& packed) {
  arrow::FieldVector fields;
  for (const packed::PackedSchema::Column& column : packed.columns()) {
    if (column.type() == kJson) {
      fields.push_back(ColumnField({column.name(), Type{Kind::kJson}, column.nullable()}));
      continue;
    }
    std::shared_ptr<arrow::DataType> type = ParseArrowType(column.type());
    if (type == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat("column ", column.name(), " is ", column.type(),
                                                        ", which this version doesn't know: was it written by a later "
                                                        "one?"));
    }
    fields.push_back(arrow::field(column.name(), std::move(type), column.nullable()));
  }
  return arrow::schema(std::move(fields));
}

absl::StatusOr<SchemaChange> SchemaChange::Make(const arrow::Schema& from, std::shared_ptr<arrow::Schema> to,
                                                Widening widening, const std::vector<std::string>& had) {
  SchemaChange change;
  for (const auto& field : to->fields()) {
    const int at = from.GetFieldIndex(field->name());
    if (at < 0 && !field->nullable()) {
      return absl::FailedPreconditionError(
          absl::StrCat("column ", field->name(),
                       " was added and isn't nullable, so rows written before have nothing "
                       "for it (declare it nullable: they get NULL)"));
    }
    if (at < 0 && std::find(had.begin(), had.end(), field->name()) != had.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("column ", field->name(),
                       " was added, and an aggregate that counts from now on would take its NULL in "
                       "rows written before for a value of theirs"));
    }
    if (at >= 0 && TypeText(*from.field(at)) != TypeText(*field)) {
      const absl::Status other = absl::FailedPreconditionError(
          absl::StrCat("column ", field->name(), " was ", TypeText(*from.field(at)), " and is now ", TypeText(*field)));
      if (widening == Widening::kNo || !HoldsAll(*field, *from.field(at))) return other;
    }
    if (at >= 0 && from.field(at)->nullable() && !field->nullable() && !IsOfPartial(field->name())) {
      return absl::FailedPreconditionError(absl::StrCat(
          "column ", field->name(), " was nullable and no longer is, and rows written before may hold NULL"));
    }
    change.sources_.push_back(at);
  }
  change.to_ = std::move(to);
  return change;
}

absl::StatusOr<Batch> SchemaChange::Apply(const Batch& rows) const {
  arrow::ArrayVector columns;
  for (size_t c = 0; c < sources_.size(); ++c) {
    if (sources_[c] >= 0) {
      TM_ASSIGN_OR_RETURN(auto cells, Widened(rows->column(sources_[c]), to_->field(static_cast<int>(c))->type()));
      columns.push_back(std::move(cells));
      continue;
    }
    TM_ASSIGN_OR_RETURN(auto nulls,
                        FromArrow(arrow::MakeArrayOfNull(to_->field(static_cast<int>(c))->type(), rows->num_rows()),
                                  "a column that was added"));
    columns.push_back(std::move(nulls));
  }
  return arrow::RecordBatch::Make(to_, rows->num_rows(), std::move(columns));
}

}  // namespace tidemark
