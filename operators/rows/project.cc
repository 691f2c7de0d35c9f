#include "operators/rows/project.h"

#include <arrow/record_batch.h>

#include "src/base/status.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> ProjectOperator::Make(const Node& node, const ProjectSpec& spec) {
  std::vector<Item> items;
  for (const ProjectSpec::Item& item : spec.items) {
    TM_ASSIGN_OR_RETURN(Expression expression, Expression::Compile(item.expression, node.in().schema));
    items.push_back({item.expression, std::move(expression)});
  }
  return std::unique_ptr<Operator>(new ProjectOperator(node, std::move(items)));
}

absl::Status ProjectOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return absl::OkStatus();
}

absl::Status ProjectOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  std::vector<uint8_t> keep(n, 1);
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const Item& item : items_) {
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(auto column, item.expression.Evaluate(*batch, &errors));
    columns.push_back(std::move(column));
    TM_RETURN_IF_ERROR(RefuseRows(batch, shape_.input, item.text, errors, &keep, ledger_, emitter));
  }
  const Selection selection(keep, HiddenOps(*batch));
  ledger_->passed += selection.size();
  ledger_->out += selection.size();
  if (selection.size() == 0) return absl::OkStatus();
  return emitter.Emit(selection.Apply(shape_.Assemble(std::move(columns), *batch)));
}

}  // namespace tidemark
