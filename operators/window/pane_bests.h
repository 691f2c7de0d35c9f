// Of each key the groups of panes that can still be the result of one aggregate that is the best of its values:
// smallest, largest, first, last. A group that another one outlives and isn't worse than never is, so of what remains
// each lasts longer than the one before it and is worse, and the first is the result. Each group is compared with what
// it drops and one more: amortised two comparisons, and none where it goes. Of values in no order a key has a handful
// of them, at most one a pane. (The monotonic queue of sliding minima; here groups that were late for some of their
// windows come behind others that last longer, and find their place among them.)
//
// Only slots are kept, no values: as PaneTotals, whose part this is. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/types/span.h>

#include "operators/window/group_set.h"

namespace tidemark {

class PaneBests {
 public:
  // Of the aggregate at that place.
  PaneBests(GroupSet* groups, size_t aggregate) : groups_(*groups), aggregate_(aggregate) {}

  // Groups come whose last window starts there, each to the total at its place, which gets the result. `numbers`: of
  // the totals, likewise in Leave.
  void Come(int64_t last_us, absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals,
            absl::Span<const uint32_t> numbers);
  // Groups go that are the next to go of their keys.
  void Leave(absl::Span<const uint32_t> groups, absl::Span<const uint32_t> totals, absl::Span<const uint32_t> numbers);
  void Clear();
  int64_t MemoryBytes() const;

 private:
  struct Candidate {
    int64_t last_us = 0;  // the start of the last window that it is part of
    uint32_t slot = GroupSet::kNoSlot;
  };
  using Candidates = absl::InlinedVector<Candidate, 2>;  // the best in front

  // Whether the group has become one of them.
  static bool Insert(const Accumulator& accumulator, Candidate group, Candidates* candidates);
  // Asks for the candidates of a key far ahead, and for the value of the worst of a nearer one, which is compared first
  // and mostly is of a pane long ago.
  void Prefetch(const Accumulator& accumulator, absl::Span<const uint32_t> numbers, size_t i) const;
  static int64_t Held(const Candidates& candidates) {
    const size_t capacity = candidates.capacity();
    return capacity > 2 ? static_cast<int64_t>(capacity * sizeof(Candidate)) : 0;
  }

  GroupSet& groups_;
  size_t aggregate_;
  std::vector<Candidates> of_;  // by number of the total
  int64_t held_bytes_ = 0;      // of these, outside of themselves
};

}  // namespace tidemark
