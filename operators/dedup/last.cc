#include "operators/dedup/last.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "operators/dedup/seen_keys.h"
#include "operators/step.h"
#include "src/base/status.h"
#include "src/codec/row_codec.h"
#include "state/state_log.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 1024;

// The order of rows.
struct RowOrder {
  int64_t time = 0;
  int32_t source = 0, partition = 0;
  int64_t offset = 0;
  friend auto operator<=>(const RowOrder&, const RowOrder&) = default;
};

// An accepted key whose row is still to be emitted. Fixed part of the record in state, followed by the row.
template <typename Key>
struct Waiting {
  Key key;
  int64_t accepted_us = 0;
  int64_t due_us = 0;  // when it could be emitted first: equal entries come out in this order, then as they were opened
  int64_t serial = 0;  // counts entries
  RowOrder order;      // of the row
};

template <typename Key>
class DedupLast final : public Operator {
 public:
  DedupLast(const Node& node, const DedupSpec& spec)
      : shape_(node), spec_(spec), seen_(spec, node.in().schema), codec_(RowCodec::Rows(node.in().schema)) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override;

 private:
  struct Entry {
    Waiting<Key> waiting;
    std::string row;
    bool used = false, dirty = false;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const { return key.top(); }
  };

  EventTime Deadline(const Waiting<Key>& w) const { return EventTime{w.accepted_us} + spec_.within_us; }
  void OpenEntry(const Waiting<Key>& waiting, std::string_view row);
  void AddEntry(uint32_t number, const Waiting<Key>& waiting, std::string_view row);
  void CloseEntry(uint32_t number);
  void MarkDirty(uint32_t number);
  // The numbers of the entries that are due at `time`, in the order in which they are emitted.
  std::vector<uint32_t> Due(EventTime time) const;
  absl::Status EmitEntries(const std::vector<uint32_t>& numbers, Emitter& emitter);

  const StepShape shape_;
  const DedupSpec spec_;
  SeenKeys<Key> seen_;
  const RowCodec codec_;
  StepLedger* ledger_ = nullptr;
  std::unique_ptr<StateLog> log_;
  std::vector<Entry> entries_;  // by number
  std::vector<uint32_t> free_, dirty_, erased_;
  absl::flat_hash_map<Key, uint32_t, KeyHash> newest_;  // the entry that duplicates of a key are compared with
  std::set<std::pair<EventTime, uint32_t>> by_deadline_;
  int64_t next_serial_ = 0, row_bytes_ = 0;
  EventTime output_watermark_ = kMinTime;
  std::vector<Key> keys_;  // scratch
};

template <typename Key>
absl::Status DedupLast<Key>::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  TM_RETURN_IF_ERROR(seen_.Open(context.state, context.memory));
  log_ = std::make_unique<StateLog>(context.state, "e");
  TM_RETURN_IF_ERROR(log_->Load([&](uint32_t number, const std::string_view* record) {
    if (number >= entries_.size()) entries_.resize(number + 1);
    if (entries_[number].used) CloseEntry(number);
    if (record == nullptr) return absl::OkStatus();
    Waiting<Key> waiting;
    if (record->size() < sizeof(waiting)) return absl::DataLossError("a waiting row in the state can't be read");
    std::memcpy(&waiting, record->data(), sizeof(waiting));
    AddEntry(number, waiting, record->substr(sizeof(waiting)));
    next_serial_ = std::max(next_serial_, waiting.serial + 1);
    return absl::OkStatus();
  }));
  erased_.clear();
  free_.clear();
  newest_.clear();
  for (uint32_t number = 0; number < entries_.size(); ++number) {
    entries_[number].dirty = false;
    if (!entries_[number].used) {
      free_.push_back(number);
      continue;
    }
    const Waiting<Key>& waiting = entries_[number].waiting;
    const auto [it, inserted] = newest_.try_emplace(waiting.key, number);
    if (!inserted && entries_[it->second].waiting.accepted_us < waiting.accepted_us) it->second = number;
  }
  return absl::OkStatus();
}

template <typename Key>
absl::Status DedupLast<Key>::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  TM_RETURN_IF_ERROR(seen_.KeysOf(*batch, &keys_));
  EncodedKeys rows;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &rows));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  const int32_t* sources = HiddenInt32(*batch, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset);
  ledger_->in += n;
  for (int64_t i = 0; i < n; ++i) {
    const EventTime watermark{watermarks ? watermarks[i] : kMinTime.us};
    if (seen_.IsLate(times[i], watermark.us)) {
      ++ledger_->late;
      continue;
    }
    const RowOrder order{times[i], sources ? sources[i] : 0, partitions ? partitions[i] : 0, offsets ? offsets[i] : 0};
    int64_t accepted_us = 0;
    if (!seen_.IsDuplicate(keys_[i], times[i], &accepted_us)) {
      ++ledger_->passed;
      const EventTime deadline = EventTime{times[i]} + spec_.within_us;
      OpenEntry({keys_[i], std::max(times[i], SeenTable<Key>::kFree + 1), std::max(deadline, watermark).us,
                 next_serial_++, order},
                rows[i]);
      continue;
    }
    ++ledger_->duplicate;
    const auto newest = newest_.find(keys_[i]);
    if (newest == newest_.end()) continue;  // emitted already
    Entry& entry = entries_[newest->second];
    if (entry.waiting.accepted_us != accepted_us) continue;  // emitted already, an older one still waits
    if (watermark >= Deadline(entry.waiting) || order <= entry.waiting.order) continue;
    entry.waiting.order = order;
    row_bytes_ += static_cast<int64_t>(rows[i].size()) - static_cast<int64_t>(entry.row.size());
    entry.row.assign(rows[i]);
    MarkDirty(newest->second);
  }
  return seen_.status();
}

template <typename Key>
void DedupLast<Key>::OpenEntry(const Waiting<Key>& waiting, std::string_view row) {
  uint32_t number = static_cast<uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  AddEntry(number, waiting, row);
  newest_[waiting.key] = number;
  MarkDirty(number);
}

template <typename Key>
void DedupLast<Key>::AddEntry(uint32_t number, const Waiting<Key>& waiting, std::string_view row) {
  Entry& entry = entries_[number];
  entry.waiting = waiting;
  entry.row.assign(row);
  entry.used = true;
  row_bytes_ += static_cast<int64_t>(row.size());
  by_deadline_.emplace(Deadline(waiting), number);
}

template <typename Key>
void DedupLast<Key>::CloseEntry(uint32_t number) {
  Entry& entry = entries_[number];
  by_deadline_.erase({Deadline(entry.waiting), number});
  const auto newest = newest_.find(entry.waiting.key);
  if (newest != newest_.end() && newest->second == number) newest_.erase(newest);
  row_bytes_ -= static_cast<int64_t>(entry.row.size());
  entry.row = std::string();
  entry.used = false;
  free_.push_back(number);
  erased_.push_back(number);
}

template <typename Key>
void DedupLast<Key>::MarkDirty(uint32_t number) {
  if (std::exchange(entries_[number].dirty, true)) return;
  dirty_.push_back(number);
}

template <typename Key>
std::vector<uint32_t> DedupLast<Key>::Due(EventTime time) const {
  std::vector<uint32_t> due;
  for (auto it = by_deadline_.begin(); it != by_deadline_.end() && it->first <= time; ++it) due.push_back(it->second);
  std::sort(due.begin(), due.end(), [&](uint32_t a, uint32_t b) {
    const Waiting<Key>&x = entries_[a].waiting, &y = entries_[b].waiting;
    return std::tie(x.due_us, x.serial) < std::tie(y.due_us, y.serial);
  });
  return due;
}

template <typename Key>
absl::Status DedupLast<Key>::EmitEntries(const std::vector<uint32_t>& numbers, Emitter& emitter) {
  std::vector<std::string_view> rows;
  HiddenValues hidden;
  for (const uint32_t number : numbers) {
    const Entry& entry = entries_[number];
    rows.push_back(entry.row);
    hidden.times.push_back(entry.waiting.order.time);
    hidden.sources.push_back(entry.waiting.order.source);
    hidden.partitions.push_back(entry.waiting.order.partition);
    hidden.offsets.push_back(entry.waiting.order.offset);
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(codec_.Decode(rows, &columns));
  ledger_->out += static_cast<int64_t>(numbers.size());
  TM_RETURN_IF_ERROR(emitter.Emit(MakeBatch(shape_, std::move(columns), hidden)));
  for (const uint32_t number : numbers) CloseEntry(number);
  return absl::OkStatus();
}

template <typename Key>
absl::StatusOr<EventTime> DedupLast<Key>::AdvanceWatermark(EventTime time, Emitter& emitter) {
  const std::vector<uint32_t> due = Due(time);
  for (size_t at = 0; at < due.size() && !emitter.Full(); at += kEmitRows) {
    const auto begin = due.begin() + static_cast<int64_t>(at);
    const auto end = due.begin() + static_cast<int64_t>(std::min(at + kEmitRows, due.size()));
    TM_RETURN_IF_ERROR(EmitEntries(std::vector<uint32_t>(begin, end), emitter));
  }
  TM_RETURN_IF_ERROR(seen_.Advance(time));
  // A row waiting isn't older than the accepted one.
  EventTime hold = time - spec_.grace_us - 1;
  if (!by_deadline_.empty()) {
    hold = std::min(hold, EventTime{entries_[by_deadline_.begin()->second].waiting.accepted_us} - 1);
  }
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

template <typename Key>
absl::Status DedupLast<Key>::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  TM_RETURN_IF_ERROR(seen_.Commit(commit));
  log_->Begin(commit);
  for (const uint32_t number : std::exchange(erased_, {})) log_->Erase(number);
  std::string record;
  for (const uint32_t number : std::exchange(dirty_, {})) {
    Entry& entry = entries_[number];
    entry.dirty = false;
    if (!entry.used) continue;
    record.assign(reinterpret_cast<const char*>(&entry.waiting), sizeof(entry.waiting));
    record.append(entry.row);
    log_->Put(number, record);
  }
  return log_->Commit();
}

template <typename Key>
int64_t DedupLast<Key>::MemoryBytes() const {
  return seen_.MemoryBytes() + row_bytes_ + (log_ ? log_->MemoryBytes() : 0) +
         static_cast<int64_t>(entries_.capacity() * sizeof(Entry) + by_deadline_.size() * 64 + newest_.capacity() * 33);
}

}  // namespace

std::unique_ptr<Operator> MakeDedupLast(const Node& node, const DedupSpec& spec) {
  if (HasIntKey(spec, node.in().schema)) return std::make_unique<DedupLast<IntKey>>(node, spec);
  return std::make_unique<DedupLast<HashedKey>>(node, spec);
}

}  // namespace tidemark
