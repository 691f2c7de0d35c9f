#include "src/runtime/row_samples.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/type.h>

namespace tidemark {
namespace {

// Of its texts and bytes: what else is in a row is small.
int64_t BytesOfRow(const Batch& batch, int64_t row) {
  int64_t bytes = 0;
  for (const auto& column : batch->columns()) {
    if (arrow::is_binary_like(column->type_id())) {
      bytes += static_cast<const arrow::BinaryArray&>(*column).value_length(row);
    } else if (arrow::is_large_binary_like(column->type_id())) {
      bytes += static_cast<const arrow::LargeBinaryArray&>(*column).value_length(row);
    }
  }
  return bytes;
}

}  // namespace

RowSamples::Look RowSamples::LookAt(const std::string& step) {
  const int64_t now = clock_->MonotonicUs();
  const absl::MutexLock lock(&mutex_);
  const auto [found, is_new] = steps_.try_emplace(step);
  if (is_new) found->second.since_us = clock_->WallUs();
  found->second.looked_us = now;
  any_.store(true, std::memory_order_relaxed);
  return {found->second.since_us, {found->second.samples.begin(), found->second.samples.end()}};
}

bool RowSamples::Wants(const std::string& step) {
  const int64_t now = clock_->MonotonicUs();
  const absl::MutexLock lock(&mutex_);
  std::erase_if(steps_, [&](const auto& each) { return now - each.second.looked_us > kSampledForUs; });
  any_.store(!steps_.empty(), std::memory_order_relaxed);
  return steps_.contains(step);
}

void RowSamples::Publish(const std::string& step, RowSample sample) {
  sample.committed_us = clock_->WallUs();
  const absl::MutexLock lock(&mutex_);
  const auto found = steps_.find(step);
  if (found == steps_.end()) return;
  Step& to = found->second;
  to.rows += sample.rows->num_rows();
  to.samples.push_back(std::move(sample));
  while (to.rows - to.samples.front().rows->num_rows() >= kSampledRows) {
    to.rows -= to.samples.front().rows->num_rows();
    to.samples.pop_front();
  }
}

void CommitSamples::Add(const Batch& batch) {
  std::vector<int32_t> last;
  for (int64_t row = std::max<int64_t>(0, batch->num_rows() - kSampledRows); row < batch->num_rows(); ++row) {
    if (BytesOfRow(batch, row) <= kSampledBytes) last.push_back(static_cast<int32_t>(row));
  }
  if (last.empty()) return;
  open_.push_back(TakeRows(batch, last));
  int64_t kept = 0;
  size_t needed = open_.size();
  while (needed > 0 && kept < kSampledRows) kept += open_[--needed]->num_rows();
  open_.erase(open_.begin(), open_.begin() + static_cast<std::ptrdiff_t>(needed));
}

}  // namespace tidemark
