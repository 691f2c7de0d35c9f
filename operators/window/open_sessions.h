// The sessions of an aggregation that may still take rows. A session holds the rows of a group that follow each other
// at most a gap apart; it ends a gap behind its last row, and is over once the watermark has passed its end + grace.
// Touched only by the stream thread.
//
// A row at time t meets the sessions that have a row within [t - gap, t + gap], and they all become one with it. So
// sessions of a group stand more than a gap apart, and a row meets two at most.
//
// Why results depend on offsets alone: which rows are late does, by the rule: late iff t + grace < w, where w is the
// row's own watermark (the row itself is in it: by `<=`, all would be late where nothing is out of order and there is
// no grace). And no session that a row which isn't late would meet can be over. For let s be its last row: s >= t -
// gap, so it ends at s + gap >= t, and it is over at the operator's watermark W only if s + gap + grace < W. But W is
// the smallest over all partitions that count, so W <= w <= t + grace <= s + gap + grace. So the sessions are the
// components of all rows that aren't late, whatever was read first, and each closes once, when it is whole. (The end of
// the row's own session, t + gap + grace, would be no such rule: where W lies between, a session that ends in [t, t +
// gap) is closed or not by how far other partitions have come.) Rows without a watermark of their own, results of steps
// in front, lie at W or behind, and so are never late. A partition that comes back from idle is the exception as ever,
// w < W: its row is refused iff t + grace < W, which is the same argument with W in the place of w.
//
// A session closes in the order of ends, then of keys: a row still to come ends its session at W - grace + gap or
// later, and all that have closed ended before W - grace.
//
// Where they are: by group in rows that needn't be in memory (state/keyed_rows.h), all sessions of a group together.
// Those of the groups that a commit deals with are brought into slots of a GroupSet, are added up there, and are
// written back with the commit, after which the slots are free. What is due is found by timers, rows in the order of
// time: every group with sessions has a timer at the end of its first session or before, so most rows move none; one
// that comes too early is set anew, one that is left behind does nothing.
//
// State key "s": KeyedRows by the group's key. Row: for each session, ascending, its first row's time (8 bytes), then
// its values as GroupSet saves them, with their length; their time is the last row's.
// State key "t": ordered KeyedRows, the timer's time (8 bytes) and the group's key. Rows are empty.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/window/group_set.h"
#include "src/base/byte_arena.h"
#include "src/base/memory_budget.h"
#include "src/base/time.h"
#include "src/codec/key_encoder.h"
#include "state/keyed_rows.h"

namespace tidemark {

class OpenSessions {
 public:
  struct Session {
    int64_t first = 0, last = 0;  // times of its rows
    uint32_t slot = 0;
  };
  // A group that the commit under way deals with.
  struct Group {
    std::string_view key;
    std::vector<Session> sessions;   // ascending
    std::optional<EventTime> timed;  // it has a timer then or before
    bool changed = false;            // since it was stored
  };
  struct Due {
    uint32_t group = 0;
    Session session;
  };

  // `groups` keeps the values and is cleared at each commit. `memory` may be null: no limit.
  OpenSessions(StateStore* store, GroupSet* groups, int64_t gap_us, MemoryBudget* memory)
      : groups_(groups),
        gap_us_(gap_us),
        sessions_(store, "s", memory),
        timers_(store, "t", memory, {.ordered = true}) {}

  absl::Status Load();

  // The slot of the session that takes each pair, whose start is its row's time; `keys` are those of the batch's rows.
  // The pairs' values are still to be added.
  absl::Status Locate(const EncodedKeys& keys, WindowPairs* pairs);

  // By number: those the commit has dealt with so far.
  size_t size() const { return used_.size(); }
  const Group& group(uint32_t number) const { return used_[number]; }
  EventTime End(const Session& session) const { return EventTime{session.last} + gap_us_; }

  // Shows the group's sessions as they are stored: first row's time, values.
  using Visitor = absl::FunctionRef<absl::Status(int64_t first, std::string_view values)>;
  absl::Status VisitStored(uint32_t number, Visitor visit);
  // Stores the group as it is now, where it has changed.
  void Store(uint32_t number);

  // ---- Closing
  // Some sessions that end at `until` or before, in the order of ends, then of keys: all that come before those it
  // leaves out. False: there are none. FinishDue before it is called again.
  absl::StatusOr<bool> FindDue(EventTime until);
  absl::Span<const Due> due() const { return due_; }
  // Groups whose timers were looked at: before any other change of theirs that has been emitted is over.
  absl::Span<const uint32_t> visited() const { return visited_; }
  // Forgets sessions that are due; those of a group in their order.
  void Close(absl::Span<const Due> due);
  // Stores the visited groups and sets their timers.
  void FinishDue();
  // No session that is open, and none as it was stored last, ends before; kMaxTime: there is none.
  EventTime FirstEnd() const;

  // Stores what has changed, and forgets all groups that were used.
  absl::Status Commit(uint64_t commit);
  int64_t MemoryBytes() const;

 private:
  absl::Status Bring(absl::Span<const std::string_view> keys, std::vector<uint32_t>* numbers);
  absl::Status LoadSessions(Group* group);
  static absl::Status Visit(std::string_view row, Visitor visit);
  uint32_t Take(Group* group, int64_t time);
  void SetTimer(Group* group);
  // Of the commit under way.
  int64_t UsedBytes() const;

  GroupSet* const groups_;
  const int64_t gap_us_;
  KeyedRows sessions_, timers_;

  // Of the commit under way.
  std::deque<Group> used_;
  absl::flat_hash_map<std::string_view, uint32_t> index_;
  ByteArena keys_;
  std::vector<std::pair<uint32_t, uint32_t>> merged_;  // in a batch: a slot whose session is part of another one now

  std::vector<std::string> passed_;  // timers that were looked at
  std::vector<uint32_t> visited_;
  std::vector<Due> due_;
  std::vector<std::string_view> batch_keys_;  // scratch
  std::vector<uint32_t> numbers_;             // likewise
  std::string row_, values_;                  // likewise
};

}  // namespace tidemark
