#include "operators/window/arguments.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

using Array = std::shared_ptr<arrow::Array>;

bool IsHashed(const Aggregate& aggregate) { return aggregate.function == AggregateFunction::kApproxCountDistinct; }
bool IsOfExtreme(const Aggregate& aggregate) {
  return aggregate.function == AggregateFunction::kMinBy || aggregate.function == AggregateFunction::kMaxBy;
}

// One error a row, ascending.
void SortErrors(std::vector<RowError>* errors) {
  std::stable_sort(errors->begin(), errors->end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  errors->erase(
      std::unique(errors->begin(), errors->end(), [](const RowError& a, const RowError& b) { return a.row == b.row; }),
      errors->end());
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const std::vector<Array>& columns, const std::vector<Type>& types,
                                            Schema* schema) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (size_t c = 0; c < columns.size(); ++c) {
    const std::string name = std::to_string(c);
    schema->Add({name, types[c], true});
    fields.push_back(arrow::field(name, columns[c]->type()));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), columns[0]->length(), columns);
}

absl::StatusOr<Array> Hashes(const Type& type, const Array& argument) {
  Schema schema;
  std::vector<uint64_t> hashes;
  TM_RETURN_IF_ERROR(HashKeys(*BatchOf({argument}, {type}, &schema), {0}, &hashes));
  CellWriter<int64_t> writer(argument->length());
  for (int64_t row = 0; row < argument->length(); ++row) {
    argument->IsNull(row) ? writer.AppendNull() : writer.Append(static_cast<int64_t>(hashes[static_cast<size_t>(row)]));
  }
  return writer.Finish(arrow::int64());
}

// Packed: the cells that are ordered by, the argument's cell, and how long the former are (4 bytes), which are equal
// where those are.
absl::StatusOr<Array> Packed(const Aggregate& aggregate, const Array& argument, const std::vector<Array>& order) {
  Schema schema, rest;
  EncodedKeys keys, cells;
  const auto values = BatchOf({argument}, {aggregate.argument->type()}, &schema);
  TM_RETURN_IF_ERROR(RowCodec::Rows(schema).Encode(*values, &cells));
  if (!order.empty()) {
    std::vector<Type> types;
    std::vector<RowCodec::Field> fields;
    for (const Aggregate::Order& each : aggregate.order) {
      fields.push_back({fields.size(), each.by.type(), each.descending});
      types.push_back(each.by.type());
    }
    TM_RETURN_IF_ERROR(RowCodec::Key(std::move(fields)).Encode(*BatchOf(order, types, &rest), &keys));
  }
  CellWriter<std::string_view> writer(argument->length());
  std::string packed;
  for (int64_t row = 0; row < argument->length(); ++row) {
    const auto i = static_cast<size_t>(row);
    if (IsOfExtreme(aggregate) ? order[0]->IsNull(row)
                               : aggregate.function == AggregateFunction::kStringAgg && argument->IsNull(row)) {
      writer.AppendNull();
      continue;
    }
    const std::string_view key = order.empty() ? std::string_view() : keys[i];
    const auto size = static_cast<uint32_t>(key.size());
    packed.assign(key).append(cells[i]).append(reinterpret_cast<const char*>(&size), sizeof(size));
    writer.Append(packed);
  }
  return writer.Finish(arrow::binary());
}

}  // namespace

bool IsPacked(const Aggregate& aggregate) {
  return IsOfExtreme(aggregate) || aggregate.function == AggregateFunction::kArrayAgg ||
         (aggregate.function == AggregateFunction::kStringAgg && !aggregate.order.empty());
}

Type ArgumentType(const Aggregate& aggregate) {
  if (IsPacked(aggregate)) return {.kind = Kind::kBytes};
  if (IsHashed(aggregate)) return {.kind = Kind::kInt64};
  return aggregate.argument->type();
}

absl::StatusOr<Array> EvaluateArgument(const Aggregate& aggregate, const arrow::RecordBatch& rows,
                                       std::vector<RowError>* errors) {
  if (!aggregate.argument) return Array();
  TM_ASSIGN_OR_RETURN(Array argument, aggregate.argument->Evaluate(rows, errors));
  if (IsHashed(aggregate)) return Hashes(aggregate.argument->type(), argument);
  if (!IsPacked(aggregate)) return argument;
  std::vector<Array> order;
  for (const Aggregate::Order& each : aggregate.order) {
    std::vector<RowError> failed;
    TM_ASSIGN_OR_RETURN(order.emplace_back(), each.by.Evaluate(rows, &failed));
    errors->insert(errors->end(), failed.begin(), failed.end());
  }
  if (!aggregate.order.empty()) SortErrors(errors);
  return Packed(aggregate, argument, order);
}

std::string_view ArgumentCell(std::string_view packed) {
  uint32_t size = 0;
  if (packed.size() < sizeof(size)) return {};
  std::memcpy(&size, packed.data() + packed.size() - sizeof(size), sizeof(size));
  packed.remove_suffix(sizeof(size));
  return packed.substr(std::min<size_t>(size, packed.size()));
}

}  // namespace tidemark
