#include "src/runtime/transaction.h"

#include "src/base/status.h"

namespace tidemark {

uint64_t Transaction::NextSerial() {
  thread_local uint64_t last = 0;
  return ++last;
}

void Transaction::Reset() {
  open_ = false;
  bytes_ = 0;
  serial_ = NextSerial();
  failed_ = absl::OkStatus();
}

absl::Status Transaction::BeginIfClosed() {
  TM_RETURN_IF_ERROR(failed_);
  if (open_) return absl::OkStatus();
  if (const absl::Status begun = producer_->Begin(); !begun.ok()) return failed_ = begun;
  open_ = true;
  return absl::OkStatus();
}

absl::Status Transaction::Produce(const std::string& topic, const std::vector<OutRecord>& records) {
  if (records.empty()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(BeginIfClosed());
  for (const OutRecord& record : records) {
    bytes_ += static_cast<int64_t>(64 + record.key.value_or("").size() + record.value.value_or("").size());
  }
  return failed_ = producer_->Produce(topic, records);
}

}  // namespace tidemark
