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
// A key of which both are none isn't kept. In state a record a key (operators/numbered_rows.h), written once a commit
// where it has changed; due times aren't in it, they follow from it and the durations of the topology.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>

#include "operators/alert/spec.h"
#include "operators/numbered_rows.h"

namespace tidemark {

struct Watch {
  enum class Phase : uint8_t { kNone, kPending, kOpen };

  Phase phase = Phase::kNone;
  int64_t start = 0, said = 0;
  std::string row;  // the reading at `start`
};

enum WatchKind : uint8_t { kCondition, kAbsence };

struct WatchedKey {
  std::string key;
  std::array<Watch, 2> watches;  // by WatchKind
  uint32_t number = 0;
  int64_t due = 0;    // under which it stands among the timers: never later than what is due of it
  int64_t bytes = 0;  // of its key and rows, as counted last
};

class Watches {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // Nothing is due before `floor`, whatever was in force before.
  Watches(StateStore* store, std::string prefix, const AlertSpec& spec, int64_t floor)
      : numbers_(store, std::move(prefix)), spec_(spec), floor_(floor) {}

  absl::Status Load();

  // The key, or null where nothing is known of it; and made where it isn't there.
  WatchedKey* Find(std::string_view key);
  WatchedKey* FindOrMake(std::string_view key);
  // After every change of a key: it is written with the next commit, or no longer kept where nothing is watched.
  void Changed(WatchedKey* key);

  // Of one of its watches, and of both with being forgotten; kNever: nothing is.
  int64_t DueOf(const WatchedKey& key, WatchKind kind) const;
  int64_t DueOf(const WatchedKey& key) const;
  int64_t ForgetAt(const WatchedKey& key) const;
  // The earliest that is due of any key, of several the first in order of keys; null: nothing is, before `before`.
  WatchedKey* NextDue(int64_t before);

  absl::Status Commit(uint64_t commit);
  size_t size() const { return by_key_.size(); }
  int64_t MemoryBytes() const;

 private:
  struct Timer {
    int64_t due = 0;
    WatchedKey* key = nullptr;
    friend bool operator<(const Timer& a, const Timer& b) {
      return a.due != b.due ? a.due < b.due : a.key->key < b.key->key;
    }
  };

  WatchedKey* Keep(uint32_t number, std::string_view key);
  void Forget(WatchedKey* key);
  void Count(WatchedKey* key);
  void SetTimer(WatchedKey* key, int64_t due);
  int64_t NotBeforeFloor(int64_t time, int64_t duration) const;

  NumberedRows numbers_;
  const AlertSpec spec_;
  const int64_t floor_;
  std::vector<std::unique_ptr<WatchedKey>> keys_;  // by number; null: it is free
  absl::flat_hash_map<std::string_view, WatchedKey*> by_key_;
  absl::btree_set<Timer> timers_;  // one a key of which anything may be due
  int64_t bytes_ = 0;              // of keys and rows
};

}  // namespace tidemark
