// The groups of an aggregation: for every (window, group key) a slot, and in that slot of every accumulator its running
// values. Finds the slots of a batch of (row, window) pairs and keeps windows apart, so that one can be closed without
// looking at the others. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <arrow/type_fwd.h>

#include "operators/window/accumulator.h"
#include "operators/window/group_index.h"
#include "operators/window/slot_array.h"
#include "src/base/time.h"
#include "src/codec/row_codec.h"
#include "src/plan/plan.h"
#include "state/state_log.h"

namespace tidemark {

// (row, window) pairs of a batch: row rows[p] belongs to the window that starts at starts[p].
struct WindowPairs {
  std::vector<int32_t> rows;
  std::vector<int64_t> starts;
  std::vector<uint32_t> slots;  // filled in by GroupSet::Locate
};

class GroupSet {
 public:
  static constexpr uint32_t kNoSlot = GroupIndex::kNoSlot;

  struct Window {
    int64_t start_us = 0;  // 0 for all time
    ByteArena keys;
    GroupIndex index;
    std::vector<uint32_t> slots;    // by number of the group within the window; kNoSlot: gone
    int64_t live = 0;               // groups
    bool closed = false;            // takes no rows any more
    std::vector<uint32_t> retired;  // its slots, to be used again once it is dropped
    // For the owner:
    std::vector<uint32_t> changed;  // slots, since the last commit
    std::vector<uint32_t> erased;   // group numbers, since the last commit
    std::vector<uint32_t> closing;  // slots still to be emitted, last first
    std::unique_ptr<StateLog> key_log, value_log;
    size_t keyed = 0;                     // groups, by number, whose keys are in the log
    std::unique_ptr<StateLog> whole_log;  // keys and values together: what earlier versions wrote
  };

  // `keys` encodes the group columns of the batches that come.
  GroupSet(const std::vector<Aggregate>& aggregates, RowCodec keys);
  GroupSet(const GroupSet&) = delete;  // groups point at its windows
  GroupSet& operator=(const GroupSet&) = delete;

  // The slot of every pair; new groups get empty ones.
  absl::Status Locate(const arrow::RecordBatch& batch, WindowPairs* pairs);

  std::map<int64_t, Window>& windows() { return windows_; }  // by start
  const std::map<int64_t, Window>& windows() const { return windows_; }
  std::vector<std::unique_ptr<Accumulator>>& accumulators() { return accumulators_; }
  Window& window(uint32_t slot) { return *groups_[slot].window; }
  uint32_t number(uint32_t slot) const { return groups_[slot].number; }
  std::string_view key(uint32_t slot) const { return {groups_[slot].key, groups_[slot].key_size}; }
  // (row, window) pairs in the slot, and the largest event time of its rows where the owner needs that: kept by the
  // owner.
  int64_t& rows(uint32_t slot) { return groups_[slot].rows; }
  int64_t& time(uint32_t slot) { return groups_[slot].time; }

  // Forgets the group, but not the window that it was the last of.
  void Free(uint32_t slot);
  // No row comes for the window from now on: its groups are only read, saved and freed.
  void Close(Window* window);
  // Forgets a window without groups.
  void Drop(Window* window);
  // In descending order of their keys' first 16 bytes: what has much of its key in common stands together.
  void SortByHead(std::vector<uint32_t>* slots) const;
  // Asks for the memory that Save will look at, first for the group, a few groups later for its key.
  void PrefetchGroup(uint32_t slot) const { __builtin_prefetch(&groups_[slot]); }
  void PrefetchKey(uint32_t slot) const { __builtin_prefetch(groups_[slot].key); }
  // A copy of a group, in a slot that Locate never finds.
  uint32_t CopyOf(uint32_t slot);
  void FreeCopy(uint32_t slot);
  // Forgets all groups and windows, but keeps the room for as many slots.
  void Clear();

  // The group columns of these slots.
  absl::Status Keys(absl::Span<const uint32_t> slots, std::vector<std::shared_ptr<arrow::Array>>* out) const;

  // A group's values as they stand in state, zero bytes left out; its key stands there apart, as it never changes.
  void SaveValues(uint32_t slot, std::string* out);
  // A group without values yet. DataLoss, as the others: not what was saved.
  absl::Status LoadKey(Window* window, uint32_t number, std::string_view key);
  absl::Status LoadValues(uint32_t slot, std::string_view record);
  // Key and values together, as earlier versions saved them.
  absl::Status LoadWhole(Window* window, uint32_t number, std::string_view record);
  Window* MakeWindow(int64_t start_us);

  size_t slots() const { return groups_.size(); }
  int64_t MemoryBytes() const;

 private:
  struct Group {
    uint64_t hash = 0;
    Window* window = nullptr;
    const char* key = nullptr;  // in window->keys
    uint32_t key_size = 0;
    uint32_t number = 0;  // within the window
    int64_t rows = 0;
    int64_t time = kMinTime.us;
  };
  uint32_t NewSlot();
  void Reset(uint32_t slot);
  bool LoadAccumulators(uint32_t slot, std::string_view bytes);
  uint32_t MakeGroup(uint64_t hash, std::string_view key, Window* window, uint32_t number);

  RowCodec codec_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;
  std::map<int64_t, Window> windows_;
  SlotArray<Group> groups_;  // by slot
  size_t capacity_ = 0;      // slots the accumulators have
  std::vector<uint32_t> free_;
  EncodedKeys encoded_;   // scratch
  std::string unpacked_;  // scratch
};

}  // namespace tidemark
