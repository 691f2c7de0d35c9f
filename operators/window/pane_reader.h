// What the panes of a hopping window come to, where some of their groups have left memory, or memory is too short to
// keep sums (pane_totals.h): all of them read side by side in the order of their keys. Costs a merge for each pane that
// has the key, every time, and memory for some blocks of each run, fewer where there are many panes. For one window,
// which takes no more rows; the groups of its panes stay where they are until it is done. Touched only by the stream
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/window/group_set.h"
#include "src/base/byte_arena.h"

namespace tidemark {

class PaneReader {
 public:
  using Window = GroupSet::Window;

  // Keys up to `passed` are left out.
  PaneReader(GroupSet* groups, absl::Span<Window* const> panes, std::string_view passed);
  PaneReader(const PaneReader&) = delete;
  PaneReader& operator=(const PaneReader&) = delete;
  ~PaneReader();

  // The next keys in order, at most so many, as slots with their values; they hold until the call that follows. Empty:
  // there are no more.
  absl::Status Next(size_t most, std::vector<uint32_t>* slots);

  // Beside the slots, which the groups count.
  int64_t MemoryBytes() const;
  // How many blocks of each run are read at once, of so many panes.
  static uint32_t BlocksAhead(size_t panes);

 private:
  // Where in a pane reading is.
  struct Pane {
    Window* window = nullptr;
    std::vector<uint32_t> hot;  // groups in memory that are still to come, the next one last
    KeyedRuns::Entries ahead;   // and of the others
    size_t at = 0;
    std::optional<std::string> next;  // from where to read on
    std::string_view key;             // of the next group of either
    bool is_hot = false;
  };

  // False: the pane has no more.
  absl::StatusOr<bool> Step(Pane* pane);
  absl::StatusOr<bool> HasCold(Pane* pane);
  absl::Status Take(const Pane& pane, uint32_t to);
  void FreeLent();
  static bool Later(const Pane* a, const Pane* b) { return a->key > b->key; }

  GroupSet& groups_;
  uint32_t blocks_ahead_ = 1;
  std::vector<std::unique_ptr<Pane>> panes_;
  std::vector<Pane*> heap_;  // the one whose key comes first in front
  bool started_ = false;
  std::vector<uint32_t> lent_;
  ByteArena keys_;  // of these
};

}  // namespace tidemark
