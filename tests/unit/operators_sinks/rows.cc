#include "tests/unit/operators_sinks/rows.h"

#include <memory>
#include <string>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

namespace tidemark {

Column Col(const char* name, std::string_view type) {
  const bool nullable = type.back() == '?';
  if (nullable) type.remove_suffix(1);
  return {name, ParseType(type).value(), nullable};
}

Batch Rows(const Schema& schema, std::string_view json, const std::vector<Op>& ops) {
  arrow::FieldVector fields;
  for (const Column& column : schema.columns()) fields.push_back(arrow::field(column.name, ArrowType(column.type)));
  const auto rows = arrow::json::ArrayFromJSONString(arrow::struct_(fields), json).ValueOrDie();
  Batch batch = arrow::RecordBatch::FromStructArray(rows).ValueOrDie();
  if (ops.empty()) return batch;
  arrow::Int8Builder builder;
  for (Op op : ops) (void)builder.Append(static_cast<int8_t>(op));
  return batch->AddColumn(batch->num_columns(), HiddenField(Hidden::kOp), builder.Finish().ValueOrDie()).ValueOrDie();
}

}  // namespace tidemark
