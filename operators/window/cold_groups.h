// The groups of an aggregation that have left memory, because the process has too little for all of them: which go, and
// how they come back. Beside GroupSet, which holds those in memory, and WindowState, which writes these. Touched only
// by the stream thread.
//
// A group leaves when it hasn't changed for as long as the clock's hand took to come round: it goes, with many others,
// into runs of its window (state/keyed_runs.h), and out of memory and of the window's logs, all in one commit. It comes
// back when a row of it arrives, or when its window is emitted.
//
// What counts of a group is in memory, and in the logs, or else in the runs: never both. A group that comes back leaves
// its record in the runs; that is void as long as the group is in memory, is replaced by a newer one when it leaves
// again, and goes with its window. A group that is gone while its window isn't, as all of its rows were taken back, is
// erased in the runs with the same commit. That holds after every commit, so it holds for whoever opens the state, and
// results don't depend on what was where: what comes back is what had left, byte by byte.
//
// A closed window is emitted in the order of keys, from memory and runs together, perhaps over many commits. Those from
// memory are erased one by one; of the runs counts what is beyond the last key that was emitted or found void.
//
// State key 'c', window's start (8 bytes): the record of a window with groups that aren't in memory: the number of
// these and of their pairs, 8 bytes each, big-endian, a byte, 1 where there is such a last key, and that key.
// State key 'r', window's start: the prefix of its runs. They count only beside the window's record: runs without one
// are what is left of a window that is gone, and are deleted, so many blocks a commit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/window/group_set.h"
#include "src/base/memory_budget.h"
#include "state/store.h"

namespace tidemark {

class ColdGroups {
 public:
  using Window = GroupSet::Window;
  // Whether a group was left alone since this was asked of it last. False of one that changed since the last commit.
  using IsIdle = absl::FunctionRef<bool(uint32_t slot)>;

  // `memory` may be null: no limit.
  ColdGroups(StateStore* store, GroupSet* groups, MemoryBudget* memory)
      : store_(store), groups_(groups), memory_(memory) {}

  // Reads windows' records, and of their runs headers and filters. After WindowState::Load.
  absl::Status Load();

  // Finds slots for the pairs that Locate found none for.
  absl::Status Warm(WindowPairs* pairs) { return groups_->missing().empty() ? absl::OkStatus() : WarmMissing(pairs); }

  // Groups of an open window that are gone: what the runs may have of them doesn't count any more.
  absl::Status Void(Window* window, std::vector<std::string> keys);
  // Where the process has too little memory, lets idle groups leave: as many as came since the last commit at least,
  // and more as long as that writes little. Appends the starts of windows that were untouched. Once a commit, before
  // WindowState::Save. `more_bytes`: what the owner holds beside the groups.
  absl::Status Evict(IsIdle idle, int64_t more_bytes, std::vector<int64_t>* touched);
  // Whether the process has too little memory for this and so many bytes more.
  bool IsShort(int64_t more_bytes, int64_t wanted_bytes);
  // Whether groups have left so much room that it is to be given back, by GroupSet::Compact: what is needed elsewhere.
  // After WindowState::Save.
  bool WantsCompaction(int64_t more_bytes);
  // The window's record, where it has changed.
  void Save(Window* window);

  // ---- A closed window is emitted, and has groups that aren't in memory.
  // The next group that isn't in memory, in the order of keys; null: none is left.
  absl::StatusOr<const KeyedRuns::Entry*> Next(Window* window);
  // That one has been seen to: emitted, or void.
  static void Pass(Window* window);
  // So many of those that were passed have been emitted, with so many pairs.
  static void Emitted(Window* window, int64_t groups, int64_t rows);

  static int64_t Groups(const Window& window) { return window.cold ? window.cold->groups : 0; }
  static int64_t Rows(const Window& window) { return window.cold ? window.cold->rows : 0; }
  // The window is gone; its runs follow in the next commits.
  void Drop(Window* window);
  // Deletes some of what dropped windows have left.
  void DropSome();

 private:
  std::string RecordKey(int64_t start) const;
  GroupSet::Cold* MakeCold(Window* window);
  absl::Status LoadRecord(int64_t start, std::string_view record);
  absl::Status WarmMissing(WindowPairs* pairs);
  absl::Status WarmWindow(Window* window, absl::Span<const uint32_t> missing, WindowPairs* pairs);
  void FindIdle(IsIdle idle, size_t most);
  void EvictSome(absl::Span<const uint32_t> slots, std::vector<int64_t>* touched);
  // Whether the groups' order is that of their windows, then of their keys.
  bool Before(uint32_t a, uint32_t b) const;

  StateStore* const store_;
  GroupSet* const groups_;
  MemoryBudget::Share memory_;
  uint32_t hand_ = 0;           // the slot that the clock looks at next
  std::vector<uint32_t> idle_;  // slots that were idle when they were looked at; the first in order stands last
  std::vector<std::unique_ptr<KeyedRuns>> dropped_;
};

}  // namespace tidemark
