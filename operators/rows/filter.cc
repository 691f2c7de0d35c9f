#include "operators/rows/filter.h"

#include <vector>

#include <arrow/array/array_base.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> FilterOperator::Make(const Node& node, const FilterSpec& spec) {
  TM_ASSIGN_OR_RETURN(Expression condition, Expression::Compile(spec.expression, node.in().schema));
  if (condition.type().kind != Kind::kBool) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter of step ", node.step, ": expected a bool expression, found ", TypeName(condition.type())));
  }
  return std::unique_ptr<Operator>(new FilterOperator(node, spec.expression, std::move(condition)));
}

absl::Status FilterOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return absl::OkStatus();
}

absl::Status FilterOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(const auto passes, condition_.Evaluate(*batch, &errors));
  std::vector<uint8_t> keep(n, 1);
  TM_RETURN_IF_ERROR(RefuseRows(batch, shape_.input, text_, errors, &keep, ledger_, emitter));
  const Cells<bool> cells(*passes->data());
  for (int64_t i = 0; i < n; ++i) {
    if (keep[i] && (cells.IsNull(i) || !cells[i])) {
      keep[i] = 0;
      ++ledger_->filtered;
    }
  }
  const Selection selection(keep, HiddenOps(*batch));
  ledger_->passed += selection.size();
  ledger_->out += selection.size();
  if (selection.size() == 0) return absl::OkStatus();
  return emitter.Emit(selection.Apply(shape_.PassThrough(batch)));
}

}  // namespace tidemark
