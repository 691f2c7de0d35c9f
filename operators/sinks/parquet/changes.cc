#include "operators/sinks/parquet/changes.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/plan/plan.h"

namespace tidemark {
namespace {

std::string_view OpName(Op op) {
  switch (op) {
    case Op::kInsert:
      return "insert";
    case Op::kUpdateBefore:
      return "update_before";
    case Op::kUpdateAfter:
      return "update_after";
    case Op::kDelete:
      return "delete";
  }
  return "";
}

template <typename Builder>
std::shared_ptr<arrow::Array> Finished(Builder* builder) {
  return FromArrow(builder->Finish(), "a column of changes").value();
}

}  // namespace

Batch ChangeRows::AsRows(const arrow::RecordBatch& rows, int32_t partition, int64_t offset) {
  if (std::exchange(offset_, offset) != offset) next_row_ = 0;
  const int64_t count = rows.num_rows();
  const int8_t* ops = HiddenOps(rows);
  const int64_t* times = HiddenInt64(rows, Hidden::kTime);
  CHECK(times != nullptr) << "rows without time";
  arrow::StringBuilder names;
  arrow::TimestampBuilder when(ArrowType({.kind = Kind::kTimestamp}), arrow::default_memory_pool());
  arrow::Int32Builder partitions;
  arrow::Int64Builder offsets, numbers;
  CHECK(names.Reserve(count).ok() && when.AppendValues(times, count).ok() && partitions.Reserve(count).ok() &&
        offsets.Reserve(count).ok() && numbers.Reserve(count).ok());
  for (int64_t row = 0; row < count; ++row) {
    CHECK(names.Append(OpName(ops == nullptr ? Op::kInsert : static_cast<Op>(ops[row]))).ok());
    partitions.UnsafeAppend(partition);
    offsets.UnsafeAppend(offset);
    numbers.UnsafeAppend(next_row_++);
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  arrow::FieldVector fields;
  for (int c = 0; c < columns_; ++c) {
    fields.push_back(rows.schema()->field(c));
    columns.push_back(rows.column(c));
  }
  const Schema more = LakeSchema({}, true);
  for (const Column& column : more.columns()) fields.push_back(ColumnField(column));
  columns.insert(columns.end(),
                 {Finished(&names), Finished(&when), Finished(&partitions), Finished(&offsets), Finished(&numbers)});
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), count, std::move(columns));
}

}  // namespace tidemark
