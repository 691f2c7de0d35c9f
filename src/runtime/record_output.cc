#include "src/runtime/record_output.h"

#include <algorithm>

#include "src/base/status.h"

namespace tidemark {

RecordOutput::RecordOutput(std::string topic, int32_t partitions, int32_t task_partition,
                           std::unique_ptr<RowEncoder> encoder,
                           const std::vector<std::pair<std::string, std::string>>& headers, Transaction* transaction,
                           Refusals refusals)
    : topic_(std::move(topic)),
      partitions_(partitions),
      fallback_partition_(task_partition % partitions),
      encoder_(std::move(encoder)),
      transaction_(transaction),
      refusals_(std::move(refusals)) {
  for (const auto& [name, value] : headers) headers_.emplace_back(name, value);
  header_bytes_ = HeaderBytes(headers_);
}

absl::Status RecordOutput::Write(const Batch& rows) {
  TM_RETURN_IF_ERROR(encoder_->Encode(*rows, partitions_, fallback_partition_, &encoded_));
  if (!headers_.empty()) {
    for (OutRecord& record : encoded_.records) record.headers = &headers_;
  }
  if (refusals_.send) TM_RETURN_IF_ERROR(TakeOutTooLarge(rows));
  rows_ += static_cast<int64_t>(encoded_.records.size());
  return transaction_->Produce(topic_, encoded_.records);
}

absl::Status RecordOutput::TakeOutTooLarge(const Batch& rows) {
  std::vector<OutRecord>& records = encoded_.records;
  const auto fits = [&](const OutRecord& record) {
    return refusals_.limit.FitsPlain(BatchBytes(record, header_bytes_));
  };
  auto kept = std::find_if_not(records.begin(), records.end(), fits);
  for (auto it = kept; it != records.end(); ++it) {
    const auto why = fits(*it) ? std::nullopt : WhyTooLarge(*it, topic_, refusals_.limit);
    if (!why) {
      *kept++ = *it;
      continue;
    }
    TM_RETURN_IF_ERROR(refusals_.send({*it, *why, encoder_->upsert() ? nullptr : rows, it - records.begin()}));
  }
  records.erase(kept, records.end());
  return absl::OkStatus();
}

}  // namespace tidemark
