#include "operators/window/group_set.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <xxhash.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/varint.h"
#include "src/codec/zero_packing.h"

namespace tidemark {
namespace {

// Pairs whose cache misses are waited for together.
constexpr size_t kBlock = 32;

absl::Status Damaged() { return absl::DataLossError("a group in the state can't be read"); }

// KeyedRuns::Hash, in line.
uint64_t HashGroup(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

GroupSet::GroupSet(const std::vector<Aggregate>& aggregates, RowCodec keys, InputRows rows)
    : aggregates_(aggregates), input_rows_(rows), codec_(std::move(keys)) {
  for (const Aggregate& aggregate : aggregates) accumulators_.push_back(MakeAccumulator(aggregate, rows));
}

absl::Status GroupSet::Locate(const arrow::RecordBatch& batch, WindowPairs* pairs) {
  TM_RETURN_IF_ERROR(codec_.Encode(batch, &encoded_));
  const size_t n = pairs->rows.size();
  pairs->slots.resize(n);
  missing_.clear();
  std::array<Window*, 16> recent{};  // by start: a row's windows come again with the next row
  std::array<Window*, kBlock> windows;
  std::array<uint64_t, kBlock> hashes;
  std::array<uint32_t, kBlock> candidates;
  for (size_t begin = 0; begin < n; begin += kBlock) {
    const size_t count = std::min(kBlock, n - begin);
    const int32_t* const rows = &pairs->rows[begin];
    const int64_t* const starts = &pairs->starts[begin];
    for (size_t i = 0; i < count; ++i) {
      Window*& window = recent[static_cast<uint64_t>(starts[i]) * 0x9E3779B97F4A7C15ULL >> 60];
      if (window == nullptr || window->start_us != starts[i]) window = MakeWindow(starts[i]);
      windows[i] = window;
      hashes[i] = i > 0 && rows[i] == rows[i - 1] ? hashes[i - 1] : HashGroup(encoded_[rows[i]]);
      window->index.Prefetch(hashes[i]);
    }
    for (size_t i = 0; i < count; ++i) {
      candidates[i] = windows[i]->index.Candidate(hashes[i]);
      if (candidates[i] != kNoSlot) PrefetchGroup(candidates[i]);
    }
    for (size_t i = 0; i < count; ++i) {
      if (candidates[i] != kNoSlot) PrefetchKey(candidates[i]);
    }
    for (size_t i = 0; i < count; ++i) {
      Window* const window = windows[i];
      const std::string_view key = encoded_[rows[i]];
      uint32_t slot = window->index.Find(
          hashes[i], [&](uint32_t s) { return groups_[s].hash == hashes[i] && this->key(s) == key; });
      if (slot == kNoSlot) {
        if (window->cold != nullptr && window->cold->runs->MayHold(key, hashes[i])) [[unlikely]] {
          missing_.push_back(static_cast<uint32_t>(begin + i));
        } else {
          slot = MakeGroup(hashes[i], key, window, NextNumber(window));
        }
      }
      pairs->slots[begin + i] = slot;
    }
  }
  return absl::OkStatus();
}

uint32_t GroupSet::FindOrMake(Window* window, std::string_view key, uint64_t hash) {
  const auto same = [&](uint32_t s) { return groups_[s].hash == hash && this->key(s) == key; };
  const uint32_t slot = window->index.Find(hash, same);
  return slot != kNoSlot ? slot : MakeGroup(hash, key, window, NextNumber(window));
}

uint32_t GroupSet::NextNumber(Window* window) {
  if (window->free_numbers.empty()) return static_cast<uint32_t>(window->slots.size());
  const uint32_t number = window->free_numbers.back();
  window->free_numbers.pop_back();
  window->rekeyed.push_back(number);
  return number;
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
  const size_t slot = groups_.Grow();
  if (slot >= capacity_) {
    capacity_ = std::max<size_t>(64, capacity_ * 3 / 2);
    for (auto& accumulator : accumulators_) accumulator->Resize(capacity_);
  }
  return static_cast<uint32_t>(slot);
}

uint32_t GroupSet::MakeGroup(uint64_t hash, std::string_view key, Window* window, uint32_t number) {
  const uint32_t slot = NewSlot();
  groups_[slot] = {hash, window, window->keys.Add(key), static_cast<uint32_t>(key.size()), number};
  if (number >= window->slots.size()) window->slots.resize(number + 1, kNoSlot);
  window->slots[number] = slot;
  ++window->live;
  ++made_;
  window->index.Insert(hash, slot);
  return slot;
}

int64_t GroupSet::OutsideBytes(uint32_t slot) const {
  int64_t bytes = 0;
  for (const auto& accumulator : accumulators_) bytes += accumulator->OutsideBytes(slot);
  return bytes;
}

int64_t GroupSet::OutsideBytes() const {
  int64_t bytes = 0;
  for (const auto& accumulator : accumulators_) bytes += accumulator->OutsideBytes();
  return bytes;
}

uint32_t GroupSet::SplitOff(uint32_t slot, int64_t bytes) {
  const uint32_t part = NewSlot();
  groups_[part] = groups_[slot];
  groups_[part].rows = 0;
  int64_t moved = 0;
  for (const auto& accumulator : accumulators_) {
    const int64_t has = accumulator->OutsideBytes(slot);
    if (has == 0) continue;
    if (moved > 0 && moved + has > bytes) break;
    accumulator->MovePart(slot, part, bytes - moved);
    moved += accumulator->OutsideBytes(part);
  }
  return part;
}

uint32_t GroupSet::CopyOf(uint32_t slot) {
  const uint32_t copy = NewSlot();
  groups_[copy] = groups_[slot];
  for (auto& accumulator : accumulators_) accumulator->Copy(slot, copy);
  return copy;
}

uint32_t GroupSet::MakeLoose(std::string_view key) {
  const uint32_t slot = NewSlot();
  groups_[slot] = {0, nullptr, key.data(), static_cast<uint32_t>(key.size()), kNoSlot};
  return slot;
}

void GroupSet::MergeInto(uint32_t from, uint32_t to) {
  for (auto& accumulator : accumulators_) accumulator->MergeSlot(from, to);
  groups_[to].rows += groups_[from].rows;
  groups_[to].time = std::max(groups_[to].time, groups_[from].time);
}

absl::StatusOr<uint32_t> GroupSet::Borrow(Window* window, std::string_view key, std::string_view values) {
  const uint32_t slot = MakeLoose(key);
  groups_[slot].window = window;
  TM_RETURN_IF_ERROR(LoadValues(slot, values));
  return slot;
}

void GroupSet::FreeCopy(uint32_t slot) {
  Reset(slot);
  groups_[slot].window = nullptr;
  free_.push_back(slot);
}

void GroupSet::Reset(uint32_t slot) {
  for (auto& accumulator : accumulators_) accumulator->Clear(slot);
  groups_[slot].rows = 0;
  groups_[slot].time = kMinTime.us;
}

void GroupSet::Free(uint32_t slot) {
  Window& window = *groups_[slot].window;
  window.slots[groups_[slot].number] = kNoSlot;
  --window.live;
  Reset(slot);
  groups_[slot].window = nullptr;
  if (window.closed) return;
  window.dead_key_bytes += groups_[slot].key_size;
  window.index.Erase(groups_[slot].hash, slot);
  free_.push_back(slot);
}

void GroupSet::FreeAll(Window* window) {
  std::erase(window->slots, kNoSlot);
  for (const auto& accumulator : accumulators_) accumulator->ClearSlots(window->slots);
  for (const uint32_t slot : window->slots) {
    groups_[slot].window = nullptr;
    groups_[slot].rows = 0;
    groups_[slot].time = kMinTime.us;
  }
  window->slots.clear();
  window->live = 0;
}

// The next window gets the slots in the order in which this one got them, so that neighbours stay neighbours in memory.
void GroupSet::Close(Window* window) {
  window->closed = true;
  window->index.Clear();
  for (auto slot = window->slots.rbegin(); slot != window->slots.rend(); ++slot) {
    if (*slot != kNoSlot) window->retired.push_back(*slot);
  }
}

void GroupSet::Drop(Window* window) {
  free_.insert(free_.end(), window->retired.begin(), window->retired.end());
  windows_.erase(window->start_us);
}

void GroupSet::CompactKeys(Window* window) {
  constexpr size_t kFew = 64 << 10;
  if (window->dead_key_bytes < std::max(kFew, window->keys.MemoryBytes() / 2)) return;
  ByteArena keys;
  for (const uint32_t slot : window->slots) {
    if (slot != kNoSlot) groups_[slot].key = keys.Add(key(slot));
  }
  window->keys = std::move(keys);
  window->dead_key_bytes = 0;
}

absl::StatusOr<std::vector<uint32_t>> GroupSet::Compact(size_t spare) {
  std::vector<uint32_t> old;
  for (uint32_t slot = 0; slot < groups_.size(); ++slot) {
    if (IsFound(slot)) old.push_back(slot);
  }
  const size_t capacity = old.size() + spare;
  std::string bytes;
  for (size_t a = 0; a < accumulators_.size(); ++a) {
    std::unique_ptr<Accumulator> fresh = MakeAccumulator(aggregates_[a], input_rows_);
    fresh->Resize(capacity);
    for (uint32_t slot = 0; slot < old.size(); ++slot) {
      bytes.clear();
      accumulators_[a]->Save(old[slot], &bytes);
      std::string_view from = bytes;
      if (!fresh->Load(slot, &from)) return Damaged();
      if (accumulators_[a]->Notes(old[slot])) fresh->Note(slot, true);
    }
    accumulators_[a] = std::move(fresh);
  }
  SlotArray<Group> groups;
  for (const uint32_t slot : old) groups[groups.Grow()] = groups_[slot];
  groups_ = std::move(groups);
  capacity_ = capacity;
  free_ = std::vector<uint32_t>();
  for (auto& [start, window] : windows_) window.index.Clear();
  for (uint32_t slot = 0; slot < groups_.size(); ++slot) {
    Window& window = *groups_[slot].window;
    window.slots[groups_[slot].number] = slot;
    window.index.Insert(groups_[slot].hash, slot);
  }
  return old;
}

void GroupSet::SortByKey(std::vector<uint32_t>* slots) const {
  // Most keys differ in so many bytes; to look at more costs a cache miss.
  struct Item {
    uint64_t head, next, third;
    uint32_t slot;
  };
  std::vector<Item> items;
  items.reserve(slots->size());
  for (const uint32_t slot : *slots) {
    std::array<char, 24> head{};
    const std::string_view bytes = key(slot);
    std::memcpy(head.data(), bytes.data(), std::min(bytes.size(), head.size()));
    items.push_back({ReadBigEndian({head.data(), 8}), ReadBigEndian({head.data() + 8, 8}),
                     ReadBigEndian({head.data() + 16, 8}), slot});
  }
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    if (a.head != b.head) return a.head > b.head;
    if (a.next != b.next) return a.next > b.next;
    return a.third != b.third ? a.third > b.third : key(a.slot) > key(b.slot);
  });
  for (size_t i = 0; i < items.size(); ++i) (*slots)[i] = items[i].slot;
}

void GroupSet::Clear() {
  windows_.clear();
  groups_.Clear();
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

void GroupSet::SaveValues(uint32_t slot, std::string* out) { SaveRecord(slot, &Accumulator::Save, out); }

bool GroupSet::CanNoteChanges() const {
  return std::any_of(accumulators_.begin(), accumulators_.end(), [](const auto& a) { return a->CanNote(); });
}

void GroupSet::NoteChanges(uint32_t slot, bool on) {
  for (const auto& accumulator : accumulators_) accumulator->Note(slot, on && accumulator->CanNote());
}

bool GroupSet::NotesChanges(uint32_t slot) const {
  bool any = false;
  for (const auto& accumulator : accumulators_) {
    if (!accumulator->CanNote()) continue;
    if (!accumulator->Notes(slot)) return false;
    any = true;
  }
  return any;
}

void GroupSet::SaveChanges(uint32_t slot, std::string* out) { SaveRecord(slot, &Accumulator::SaveChanges, out); }

void GroupSet::SaveRecord(uint32_t slot, SaveValue save, std::string* out) {
  unpacked_.clear();
  unpacked_.append(reinterpret_cast<const char*>(&groups_[slot].rows), sizeof(int64_t));
  const uint64_t time = static_cast<uint64_t>(groups_[slot].time) - static_cast<uint64_t>(kMinTime.us);  // 0: none
  unpacked_.append(reinterpret_cast<const char*>(&time), sizeof(time));
  for (const auto& accumulator : accumulators_) ((*accumulator).*save)(slot, &unpacked_);
  PackZeros(unpacked_, out);
}

void GroupSet::LoadKey(Window* window, uint32_t number, std::string_view key) {
  if (number < window->slots.size() && window->slots[number] != kNoSlot) Free(window->slots[number]);
  MakeGroup(HashGroup(key), key, window, number);
}

absl::Status GroupSet::LoadRecord(uint32_t slot, std::string_view record, LoadValue load) {
  uint64_t time = 0;
  if (!UnpackZeros(record, &unpacked_) || unpacked_.size() < 2 * sizeof(int64_t)) return Damaged();
  std::memcpy(&groups_[slot].rows, unpacked_.data(), sizeof(int64_t));
  std::memcpy(&time, unpacked_.data() + sizeof(int64_t), sizeof(int64_t));
  groups_[slot].time = static_cast<int64_t>(time + static_cast<uint64_t>(kMinTime.us));
  const std::string_view values = std::string_view(unpacked_).substr(2 * sizeof(int64_t));
  return LoadAccumulators(slot, values, load) ? absl::OkStatus() : Damaged();
}

absl::Status GroupSet::LoadWhole(Window* window, uint32_t number, std::string_view record) {
  std::string_view bytes;
  if (!TakeBytes(&record, &bytes) || record.size() < 2 * sizeof(int64_t)) return Damaged();
  uint32_t slot = number < window->slots.size() ? window->slots[number] : kNoSlot;
  if (slot == kNoSlot) slot = MakeGroup(HashGroup(bytes), bytes, window, number);
  std::memcpy(&groups_[slot].rows, record.data(), sizeof(int64_t));
  std::memcpy(&groups_[slot].time, record.data() + sizeof(int64_t), sizeof(int64_t));
  const std::string_view values = record.substr(2 * sizeof(int64_t));
  return LoadAccumulators(slot, values, &Accumulator::Load) ? absl::OkStatus() : Damaged();
}

bool GroupSet::LoadAccumulators(uint32_t slot, std::string_view bytes, LoadValue load) {
  for (auto& accumulator : accumulators_) {
    if (bytes.empty() && grown_) {
      accumulator->Clear(slot);
    } else if (!((*accumulator).*load)(slot, &bytes)) {
      return false;
    }
  }
  return bytes.empty();
}

int64_t GroupSet::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(groups_.MemoryBytes() + free_.capacity() * sizeof(uint32_t));
  for (const auto& accumulator : accumulators_) bytes += accumulator->MemoryBytes();
  for (const auto& [start, window] : windows_) {
    bytes += static_cast<int64_t>(
        sizeof(Window) + window.keys.MemoryBytes() + window.index.MemoryBytes() +
        (window.slots.capacity() + window.retired.capacity() + window.free_numbers.capacity()) * sizeof(uint32_t));
    if (window.cold) bytes += window.cold->runs->MemoryBytes() + window.cold->ahead.bytes.MemoryBytes();
    for (const auto* log : {&window.key_log, &window.value_log, &window.change_log, &window.whole_log}) {
      if (*log) bytes += (*log)->MemoryBytes();
    }
    if (window.change_log) bytes += window.large.MemoryBytes();
  }
  return bytes;
}

}  // namespace tidemark
