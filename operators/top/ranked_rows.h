// All rows of each group in the order of their ranks, of which the first k are asked for: what top over updates keeps.
// Touched only by the stream thread.
//
// Rows are in KeyedRows (state/keyed_rows.h), by group and rank, so neither many groups nor one of many rows need fit
// in memory. Beside them stands the beginning of each group that was used lately, k rows and as many again: rows that
// come and go there are found without a search, and one that goes lets up what is known already. A group of which fewer
// than k are known, and has more, is read from its first row on, once a commit and k changes. Beginnings follow from
// the rows, aren't in state, and go where memory is short, those first that nobody asked for.
//
// A row is known by all of its group, rank and input key, and the ranks spell all columns out. So rows are taken back
// exactly; where changes of one row have come through several writers, between whom there is no order, the same row may
// stand twice for a while, which is kept as a number.
//
// State key: the prefix (KeyedRows, by key): the group (RowCodec::Key, of which none begins with another). Value:
//            varint how many rows it has.
// State key: the prefix: the group, then a row's rank and input key. Value: varint how often it stands, varint bytes of
//            the input key, its time (8 bytes, ordered), the row (RowCodec::Rows).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/container/node_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/top/codec.h"
#include "src/base/memory_budget.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

class RankedRows {
 public:
  struct Row {
    std::string row;
    int64_t time = 0;
    size_t key_bytes = 0;  // of the rank's end, which are the input key
  };
  using Ranked = absl::btree_map<std::string, Row>;  // by rank and input key
  struct Group {
    Ranked first;          // the first rows
    std::string from;      // no row of the group comes before this rank
    uint64_t rows = 0;     // of the group
    uint64_t stored = 0;   // as of the last commit
    bool changed = false;  // since then
    bool asked = false;    // since the hand came by
    size_t at = 0;         // in hot_
  };
  using Groups = absl::node_hash_map<std::string, Group>;
  using Entry = Groups::pointer;

  // `memory` may be null: no limit.
  RankedRows(StateStore* store, const TopCodec& codec, size_t k, MemoryBudget* memory)
      : codec_(codec), k_(k), memory_(memory), rows_(store, "u", memory, {.by_key = true}) {}

  // Reads the rows of versions before too, which kept them in a log under "r".
  absl::Status Load();

  // The groups of a batch and its rows, before they are put or taken. Their beginnings are known then.
  absl::Status Fetch(const TopKeys& keys, int64_t n);
  // Of a group that was fetched since the last commit.
  Entry Find(std::string_view group);
  void Put(Entry group, const TopKeys& keys, int64_t i, int64_t time);
  // Nothing happens where there is no such row.
  void Take(Entry group, const TopKeys& keys, int64_t i);
  // Of a group that has changed: its first k rows are known then, or all.
  absl::Status FillUp(Entry group);

  // `changed`: the groups that rows were put into or taken from; they point nowhere then.
  absl::Status Commit(uint64_t commit, absl::Span<const Entry> changed);
  int64_t MemoryBytes() const { return BeginningBytes() + rows_.MemoryBytes(); }

 private:
  bool KnowsAll(const Group& group) const { return group.first.size() == group.rows; }
  absl::Status Bring(absl::Span<const std::string_view> groups);
  absl::Status ReadFirst(Entry group);
  void Keep(Entry group, std::string_view rank, std::string_view row, int64_t time, size_t key_bytes);
  void Forget(Entry group, Ranked::iterator row);
  void Drop(Entry group);
  void Evict();
  void OrderOf(const TopKeys& keys, int64_t i);
  int64_t BeginningBytes() const { return bytes_ + static_cast<int64_t>(hot_.capacity() * sizeof(Entry)); }

  static constexpr int64_t kRowBytes = sizeof(Ranked::value_type) + 16;
  static constexpr int64_t kGroupBytes = sizeof(Groups::value_type) + 3 * sizeof(void*);

  const TopCodec& codec_;
  const size_t k_;
  MemoryBudget::Share memory_;  // of the beginnings
  KeyedRows rows_;
  Groups groups_;
  std::vector<Entry> hot_;  // all of them
  size_t hand_ = 0;         // in hot_: what the clock looks at next
  int64_t bytes_ = 0;       // of groups_
  // Scratch.
  TopKeys former_;
  std::string rank_, key_, value_;
};

}  // namespace tidemark
