#include "operators/step.h"

#include <numeric>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

template <typename T>
std::shared_ptr<arrow::Array> Wrap(const std::vector<T>& values, const std::shared_ptr<arrow::DataType>& type) {
  auto buffer = arrow::Buffer::FromVector(values);
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, static_cast<int64_t>(values.size()), {nullptr, std::move(buffer)}, 0));
}

std::vector<size_t> Passed(const Port& port) {
  if (port.passed) return *port.passed;
  std::vector<size_t> all(port.schema.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

}  // namespace

StepShape::StepShape(const Node& node, size_t port)
    : name(node.step),
      input(node.in(port).schema),
      output(node.output),
      input_hidden(node.in(port).hidden),
      hidden(node.hidden),
      batch_schema(BatchSchema(node.output, node.hidden)),
      passed(Passed(node.in(port))),
      passed_schema(BatchSchema(input.Select(passed), node.hidden)) {}

void StepShape::AppendHidden(const arrow::RecordBatch& from,
                             std::vector<std::shared_ptr<arrow::Array>>* columns) const {
  for (int h = 0; h < kHiddenCount; ++h) {
    if (!hidden.Has(static_cast<Hidden>(h))) continue;
    columns->push_back(from.column(HiddenIndex(input, input_hidden, static_cast<Hidden>(h))));
  }
}

Batch StepShape::Assemble(std::vector<std::shared_ptr<arrow::Array>> visible, const arrow::RecordBatch& from) const {
  AppendHidden(from, &visible);
  return arrow::RecordBatch::Make(batch_schema, from.num_rows(), std::move(visible));
}

Batch StepShape::PassThrough(const Batch& batch) const {
  if (passed.size() == input.size() && hidden == input_hidden) return batch;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const size_t c : passed) columns.push_back(batch->column(static_cast<int>(c)));
  AppendHidden(*batch, &columns);
  return arrow::RecordBatch::Make(passed_schema, batch->num_rows(), std::move(columns));
}

Batch MakeBatch(const StepShape& shape, std::vector<std::shared_ptr<arrow::Array>> visible,
                const HiddenValues& hidden) {
  const size_t rows = hidden.times.size();
  for (int h = 0; h < kHiddenCount; ++h) {
    if (!shape.hidden.Has(static_cast<Hidden>(h))) continue;
    switch (static_cast<Hidden>(h)) {
      case Hidden::kTime:
        visible.push_back(Wrap(hidden.times, arrow::int64()));
        break;
      case Hidden::kWatermark:
        visible.push_back(Wrap(std::vector<int64_t>(rows, kMinTime.us), arrow::int64()));
        break;
      case Hidden::kSource:
      case Hidden::kPartition: {
        const auto& given = static_cast<Hidden>(h) == Hidden::kSource ? hidden.sources : hidden.partitions;
        visible.push_back(Wrap(given.empty() ? std::vector<int32_t>(rows) : given, arrow::int32()));
        break;
      }
      case Hidden::kOffset:
        visible.push_back(
            Wrap(hidden.offsets.empty() ? std::vector<int64_t>(rows, -1) : hidden.offsets, arrow::int64()));
        break;
      case Hidden::kOp:
        visible.push_back(Wrap(hidden.ops, arrow::int8()));
        break;
    }
  }
  return arrow::RecordBatch::Make(shape.batch_schema, static_cast<int64_t>(rows), std::move(visible));
}

Selection::Selection(const std::vector<uint8_t>& keep, const int8_t* ops) {
  rows_.reserve(keep.size());
  const size_t n = keep.size();
  for (size_t i = 0; i < n; ++i) {
    if (keep[i]) rows_.push_back(static_cast<int32_t>(i));
  }
  all_ = rows_.size() == n;
  if (ops == nullptr) return;
  ops_.reserve(rows_.size());
  for (const int32_t row : rows_) {
    const auto i = static_cast<size_t>(row);
    auto op = static_cast<Op>(ops[i]);
    // The other half is missing too where a pair was cut between two batches: delete and insert mean the same.
    const bool after_stays = i + 1 < n && keep[i + 1] && static_cast<Op>(ops[i + 1]) == Op::kUpdateAfter;
    const bool before_stays = i > 0 && keep[i - 1] && static_cast<Op>(ops[i - 1]) == Op::kUpdateBefore;
    if (op == Op::kUpdateBefore && !after_stays) op = Op::kDelete;
    if (op == Op::kUpdateAfter && !before_stays) op = Op::kInsert;
    ops_changed_ |= static_cast<int8_t>(op) != ops[i];
    ops_.push_back(static_cast<int8_t>(op));
  }
}

Batch Selection::Apply(const Batch& batch) const {
  Batch out = all_ ? batch : TakeRows(batch, rows_);
  if (!ops_changed_) return out;
  const int column = out->schema()->GetFieldIndex(std::string(HiddenName(Hidden::kOp)));
  return out->SetColumn(column, HiddenField(Hidden::kOp), Wrap(ops_, arrow::int8())).ValueOrDie();
}

absl::Status RefuseRows(const Batch& batch, const Schema& schema, std::string_view expression,
                        const std::vector<RowError>& errors, std::vector<uint8_t>* keep, StepLedger* ledger,
                        Emitter& emitter) {
  const int8_t* ops = errors.empty() ? nullptr : HiddenOps(*batch);
  for (const RowError& error : errors) {
    if (!(*keep)[error.row]) continue;
    (*keep)[error.row] = 0;
    if (IsRetraction(ops, error.row)) {
      ++ledger->filtered;
      continue;
    }
    ++ledger->dead_lettered;
    TM_RETURN_IF_ERROR(emitter.DeadLetter({batch, error.row, &schema, std::string(expression), error.message}));
  }
  return absl::OkStatus();
}

}  // namespace tidemark
