// What the panes of a hopping window come to, key by key, kept from window to window so that each costs the keys that
// it has and not all of its panes. Derived from groups that are all in memory, and given up where they aren't, or where
// memory is short: PaneCursor reads them then. Touched only by the stream thread.
//
// Of each key there are two stacks (Tangwongsan, Hirzel, Schneider, "Low-latency sliding-window aggregation in
// worst-case constant time", DEBS 2017, for one, have them from Okasaki's queues): `front`, all parts that came since
// they were turned, merged; and `back`, a sum for each of the parts before that, of it and of all that outlive it. A
// window's value is the sum on top of the back, merged with the front. A part that comes is merged with the front, one
// that goes is popped off the back; nothing is ever subtracted, so min, max and sketches go by it too. When a part of
// the front is over, the front is turned into sums: two merges a part, once. Parts of one key go in the order in which
// they came, but for those that were late for windows; where one of these is over early, its key alone is turned early.
//
// A key turns in a window of its own among as many as its parts live for, so that not all are turned at once.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <absl/types/span.h>

#include "operators/window/group_index.h"
#include "operators/window/group_set.h"
#include "operators/window/spec.h"

namespace tidemark {

class PaneTotals {
 public:
  using Window = GroupSet::Window;

  PaneTotals(const WindowSpec& spec, GroupSet* groups) : spec_(spec), groups_(*groups) {}

  // On to the window that starts there, the next one or any one where nothing is known: the groups of its panes as
  // ColdGroups left them, all of them in memory. `members`: all that it is made of; `come`: those of which it is the
  // first window. Keys up to `passed` are left out.
  void MoveTo(int64_t start_us, absl::Span<Window* const> members, absl::Span<Window* const> come,
              std::string_view passed);
  bool known() const { return known_; }

  // The next keys in order, at most so many, as slots with their values; they hold until the call that follows. Empty:
  // there are no more.
  void Next(size_t most, std::vector<uint32_t>* slots);

  // Forgets all. The groups may go then.
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
    std::string key;
    uint64_t hash = 0;
    uint32_t turns = 0;       // in which of so many windows
    std::vector<Part> parts;  // groups that have come since it was turned
    Part front;               // these merged; last_us: the least of theirs
    std::vector<Part> back;   // the one that is over first stands last
  };

  uint32_t FindOrMake(uint32_t group);
  void AddToFront(Entry* entry, const Part& part);
  void Turn(Entry* entry);
  void AddToSums(const Part& part);
  static int64_t Held(const Entry& entry) {
    return static_cast<int64_t>((entry.parts.capacity() + entry.back.capacity()) * sizeof(Part));
  }
  // The slot that holds the entry's value in the present window; kNoSlot: it has none.
  uint32_t ValueOf(Entry* entry);
  Part Sum(uint32_t a, uint32_t b, int64_t last_us);
  void Free(Part* part);
  void Forget(uint32_t number);

  const WindowSpec& spec_;
  GroupSet& groups_;
  bool known_ = false;
  int64_t start_us_ = 0;  // of the present window
  uint32_t turning_ = 0;  // the keys with this number are turned in it
  std::deque<Entry> entries_;
  std::vector<uint32_t> free_;   // of entries_
  GroupIndex index_;             // entries by key
  std::vector<uint32_t> order_;  // entries by key
  size_t at_ = 0, kept_ = 0;     // in order_: what is next, and how many of those before it stay
  std::vector<Part> lent_;       // given out by Next, to be freed
  int64_t held_bytes_ = 0;       // of entries, outside of themselves
  std::vector<Part> turned_;     // scratch
};

}  // namespace tidemark
