#include "operators/window/large_groups.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {

void LargeGroups::Begin(uint32_t group, size_t bytes) { groups_[group] = {.whole = bytes, .added = 0, .records = {}}; }

std::optional<uint32_t> LargeGroups::Add(uint32_t group, std::string* changes) {
  const auto at = groups_.find(group);
  if (at == groups_.end() || at->second.added + changes->size() >= at->second.whole) return std::nullopt;
  uint32_t number = 0;
  if (free_.empty()) {
    number = next_++;
  } else {
    number = free_.back();
    free_.pop_back();
  }
  std::string head;
  AppendVarint(group, &head);
  AppendVarint(at->second.records.size(), &head);
  changes->insert(0, head);
  at->second.added += changes->size();
  at->second.records.push_back(number);
  ++records_;
  return number;
}

void LargeGroups::Forget(uint32_t group, Erase erase) {
  const auto at = groups_.find(group);
  if (at == groups_.end()) return;
  for (const uint32_t number : at->second.records) {
    erase(number);
    free_.push_back(number);
  }
  records_ -= at->second.records.size();
  groups_.erase(at);
}

absl::Status LargeGroups::LoadRecord(uint32_t number, const std::string_view* record) {
  next_ = std::max(next_, number + 1);
  if (record != nullptr) {
    loading_[number] = *record;
  } else {
    loading_.erase(number);
  }
  return absl::OkStatus();
}

absl::Status LargeGroups::FinishLoad(Apply apply) {
  struct Record {
    uint64_t group = 0, place = 0;
    uint32_t number = 0;
    std::string_view changes;
  };
  std::vector<Record> records;
  records.reserve(loading_.size());
  for (const auto& [number, bytes] : loading_) {
    Record record{.number = number, .changes = bytes};
    if (!TakeVarint(&record.changes, &record.group) || !TakeVarint(&record.changes, &record.place)) {
      return absl::DataLossError("a large group in the state can't be read");
    }
    records.push_back(record);
  }
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return std::tie(a.group, a.place) < std::tie(b.group, b.place); });
  for (const Record& record : records) {
    Group& group = groups_[static_cast<uint32_t>(record.group)];
    if (record.place != group.records.size()) return absl::DataLossError("a large group in the state lacks a record");
    group.records.push_back(record.number);
    ++records_;
    TM_RETURN_IF_ERROR(apply(static_cast<uint32_t>(record.group), record.changes));
  }
  for (uint32_t number = 0; number < next_; ++number) {
    if (!loading_.contains(number)) free_.push_back(number);
  }
  loading_ = {};
  return absl::OkStatus();
}

int64_t LargeGroups::MemoryBytes() const {
  // Their numbers in vectors that have doubled: at most twice as many.
  return static_cast<int64_t>(groups_.capacity() * (sizeof(std::pair<uint32_t, Group>) + 1) +
                              (free_.capacity() + 2 * records_) * sizeof(uint32_t));
}

}  // namespace tidemark
