#include "operators/rows/pass.h"

namespace tidemark {

absl::Status PassOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return absl::OkStatus();
}

absl::Status PassOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  ledger_->in += batch->num_rows();
  ledger_->passed += batch->num_rows();
  ledger_->out += batch->num_rows();
  return emitter.Emit(shape_.PassThrough(batch));
}

}  // namespace tidemark
