// Computes the output's columns from expressions over the input's. Over an update step both halves of a pair are
// computed; the row before comes out exactly as it did when it was the row after. Holds no state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/rows/spec.h"
#include "operators/step.h"
#include "src/expr/expression.h"

namespace tidemark {

class ProjectOperator final : public Operator {
 public:
  // InvalidArgument where an expression doesn't compile.
  static absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const ProjectSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;

 private:
  struct Item {
    std::string text;
    Expression expression;
  };

  ProjectOperator(const Node& node, std::vector<Item> items) : shape_(node), items_(std::move(items)) {}

  const StepShape shape_;
  const std::vector<Item> items_;
  StepLedger* ledger_ = nullptr;
};

}  // namespace tidemark
