// Joins rows with a global table: the table's columns of the row with equal key are appended. Keys with a NULL match
// nothing. Rows without a match are dropped and counted as unmatched (inner) or get NULLs and count as passed (left);
// where the step names an `unmatched` topic they also go there as they came in. Holds no state; each batch sees one
// version of the table.
#pragma once

#include <memory>

#include "operators/join/spec.h"
#include "operators/operator.h"
#include "operators/step.h"

namespace tidemark {

class JoinOperator final : public Operator {
 public:
  JoinOperator(const Node& node, const JoinSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;

 private:
  absl::Status EmitUnmatched(const Batch& batch, const std::vector<int32_t>& matches, Emitter& emitter);

  const StepShape shape_;
  const JoinSpec spec_;
  std::vector<size_t> stream_columns_;
  OperatorContext context_;
  std::vector<int32_t> matches_;  // scratch
};

}  // namespace tidemark
