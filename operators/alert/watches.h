// What an alert knows of its keys: for each what it watches of it, and when something is due of that if nothing more
// comes. Touched only by the stream thread.
//
// Of a key two things are watched, each by itself: the condition, and whether anything is heard. Either is
//
//      none --> pending --> open --> none
//                  '-------------------^
//
//   none     condition: doesn't hold. Absence: it isn't looked for
//   pending  condition: holds since `start`, raised at start + for unless it breaks before. Absence: the last reading
//            was at `start`, raised at start + absent unless another one comes
//   open     raised; `said` is when a row last said so. The next one at said + remind
//
// A key of which both are none isn't kept.
//
// Keys are rows that needn't fit in memory (state/keyed_rows.h). Those that a commit deals with are brought together,
// changed as objects, and written back with the commit. What is due is found by timers, rows in the order of time and
// key: every key of which anything may be due has one, then or before; one that comes too early is set anew, so most
// readings move none. The keys of timers are brought as time gets to them, a thousand at a time.
//
// Timers are set by the topology's durations. Where these have changed since they were set, all keys are gone through
// again, a part with each commit (Retime), before anything more is judged; so what is due never depends on when that
// was.
//
// State key: the prefix "w" (KeyedRows): the key (RowCodec::Key). Value: its timer (8 bytes, ordered; the largest time:
//            none), then of each watch a byte, its phase, and unless that is none start and said (8 bytes each) and
//            the row with its size.
// State key: the prefix "d" (KeyedRows, by key): the timer (8 bytes, ordered), the key. Values are empty.
// State key: 'b': the durations by which timers are set (8 bytes each).
// State key: the prefix 'k': what versions before wrote (state/state_log.h), and is read.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/alert/spec.h"
#include "src/base/memory_budget.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

struct Watch {
  enum class Phase : uint8_t { kNone, kPending, kOpen };

  Phase phase = Phase::kNone;
  int64_t start = 0, said = 0;
  std::string row;  // the reading at `start`
};

enum WatchKind : uint8_t { kCondition, kAbsence };

// A key that the commit under way deals with.
struct WatchedKey {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  std::string key;
  std::array<Watch, 2> watches;   // by WatchKind
  int64_t due = kNever;           // when it is looked at: never later than what is due of it
  int64_t timer = kNever;         // under which it stands among the timers of the state
  int64_t stored_timer = kNever;  // as its record says
  bool stored = false;            // the state has a record of it
  bool changed = false;           // and that isn't what it is now

  bool empty() const {
    return watches[kCondition].phase == Watch::Phase::kNone && watches[kAbsence].phase == Watch::Phase::kNone;
  }
};

class Watches {
 public:
  static constexpr int64_t kNever = WatchedKey::kNever;

  // Nothing is due before `floor`, whatever was in force before. `memory` may be null: no limit.
  Watches(StateStore* store, const AlertSpec& spec, int64_t floor, MemoryBudget* memory)
      : store_(store),
        spec_(spec),
        floor_(floor),
        keys_(store, "w", memory),
        timers_(store, "d", memory, {.by_key = true}) {}

  absl::Status Load();
  // False: there may be keys whose timers must be set anew before anything is judged or due. Retime sets those of some.
  bool timed() const { return timed_; }
  absl::Status Retime();

  // Find and FindOrMake speak of keys that were brought since the last commit.
  absl::Status Bring(absl::Span<const std::string_view> keys);
  // The key, or null where nothing is known of it; and made where it isn't there.
  WatchedKey* Find(std::string_view key);
  WatchedKey* FindOrMake(std::string_view key);
  // After every change of a key. It is no longer kept where nothing is watched.
  void Changed(WatchedKey* key);

  // Of one of its watches, and of both with being forgotten; kNever: nothing is.
  int64_t DueOf(const WatchedKey& key, WatchKind kind) const;
  int64_t DueOf(const WatchedKey& key) const;
  int64_t ForgetAt(const WatchedKey& key) const;
  // The earliest that is due of any key before `before`, of several the first in order of keys; null: nothing is, or
  // first_due() is before `before`, and BringDue must bring more keys.
  WatchedKey* NextDue(int64_t before);
  absl::Status BringDue(int64_t before);
  // Nothing is due of any key before that.
  int64_t first_due() const;

  absl::Status Commit(uint64_t commit);
  // Of the keys that the commit under way deals with: how much that is in memory until the commit.
  int64_t UsedBytes() const;
  int64_t MemoryBytes() const { return keys_.MemoryBytes() + timers_.MemoryBytes() + UsedBytes(); }

 private:
  struct Timer {
    int64_t due = 0;
    WatchedKey* key = nullptr;
    friend bool operator<(const Timer& a, const Timer& b) {
      return a.due != b.due ? a.due < b.due : a.key->key < b.key->key;
    }
  };

  absl::Status LoadFormer();
  absl::Status Read(std::string_view record, WatchedKey* key) const;
  WatchedKey* Use(std::string_view key);
  void SetDue(WatchedKey* key, int64_t due);
  void Store(WatchedKey* key);
  static void TimerOf(int64_t due, std::string_view key, std::string* timer);
  std::string Durations() const;
  int64_t NotBeforeFloor(int64_t time, int64_t duration) const;

  StateStore* const store_;
  const AlertSpec spec_;
  const int64_t floor_;
  KeyedRows keys_, timers_;
  std::string set_by_;  // the durations by which the timers are set, as of the last commit
  bool timed_ = false;
  KeyedRows::Walk walk_;  // unless timed_: up to where they are

  // Of the commit under way.
  std::deque<WatchedKey> used_;
  absl::flat_hash_map<std::string_view, WatchedKey*> by_key_;  // keys lie in used_
  absl::btree_set<Timer> due_;                                 // of used ones of which anything may be due
  std::string brought_below_;  // all timers of the state before this one have been brought
  int64_t row_bytes_ = 0;      // of keys and rows as they were brought
  std::string record_;         // scratch
};

}  // namespace tidemark
