#include "src/base/batch.h"

#include <bit>

#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/key_value_metadata.h>

namespace tidemark {
namespace {

constexpr char kTypeMetadata[] = "tidemark:type";

// The raw values of a fixed-width column, offset applied; null where there is no such column.
template <typename T>
const T* HiddenValues(const arrow::RecordBatch& batch, Hidden h) {
  const int index = batch.schema()->GetFieldIndex(std::string(HiddenName(h)));
  if (index < 0) return nullptr;
  return batch.column_data(index)->GetValues<T>(1);
}

}  // namespace

std::string_view HiddenName(Hidden h) {
  switch (h) {
    case Hidden::kTime:
      return "__time";
    case Hidden::kWatermark:
      return "__watermark";
    case Hidden::kSource:
      return "__source";
    case Hidden::kPartition:
      return "__partition";
    case Hidden::kOffset:
      return "__offset";
    case Hidden::kOp:
      return "__op";
  }
  return "";
}

std::shared_ptr<arrow::Field> HiddenField(Hidden h) {
  const std::string name(HiddenName(h));
  switch (h) {
    case Hidden::kSource:
    case Hidden::kPartition:
      return arrow::field(name, arrow::int32(), false);
    case Hidden::kOp:
      return arrow::field(name, arrow::int8(), false);
    default:
      return arrow::field(name, arrow::int64(), false);
  }
}

std::shared_ptr<arrow::Field> ColumnField(const Column& column) {
  auto field = arrow::field(column.name, ArrowType(column.type), column.nullable);
  if (column.type.kind != Kind::kJson) return field;
  return field->WithMetadata(arrow::key_value_metadata({kTypeMetadata}, {"json"}));
}

bool IsJsonField(const arrow::Field& field) {
  return field.metadata() != nullptr && field.metadata()->Contains(kTypeMetadata);
}

std::shared_ptr<arrow::Schema> BatchSchema(const Schema& visible, HiddenSet hidden) {
  arrow::FieldVector fields;
  fields.reserve(visible.size() + kHiddenCount);
  for (const Column& column : visible.columns()) {
    fields.push_back(ColumnField(column));
  }
  for (int h = 0; h < kHiddenCount; ++h) {
    if (hidden.Has(static_cast<Hidden>(h))) fields.push_back(HiddenField(static_cast<Hidden>(h)));
  }
  return arrow::schema(std::move(fields));
}

int HiddenIndex(const Schema& visible, HiddenSet hidden, Hidden h) {
  const uint32_t before = hidden.bits() & ((1u << static_cast<unsigned>(h)) - 1);
  return static_cast<int>(visible.size()) + std::popcount(before);
}

const int64_t* HiddenInt64(const arrow::RecordBatch& batch, Hidden h) { return HiddenValues<int64_t>(batch, h); }
const int32_t* HiddenInt32(const arrow::RecordBatch& batch, Hidden h) { return HiddenValues<int32_t>(batch, h); }
const int8_t* HiddenOps(const arrow::RecordBatch& batch) { return HiddenValues<int8_t>(batch, Hidden::kOp); }

int64_t BatchBytes(const arrow::RecordBatch& batch) {
  const arrow::Result<int64_t> bytes = arrow::util::ReferencedBufferSize(batch);
  return bytes.ok() ? *bytes : 0;
}

}  // namespace tidemark
