// What the panes of a hopping window come to in one aggregate from which nothing can be taken out again: a sketch, or a
// list with a limit. Kept key by key in slots of groups that are nobody's else, in which only this aggregate has
// values. A part of PaneTotals, touched only by the stream thread.
//
// Of each key there are two stacks (Tangwongsan, Hirzel, Schneider, "Low-latency sliding-window aggregation in
// worst-case constant time", DEBS 2017, for one, have them from Okasaki's queues): `front`, all parts that came since
// they were turned, merged; and `back`, a sum for each of the parts before that, of it and of all that outlive it. A
// window's value is the sum on top of the back, merged with the front. A part that comes is merged with the front, one
// that goes is popped off the back; nothing is ever subtracted. When a part of the front is over, the front is turned
// into sums: two merges a part, once. Parts of one key go in the order in which they came, but for those that were late
// for windows; where one of these is over early, its key alone is turned early.
//
// A key turns in a window of its own among as many as its parts live for, so that not all are turned at once.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <absl/types/span.h>

#include "operators/window/group_set.h"
#include "operators/window/spec.h"

namespace tidemark {

class PaneStacks {
 public:
  // Of the aggregate at that place.
  PaneStacks(const WindowSpec& spec, GroupSet* groups, size_t aggregate)
      : spec_(spec), groups_(*groups), aggregate_(aggregate) {}

  // On to the window that starts there. First of all: the parts that come then are many windows', until AllCame.
  void MoveTo(int64_t start_us, bool first);
  // Groups come whose last window starts there, each to the total at its place.
  void Come(int64_t last_us, absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals);
  void AllCame();
  // Gives these totals what they have in the present window.
  void SetTotals(absl::Span<const uint32_t> totals);
  // The total of that number is gone.
  void Forget(uint32_t number);
  void Clear();
  // Beside the slots, which the groups count.
  int64_t MemoryBytes() const;

 private:
  static constexpr uint32_t kNoSlot = GroupSet::kNoSlot;
  struct Part {
    int64_t last_us = 0;  // the start of the last window that it is part of
    uint32_t slot = kNoSlot;
    bool own = false;  // else it is a group of a pane
  };
  struct Entry {
    uint32_t turns = 0;       // in which of so many windows
    std::vector<Part> parts;  // groups that have come since it was turned
    Part front;               // these merged; last_us: the least of theirs
    std::vector<Part> back;   // the one that is over first stands last
  };

  void AddToFront(Entry* entry, const Part& part);
  void Turn(Entry* entry);
  void AddToSums(const Part& part);
  static int64_t Held(const Entry& entry) {
    return static_cast<int64_t>((entry.parts.capacity() + entry.back.capacity()) * sizeof(Part));
  }
  void Merge(uint32_t from, uint32_t to) { groups_.accumulators()[aggregate_]->MergeSlot(from, to); }
  Part Sum(uint32_t a, uint32_t b, int64_t last_us);
  void Free(Part* part);

  const WindowSpec& spec_;
  GroupSet& groups_;
  size_t aggregate_;
  bool first_ = false;
  int64_t start_us_ = 0;       // of the present window
  uint32_t turning_ = 0;       // the keys with this number are turned in it
  std::deque<Entry> entries_;  // by number of the total
  int64_t held_bytes_ = 0;     // of them, outside of themselves
  std::vector<Part> turned_;   // scratch
};

}  // namespace tidemark
