// The step that changes nothing: a union, or the reading end of a repartition.
#pragma once

#include "operators/operator.h"
#include "operators/step.h"

namespace tidemark {

class PassOperator final : public Operator {
 public:
  explicit PassOperator(const Node& node) : shape_(node) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;

 private:
  const StepShape shape_;
  StepLedger* ledger_ = nullptr;
};

}  // namespace tidemark
