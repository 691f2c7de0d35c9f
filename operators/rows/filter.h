// Lets through the rows for which an expression is true; NULL is not true. Over an update step a pair of which only one
// half passes becomes a delete or an insert. Holds no state.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/rows/spec.h"
#include "operators/step.h"
#include "src/expr/expression.h"

namespace tidemark {

class FilterOperator final : public Operator {
 public:
  // InvalidArgument where the expression doesn't compile.
  static absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const FilterSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;

 private:
  FilterOperator(const Node& node, std::string text, Expression condition)
      : shape_(node), text_(std::move(text)), condition_(std::move(condition)) {}

  const StepShape shape_;
  const std::string text_;
  const Expression condition_;
  StepLedger* ledger_ = nullptr;
};

}  // namespace tidemark
