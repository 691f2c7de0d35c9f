#include "operators/group_set.h"

#include <algorithm>
#include <cstring>

#include <xxhash.h>

#include "operators/varint.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr size_t kPrefetchPairs = 8;

uint64_t HashGroup(std::string_view key, int64_t start_us) {
  return XXH3_64bits_withSeed(key.data(), key.size(), static_cast<uint64_t>(start_us) * 0x9E3779B97F4A7C15ULL);
}

}  // namespace

GroupSet::GroupSet(const std::vector<Aggregate>& aggregates, RowCodec keys)
    : codec_(std::move(keys)), index_(0, Hash{this}, Equal{this}) {
  for (const Aggregate& aggregate : aggregates) accumulators_.push_back(MakeAccumulator(aggregate));
}

absl::Status GroupSet::Locate(const arrow::RecordBatch& batch, WindowPairs* pairs) {
  TM_RETURN_IF_ERROR(codec_.Encode(batch, &encoded_));
  const size_t n = pairs->rows.size();
  hashes_.resize(n);
  for (size_t p = 0; p < n; ++p) hashes_[p] = HashGroup(encoded_[pairs->rows[p]], pairs->starts[p]);
  pairs->slots.resize(n);
  Window* window = nullptr;
  for (size_t p = 0; p < n; ++p) {
    if (p + kPrefetchPairs < n) index_.prefetch(Probe{hashes_[p + kPrefetchPairs], 0, {}});
    const Probe probe{hashes_[p], pairs->starts[p], encoded_[pairs->rows[p]]};
    const auto found = index_.find(probe);
    if (found != index_.end()) {
      pairs->slots[p] = *found;
      continue;
    }
    if (window == nullptr || window->start_us != probe.start_us) window = MakeWindow(probe.start_us);
    pairs->slots[p] = MakeGroup(probe, window, static_cast<uint32_t>(window->slots.size()));
  }
  return absl::OkStatus();
}

GroupSet::Window* GroupSet::MakeWindow(int64_t start_us) {
  Window& window = windows_[start_us];
  window.start_us = start_us;
  return &window;
}

uint32_t GroupSet::NewSlot() {
  if (!free_.empty()) {
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  const size_t slot = groups_.size();
  groups_.emplace_back();
  rows_.push_back(0);
  times_.push_back(kMinTime.us);
  if (slot >= capacity_) {
    capacity_ = std::max<size_t>(64, capacity_ * 3 / 2);
    for (auto& accumulator : accumulators_) accumulator->Resize(capacity_);
  }
  return static_cast<uint32_t>(slot);
}

uint32_t GroupSet::MakeGroup(const Probe& probe, Window* window, uint32_t number) {
  const uint32_t slot = NewSlot();
  groups_[slot] = {probe.hash, window, window->keys.size(), static_cast<uint32_t>(probe.key.size()), number};
  window->keys.append(probe.key);
  if (number >= window->slots.size()) window->slots.resize(number + 1, kNoSlot);
  window->slots[number] = slot;
  ++window->live;
  index_.insert(slot);
  return slot;
}

uint32_t GroupSet::CopyOf(uint32_t slot) {
  const uint32_t copy = NewSlot();
  groups_[copy] = groups_[slot];
  rows_[copy] = rows_[slot];
  times_[copy] = times_[slot];
  for (auto& accumulator : accumulators_) accumulator->Copy(slot, copy);
  return copy;
}

void GroupSet::FreeCopy(uint32_t slot) {
  for (auto& accumulator : accumulators_) accumulator->Clear(slot);
  rows_[slot] = 0;
  times_[slot] = kMinTime.us;
  free_.push_back(slot);
}

void GroupSet::Free(uint32_t slot) {
  index_.erase(slot);
  Window& window = *groups_[slot].window;
  window.slots[groups_[slot].number] = kNoSlot;
  --window.live;
  FreeCopy(slot);
}

void GroupSet::Clear() {
  const size_t groups = groups_.size();
  index_.clear();
  index_.reserve(groups);
  windows_.clear();
  groups_.clear();
  rows_.clear();
  times_.clear();
  free_.clear();
  for (auto& accumulator : accumulators_) accumulator->Resize(0);
  capacity_ = 0;
}

absl::Status GroupSet::Keys(absl::Span<const uint32_t> slots, std::vector<std::shared_ptr<arrow::Array>>* out) const {
  std::vector<std::string_view> keys;
  keys.reserve(slots.size());
  for (const uint32_t slot : slots) keys.push_back(key(slot));
  return codec_.Decode(keys, out);
}

void GroupSet::Save(uint32_t slot, std::string* out) const {
  const std::string_view bytes = key(slot);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
  out->append(reinterpret_cast<const char*>(&rows_[slot]), sizeof(int64_t));
  out->append(reinterpret_cast<const char*>(&times_[slot]), sizeof(int64_t));
  for (const auto& accumulator : accumulators_) accumulator->Save(slot, out);
}

absl::Status GroupSet::Load(Window* window, uint32_t number, std::string_view record) {
  std::string_view bytes;
  bool ok = TakeBytes(&record, &bytes) && record.size() >= 2 * sizeof(int64_t);
  if (ok) {
    uint32_t slot = number < window->slots.size() ? window->slots[number] : kNoSlot;
    if (slot == kNoSlot)
      slot = MakeGroup({HashGroup(bytes, window->start_us), window->start_us, bytes}, window, number);
    std::memcpy(&rows_[slot], record.data(), sizeof(int64_t));
    std::memcpy(&times_[slot], record.data() + sizeof(int64_t), sizeof(int64_t));
    record.remove_prefix(2 * sizeof(int64_t));
    for (auto& accumulator : accumulators_) ok = ok && accumulator->Load(slot, &record);
  }
  if (!ok || !record.empty()) return absl::DataLossError("a group in the state can't be read");
  return absl::OkStatus();
}

int64_t GroupSet::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(groups_.capacity() * (sizeof(Group) + 2 * sizeof(int64_t)) +
                                       index_.capacity() * (sizeof(uint32_t) + 1));
  for (const auto& accumulator : accumulators_) bytes += accumulator->MemoryBytes();
  for (const auto& [start, window] : windows_) {
    bytes += static_cast<int64_t>(sizeof(Window) + window.keys.capacity() + window.slots.capacity() * 4);
    if (window.log) bytes += window.log->MemoryBytes();
  }
  return bytes;
}

}  // namespace tidemark
