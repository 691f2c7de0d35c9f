#include "operators/rows/unnest.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> UnnestOperator::Make(const Node& node, const UnnestSpec& spec) {
  return std::unique_ptr<Operator>(new UnnestOperator(node, spec));
}

absl::Status UnnestOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return absl::OkStatus();
}

absl::Status UnnestOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  const Cells<std::string_view> arrays(*batch->column_data(static_cast<int>(spec_.column)));
  // JSON's null stands for no array, as NULL does.
  std::vector<std::vector<std::string_view>> elements(static_cast<size_t>(n));
  std::vector<RowError> errors;
  for (int64_t row = 0; row < n; ++row) {
    if (arrays.IsNull(row)) continue;
    if (JsonElements(arrays[row], &elements[static_cast<size_t>(row)])) continue;
    const char first = JsonText(arrays[row]).Peek();
    if (first == 'n') continue;
    errors.push_back(
        {row, first == '{' ? "cannot extract elements from an object" : "cannot extract elements from a scalar"});
  }
  std::vector<uint8_t> keep(static_cast<size_t>(n), 1);
  TM_RETURN_IF_ERROR(
      RefuseRows(batch, shape_.input, "unnest " + shape_.input[spec_.column].name, errors, &keep, ledger_, emitter));
  const int8_t* ops = HiddenOps(*batch);
  Made made;
  for (int64_t row = 0; row < n; ++row) {
    const auto i = static_cast<size_t>(row);
    if (!keep[i]) continue;
    ++(RowsOf(elements[i].size()) > 0 ? ledger_->passed : ledger_->filtered);
    const Op op = ops == nullptr ? Op::kInsert : static_cast<Op>(ops[row]);
    const bool pair =
        op == Op::kUpdateBefore && row + 1 < n && keep[i + 1] && static_cast<Op>(ops[row + 1]) == Op::kUpdateAfter;
    if (!pair) {
      // Half a pair: the other was refused, or stands in another batch.
      AddRow(static_cast<int32_t>(row), elements[i],
             op == Op::kUpdateBefore  ? Op::kDelete
             : op == Op::kUpdateAfter ? Op::kInsert
                                      : op,
             &made);
      continue;
    }
    ++row;
    ++(RowsOf(elements[i + 1].size()) > 0 ? ledger_->passed : ledger_->filtered);
    AddPair(static_cast<int32_t>(row - 1), elements[i], static_cast<int32_t>(row), elements[i + 1], &made);
  }
  ledger_->out += static_cast<int64_t>(made.rows.size());
  if (made.rows.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(Batch out, Build(batch, made));
  return emitter.Emit(std::move(out));
}

void UnnestOperator::Add(int32_t row, const std::vector<std::string_view>& elements, size_t i, Op op,
                         Made* made) const {
  made->rows.push_back(row);
  made->elements.push_back(elements.empty() ? std::string_view() : elements[i]);
  made->places.push_back(elements.empty() ? 0 : static_cast<int64_t>(i) + 1);
  made->ops.push_back(static_cast<int8_t>(op));
}

void UnnestOperator::AddRow(int32_t row, const std::vector<std::string_view>& elements, Op op, Made* made) const {
  for (size_t i = 0; i < RowsOf(elements.size()); ++i) Add(row, elements, i, op, made);
}

void UnnestOperator::AddPair(int32_t before, const std::vector<std::string_view>& old_elements, int32_t after,
                             const std::vector<std::string_view>& elements, Made* made) const {
  // The row that stands for no elements has a key of its own, the place NULL.
  if (old_elements.empty() != elements.empty()) {
    AddRow(before, old_elements, Op::kDelete, made);
    AddRow(after, elements, Op::kInsert, made);
    return;
  }
  const size_t old_rows = RowsOf(old_elements.size()), rows = RowsOf(elements.size());
  for (size_t i = 0; i < std::max(old_rows, rows); ++i) {
    const bool both = i < old_rows && i < rows;
    if (i < old_rows) Add(before, old_elements, i, both ? Op::kUpdateBefore : Op::kDelete, made);
    if (i < rows) Add(after, elements, i, both ? Op::kUpdateAfter : Op::kInsert, made);
  }
}

absl::StatusOr<Batch> UnnestOperator::Build(const Batch& batch, const Made& made) const {
  const auto rows = static_cast<int64_t>(made.rows.size());
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (size_t c = 0; c < shape_.input.size(); ++c) {
    if (c == spec_.column) continue;
    TM_ASSIGN_OR_RETURN(auto cells, TakeCells(*batch->column_data(static_cast<int>(c)), made.rows));
    columns.push_back(std::move(cells));
  }
  CellWriter<std::string_view> elements(rows);
  CellWriter<int64_t> places(rows);
  CellWriter<int8_t> ops(rows);
  for (size_t i = 0; i < made.rows.size(); ++i) {
    const bool none = made.elements[i].data() == nullptr;
    // An element that is null is NULL, as in every column.
    if (none || made.elements[i] == "null") {
      elements.AppendNull();
    } else {
      elements.Append(made.elements[i]);
    }
    if (none) {
      places.AppendNull();
    } else {
      places.Append(made.places[i]);
    }
    ops.Append(made.ops[i]);
  }
  TM_ASSIGN_OR_RETURN(auto element, elements.Finish(ArrowType(Type{Kind::kJson})));
  columns.push_back(std::move(element));
  if (spec_.ordinality) {
    TM_ASSIGN_OR_RETURN(auto place, places.Finish(ArrowType(Type{Kind::kInt64})));
    columns.push_back(std::move(place));
  }
  for (int h = 0; h < kHiddenCount; ++h) {
    const auto hidden = static_cast<Hidden>(h);
    if (!shape_.hidden.Has(hidden)) continue;
    std::shared_ptr<arrow::Array> column;
    if (hidden == Hidden::kOp) {
      TM_ASSIGN_OR_RETURN(column, ops.Finish(HiddenField(hidden)->type()));
    } else {
      const int index = HiddenIndex(shape_.input, shape_.input_hidden, hidden);
      TM_ASSIGN_OR_RETURN(column, TakeCells(*batch->column_data(index), made.rows));
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(shape_.batch_schema, rows, std::move(columns));
}

}  // namespace tidemark
