// The groups of an aggregation: for every (window, group key) a slot, and in that slot of every accumulator its running
// values. Finds the slots of a batch of (row, window) pairs and keeps windows apart, so that one can be closed without
// looking at the others. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "operators/window/accumulator.h"
#include "operators/window/group_index.h"
#include "operators/window/large_groups.h"
#include "operators/window/slot_array.h"
#include "operators/window/spec.h"
#include "src/base/byte_arena.h"
#include "src/base/time.h"
#include "src/codec/row_codec.h"
#include "state/keyed_runs.h"
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

  // The groups of a window that have left memory: see cold_groups.h.
  struct Cold {
    std::unique_ptr<KeyedRuns> runs;
    int64_t groups = 0, rows = 0;        // those that count, and their pairs
    std::optional<std::string> emitted;  // the window is being emitted: the last key passed in the runs
    bool changed = false;                // any of these, since the last commit
    // What of the runs is emitted next.
    KeyedRuns::Entries ahead;
    size_t at = 0;
    bool reading = false;
    std::optional<std::string> next;
  };

  struct Window {
    int64_t start_us = 0;  // 0 for all time
    ByteArena keys;
    size_t dead_key_bytes = 0;  // in it, of groups that left memory
    GroupIndex index;
    std::vector<uint32_t> slots;         // by number of the group within the window; kNoSlot: gone
    int64_t live = 0;                    // groups
    bool closed = false;                 // takes no rows any more
    std::vector<uint32_t> retired;       // its slots, to be used again once it is dropped
    std::vector<uint32_t> free_numbers;  // below slots.size(), to be used again
    std::unique_ptr<Cold> cold;          // null: no group has left memory
    // For the owner:
    bool touched = false;           // there is something to save
    std::vector<uint32_t> changed;  // slots, since the last commit
    std::vector<uint32_t> erased;   // group numbers, since the last commit
    std::vector<uint32_t> evicted;  // likewise: those are free afterwards
    std::vector<uint32_t> rekeyed;  // numbers that have a new group, since the last commit
    std::vector<uint32_t> closing;  // slots still to be emitted, last first
    std::unique_ptr<StateLog> key_log, value_log;
    std::unique_ptr<StateLog> change_log;  // of `large`; null: no group is, or was
    LargeGroups large;
    size_t keyed = 0;                     // groups, by number, whose keys are in the log
    std::unique_ptr<StateLog> whole_log;  // keys and values together: what earlier versions wrote
  };

  // `keys` encodes the group columns of the batches that come.
  GroupSet(const std::vector<Aggregate>& aggregates, RowCodec keys, InputRows rows = InputRows::kStand);
  GroupSet(const GroupSet&) = delete;  // groups point at its windows
  GroupSet& operator=(const GroupSet&) = delete;

  // The slot of every pair; new groups get empty ones. A pair whose group may have left memory gets kNoSlot and stands
  // in missing(), until ColdGroups::Warm finds it a slot.
  absl::Status Locate(const arrow::RecordBatch& batch, WindowPairs* pairs);
  std::vector<uint32_t>& missing() { return missing_; }  // positions in pairs
  std::string_view located_key(int32_t row) const { return encoded_[row]; }
  // A new group in that window, or the one there is.
  uint32_t FindOrMake(Window* window, std::string_view key, uint64_t hash);

  std::map<int64_t, Window>& windows() { return windows_; }  // by start
  const std::map<int64_t, Window>& windows() const { return windows_; }
  std::vector<std::unique_ptr<Accumulator>>& accumulators() { return accumulators_; }
  const std::vector<std::unique_ptr<Accumulator>>& accumulators() const { return accumulators_; }
  Window& window(uint32_t slot) { return *groups_[slot].window; }
  uint32_t number(uint32_t slot) const { return groups_[slot].number; }
  uint64_t hash(uint32_t slot) const { return groups_[slot].hash; }
  std::string_view key(uint32_t slot) const { return {groups_[slot].key, groups_[slot].key_size}; }
  // (row, window) pairs in the slot, those taken back not among them, and the largest event time of its rows where the
  // owner needs that: kept by the owner.
  int64_t& rows(uint32_t slot) { return groups_[slot].rows; }
  int64_t rows(uint32_t slot) const { return groups_[slot].rows; }
  int64_t& time(uint32_t slot) { return groups_[slot].time; }

  // Forgets the group, but not the window that it was the last of.
  void Free(uint32_t slot);
  // Likewise all groups of a closed window.
  void FreeAll(Window* window);
  // No row comes for the window from now on: its groups are only read, saved and freed.
  void Close(Window* window);
  // Forgets a window without groups.
  void Drop(Window* window);
  // In descending order of their keys.
  void SortByKey(std::vector<uint32_t>* slots) const;
  // Asks for the memory that Save will look at, first for the group, a few groups later for its key.
  void PrefetchGroup(uint32_t slot) const { __builtin_prefetch(&groups_[slot]); }
  void PrefetchKey(uint32_t slot) const { __builtin_prefetch(groups_[slot].key); }
  // What groups hold in long texts and in values that are kept one by one (Accumulator::OutsideBytes).
  int64_t OutsideBytes(uint32_t slot) const;
  int64_t OutsideBytes() const;
  // Moves about so many of these bytes to such a slot as CopyOf gives, which has no rows.
  uint32_t SplitOff(uint32_t slot, int64_t bytes);
  // A copy of a group's results, in a slot that Locate never finds.
  uint32_t CopyOf(uint32_t slot);
  void FreeCopy(uint32_t slot);
  // Such a slot for a new group of no window. The key must outlive it.
  uint32_t MakeLoose(std::string_view key);
  // Adds what the group in `from` has to that in `to`.
  void MergeInto(uint32_t from, uint32_t to);
  // A group of the window (null: of none) that isn't in memory, in such a slot; its number is kNoSlot. The key must
  // outlive it.
  absl::StatusOr<uint32_t> Borrow(Window* window, std::string_view key, std::string_view values);
  // Whether the slot is a group's that Locate finds.
  bool IsFound(uint32_t slot) const {
    const Group& group = groups_[slot];
    return group.window != nullptr && !group.window->closed && group.number < group.window->slots.size() &&
           group.window->slots[group.number] == slot;
  }
  // Gives back what keys take that are gone, once it is half of their memory.
  void CompactKeys(Window* window);
  // Gives back the memory of free slots, but for so many. Groups get other slots: returns the old ones in the order of
  // the new. No window may be closed, no slot be noted anywhere but in Window::slots, and nothing have changed that
  // isn't saved.
  absl::StatusOr<std::vector<uint32_t>> Compact(size_t spare);
  // Forgets all groups and windows, but keeps the room for as many slots.
  void Clear();

  // The group columns of these slots.
  absl::Status Keys(absl::Span<const uint32_t> slots, std::vector<std::shared_ptr<arrow::Array>>* out) const;

  // A group's values as they stand in state, zero bytes left out; its key stands there apart, as it never changes. The
  // aggregates follow each other, and none that has a value takes no bytes: so what was saved before further ones were
  // added ends in front of these, which are empty when it is loaded (AggregateItem::from_now), wherever it stood: in
  // logs, in runs, in sessions. It gets its new form when the group is saved next.
  void SaveValues(uint32_t slot, std::string* out);
  // Of groups with values that are kept one by one, which some aggregate must have: notes from now on, anew, what comes
  // and goes, or no more, and whether it does. SaveChanges saves that, and the rest of the group as it is; LoadChanges
  // puts it on top of what was saved as the noting began.
  bool CanNoteChanges() const;
  void NoteChanges(uint32_t slot, bool on);
  bool NotesChanges(uint32_t slot) const;
  void SaveChanges(uint32_t slot, std::string* out);
  // A group without values yet. DataLoss, as the others: not what was saved.
  void LoadKey(Window* window, uint32_t number, std::string_view key);
  void ForgetValues(uint32_t slot) { Reset(slot); }
  absl::Status LoadValues(uint32_t slot, std::string_view record) {
    return LoadRecord(slot, record, &Accumulator::Load);
  }
  absl::Status LoadChanges(uint32_t slot, std::string_view record) {
    return LoadRecord(slot, record, &Accumulator::LoadChanges);
  }
  // Key and values together, as earlier versions saved them.
  absl::Status LoadWhole(Window* window, uint32_t number, std::string_view record);
  Window* MakeWindow(int64_t start_us);

  size_t slots() const { return groups_.size(); }
  // What is loaded may lack the last aggregates: they were added since, and are empty.
  void set_grown(bool grown) { grown_ = grown; }
  // Groups that find room before there must be more memory for them.
  size_t free_slots() const { return free_.size() + capacity_ - groups_.size(); }
  // Groups that were made since this was asked last.
  size_t TakeMade() { return std::exchange(made_, 0); }
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
  static uint32_t NextNumber(Window* window);
  void Reset(uint32_t slot);
  using SaveValue = void (Accumulator::*)(uint32_t slot, std::string* out) const;
  using LoadValue = bool (Accumulator::*)(uint32_t slot, std::string_view* from);
  void SaveRecord(uint32_t slot, SaveValue save, std::string* out);
  absl::Status LoadRecord(uint32_t slot, std::string_view record, LoadValue load);
  bool LoadAccumulators(uint32_t slot, std::string_view bytes, LoadValue load);
  uint32_t MakeGroup(uint64_t hash, std::string_view key, Window* window, uint32_t number);

  const std::vector<Aggregate> aggregates_;
  const InputRows input_rows_;
  bool grown_ = false;
  RowCodec codec_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;
  std::map<int64_t, Window> windows_;
  SlotArray<Group> groups_;  // by slot
  size_t capacity_ = 0;      // slots the accumulators have
  std::vector<uint32_t> free_;
  size_t made_ = 0;
  std::vector<uint32_t> missing_;
  EncodedKeys encoded_;   // of the batch that was located last
  std::string unpacked_;  // scratch
};

}  // namespace tidemark
