#include "src/runtime/transaction.h"

#include "src/base/status.h"

namespace tidemark {

absl::Status Transaction::BeginIfClosed() {
  if (open_) return absl::OkStatus();
  TM_RETURN_IF_ERROR(producer_->Begin());
  open_ = true;
  return absl::OkStatus();
}

absl::Status Transaction::Produce(const std::string& topic, const std::vector<OutRecord>& records) {
  if (records.empty()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(BeginIfClosed());
  for (const OutRecord& record : records) {
    bytes_ += static_cast<int64_t>(64 + record.key.value_or("").size() + record.value.value_or("").size());
  }
  return producer_->Produce(topic, records);
}

}  // namespace tidemark
