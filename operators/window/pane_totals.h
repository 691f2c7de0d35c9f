// What the panes of a hopping window come to, key by key, kept from window to window, so that each costs the groups
// that come to it and those that go, and not all of its panes. Derived from groups that are all in memory, and given up
// where they aren't, or where memory is short: PaneReader reads them then. Touched only by the stream thread.
//
// The totals are groups themselves, of a window beside those of the panes: one for each key that the present window
// has, with the values that it has there, so that results are made of them as of any groups. How they follow depends on
// the aggregate (Accumulator::Sliding):
//
//   kTaken    counts, sums in numbers that lose nothing, all values with how often they are there: what comes is added,
//             what goes is taken out again. Two additions a pane's group, whatever the windows' length
//   kBest     min, max, first, last and the like: the groups that can still be the result (pane_bests.h)
//   kMerged   what is neither, as sketches: two stacks of what groups come to (pane_stacks.h)
//
// Which groups there are between the coming of a pane and its going is fixed, as are their values (panes.h): what is
// taken out is what was added.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <absl/types/span.h>

#include "operators/window/group_set.h"
#include "operators/window/pane_bests.h"
#include "operators/window/pane_stacks.h"
#include "operators/window/spec.h"

namespace tidemark {

class PaneTotals {
 public:
  using Window = GroupSet::Window;

  PaneTotals(const WindowSpec& spec, GroupSet* groups);
  PaneTotals(const PaneTotals&) = delete;  // groups point at its window
  PaneTotals& operator=(const PaneTotals&) = delete;

  // On to the window that starts there, the next one or any one where nothing is known: the groups of its panes, all of
  // them in memory. `members`: all that it is made of; `come`: those of which it is the first window. Keys up to
  // `passed` are left out.
  void MoveTo(int64_t start_us, absl::Span<Window* const> members, absl::Span<Window* const> come,
              std::string_view passed);
  bool known() const { return known_; }

  // The next keys in order, at most so many, as slots with their values; they hold until the call that follows. Empty:
  // there are no more.
  void Next(size_t most, std::vector<uint32_t>* slots);

  // The present window is the last one of the pane, whose groups are about to go.
  void Leave(const Window& pane);

  // Forgets all. The groups may go then.
  void Clear();
  // Beside the slots, which the groups count.
  int64_t MemoryBytes() const;

 private:
  static constexpr uint32_t kNoSlot = GroupSet::kNoSlot;

  void Come(const Window& pane);
  // Empties what follows, of a pane's groups; returns from_.
  std::vector<uint32_t>& Begin();
  void FindTotals(absl::Span<const uint32_t> block);
  // Puts the totals in order_ from there on where their keys belong.
  void Sort(size_t from);
  void ForgetGone();

  const WindowSpec& spec_;
  GroupSet& groups_;
  std::vector<size_t> taken_;  // aggregates
  std::vector<PaneBests> bests_;
  std::vector<PaneStacks> stacks_;

  bool known_ = false;
  Window totals_;                   // a group a key; one without rows is gone
  std::vector<uint32_t> total_of_;  // by slot of a pane's group
  std::vector<uint32_t> order_;     // totals by key
  size_t at_ = 0;                   // in it: what is next
  bool some_gone_ = false;
  // Scratch: a pane's groups, their totals and the numbers of these; new totals.
  std::vector<uint32_t> from_, to_, numbers_, new_;
};

}  // namespace tidemark
