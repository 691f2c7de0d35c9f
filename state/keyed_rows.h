// Rows by key, both of any length, that needn't fit in memory: those used lately in memory, with their own log in
// state, those left alone in sorted runs (state/keyed_runs.h), out of which they come back when they are asked for.
// What an operator keeps of a row for each of very many keys: the row a table has now, the row that waits. Touched only
// by the stream thread.
//
// A batch at a time: Fetch first brings in the rows of all keys that the batch is about, reading each block of the runs
// once; then Get, Put and Delete speak of these keys only, and don't read. As long as nothing has left memory, Fetch
// does nothing.
//
// What counts of a key is what is in memory, deletions included, or else the newest entry of the runs. A row that
// comes back unchanged stays where it was: nothing is written of it, and it leaves again for nothing. Once it changes,
// the log has it, and what the runs have is void until the row leaves again, which replaces it. A deleted row whose key
// the runs may know stays as a mark, which leaves as a row does and is dropped with the last entry that it hides. Rows
// move between log and runs within one commit, so all of this holds for whoever opens the state: an abort or a crash
// leaves the rows of the last commit, and results don't depend on what was where. There is nothing to undo: whoever
// has failed is dropped, and another object loads what is committed.
//
// Opening reads the log, which has what was in memory, and of the runs headers, indexes and filters: 1.6 bytes a row.
//
// Rows in the order of time: where keys begin with a big-endian number, the head, the owner may take rows in its order
// (`ordered`). Recall moves rows of the smallest heads from the runs into memory, as many as asked for, and says below
// which head all are in memory now; what the runs have below it is void from then on and goes by whole ranges. Where
// any number of rows may share a head, keys as a whole are the order (`by_key`), and rows are recalled, or looked
// through, as many at a time as asked for whatever their heads.
//
// Who leaves: where the process has too little memory, rows that nobody has asked for since a clock's hand came round,
// in the order of their keys, a wave at a time, as many as came since the last commit at least (Commit, which also
// merges runs in proportion). A row that changed since the last commit stays.
//
// State key: the prefix, 'l': a log (state/state_log.h) of records: a byte, 1 where the row is deleted, else 0; the
//            key with its length; the row.
// State key: the prefix, 'f' and 'r': runs.  The prefix, 'w': of ordered rows, the head below which runs are void, and
//            one that no row of the runs is below, 8 bytes each, big-endian; of rows by key such keys, each with its
//            length, the second missing where the runs have no row.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "src/base/memory_budget.h"
#include "state/keyed_runs.h"
#include "state/state_log.h"
#include "state/store.h"

namespace tidemark {

class KeyedRows {
 public:
  struct Options {
    bool ordered = false;  // keys have at least 8 bytes, and Recall and FirstHead are used
    bool by_key = false;   // instead: in the order of keys; RecallSome and FirstHead, or else Scan, are used
  };
  static constexpr uint64_t kNoHead = std::numeric_limits<uint64_t>::max();

  // `memory` may be null: no limit.
  KeyedRows(StateStore* store, std::string prefix, MemoryBudget* memory, Options options);
  KeyedRows(StateStore* store, std::string prefix, MemoryBudget* memory)
      : KeyedRows(store, std::move(prefix), memory, Options()) {}
  KeyedRows(const KeyedRows&) = delete;
  KeyedRows& operator=(const KeyedRows&) = delete;

  absl::Status Load();
  // Rows that an earlier version kept in a log of its own under this prefix: `parse` makes key and row of a record.
  // They count until they change, and move to this form some thousand a commit. After Load, before anything else.
  using Parse = absl::FunctionRef<absl::Status(std::string_view record, std::string* key, std::string* row)>;
  // Of several records of a key, `join` puts what the first ones came to and a further one together.
  using Join = absl::FunctionRef<absl::Status(std::string_view other, std::string* row)>;
  absl::Status LoadFormer(std::string prefix, Parse parse);
  absl::Status LoadFormer(std::string prefix, Parse parse, Join join);

  // ---- A batch.
  // Keys in any order, and more than once.
  absl::Status Fetch(absl::Span<const std::string_view> keys);
  // Fetch has nothing to do for any key.
  bool all_in_memory() const { return runs_.empty(); }
  // The row of a key that was fetched since the last commit; valid until the next Put or Delete of that key.
  std::optional<std::string_view> Get(std::string_view key);
  void Put(std::string_view key, std::string_view row);
  // False: there was none.
  bool Delete(std::string_view key);

  // ---- In the order of heads.
  // No row has a smaller one; kNoHead: there are no rows.
  uint64_t FirstHead() const;
  // Brings in rows of the runs with heads below `end`: about so many, and all that share their head with the last. All
  // rows with heads below the one that is returned (at most `end`) are in memory then.
  absl::StatusOr<uint64_t> Recall(uint64_t end, size_t most);
  // Shows rows in memory with heads below `end`, in their order: about so many, and all that share their head with the
  // last. Returns the head below which all were shown, at most `end`. What is shown stays where it is until its own row
  // is put or deleted.
  using Visitor = absl::FunctionRef<void(std::string_view key, std::string_view row)>;
  uint64_t VisitBelow(uint64_t end, size_t most, Visitor visit) const;

  // ---- In the order of keys (keyed_rows_order.cc).
  // Brings in rows with keys below `end`, the first ones, and shows them: about so many (more only where a key is very
  // long). Returns the key below which all were shown, at most `end`. What is shown stays where it is as above.
  absl::StatusOr<std::string> RecallSome(std::string_view end, size_t most, Visitor visit);
  // Shows the first rows with keys in [from, end), at most so many, wherever they are, and leaves them there. For
  // owners that never recall.
  absl::Status Scan(std::string_view from, std::string_view end, size_t most, Visitor visit);

  // ---- All of them.
  // A walk goes over all rows a piece at a time, in no order, while batches and commits go on: a row that isn't put or
  // deleted meanwhile is shown, once or more often. Rows in memory come first: one that leaves it later is met in the
  // runs, and one that comes back unchanged is still there. So a walk that goes on with another object, as of a commit,
  // may keep its place in the runs, and else begins anew. Not of ordered rows.
  struct Walk {
    bool in_runs = false;
    uint32_t slot = 0;  // the next one
    std::string key;    // in_runs: shown up to there
  };
  // Shows the next rows, about so many, or a range of the runs (KeyedRuns). True: these were the last.
  absl::StatusOr<bool> GoOn(Walk* walk, size_t most, Visitor visit);

  // Writes what has changed since the last commit, and lets rows leave where there is too little memory. `more_bytes`:
  // what the owner holds beside them.
  absl::Status Commit(uint64_t commit, int64_t more_bytes = 0);

  int64_t MemoryBytes() const;
  size_t in_memory() const { return index_.size(); }  // rows and marks of deleted ones
  const KeyedRuns& runs() const { return runs_; }
  static uint64_t Head(std::string_view key);
  // The head of keys that begin with this number, ordered (AppendOrdered), and back.
  static uint64_t HeadOf(int64_t ordered) { return static_cast<uint64_t>(ordered) ^ (uint64_t{1} << 63); }
  static int64_t OrderedOf(uint64_t head) { return static_cast<int64_t>(head ^ (uint64_t{1} << 63)); }

 private:
  enum Flag : uint8_t {
    kUsed = 1,
    kDirty = 2,    // changed since the last commit
    kLogged = 4,   // the log has a record of it
    kErased = 8,   // deleted, and the runs may have what it hides
    kAsked = 16,   // since the hand came by
    kFormer = 32,  // the former log has it, and this one doesn't
  };
  // The number of a slot is that of its record in the log.
  struct Slot {
    std::unique_ptr<char[]> bytes;  // key, row
    uint32_t key_bytes = 0, row_bytes = 0;
    uint32_t former = 0;  // kFormer: its number there
    uint8_t flags = 0;

    std::string_view key() const { return {bytes.get(), key_bytes}; }
    std::string_view row() const { return {bytes.get() + key_bytes, row_bytes}; }
  };
  struct KeyHash {
    using is_transparent = void;
    const std::deque<Slot>* slots;
    size_t operator()(std::string_view key) const { return KeyedRuns::Hash(key); }
    size_t operator()(uint32_t number) const { return KeyedRuns::Hash((*slots)[number].key()); }
  };
  struct KeyEqual {
    using is_transparent = void;
    const std::deque<Slot>* slots;
    std::string_view Key(std::string_view key) const { return key; }
    std::string_view Key(uint32_t number) const { return (*slots)[number].key(); }
    template <typename A, typename B>
    bool operator()(A a, B b) const {
      return Key(a) == Key(b);
    }
  };

  // Of rows in memory: by head, then by slot, or by key.
  using Place = std::pair<uint64_t, uint32_t>;
  struct Before {
    using is_transparent = void;
    const std::deque<Slot>* slots;
    bool by_key;
    bool operator()(const Place& a, const Place& b) const {
      if (a.first != b.first) return a.first < b.first;
      return by_key ? (*slots)[a.second].key() < (*slots)[b.second].key() : a.second < b.second;
    }
    bool operator()(const Place& a, std::string_view key) const { return (*slots)[a.second].key() < key; }
    bool operator()(std::string_view key, const Place& b) const { return key < (*slots)[b.second].key(); }
  };
  using Order = absl::btree_set<Place, Before>;

  static constexpr uint32_t kNone = ~uint32_t{0};

  bool in_order() const { return options_.ordered || options_.by_key; }
  uint32_t FindSlot(std::string_view key) const;
  uint32_t MakeSlot(std::string_view key, std::string_view row);
  void SetBytes(Slot* slot, std::string_view key, std::string_view row);
  void MarkDirty(uint32_t number);
  // The slot is free, and the logs lose its record.
  void FreeSlot(uint32_t number);
  void DropFormer(Slot* slot);
  absl::Status LoadRecord(uint32_t number, std::string_view record);
  void IndexLoaded();

  // A key that says where `key` is: as much of it as floor_ and cold_ have.
  std::string_view Bound(std::string_view key) const;
  std::string_view KeyAt(Order::const_iterator it) const { return slots_[it->second].key(); }
  absl::Status ReadAhead();
  absl::StatusOr<std::string> RecallBelow(std::string_view end, size_t most);
  void RaiseFloor(std::string_view key);
  absl::Status Evict(int64_t more_bytes);
  void FindIdle(int64_t bytes);
  int64_t EvictSome(absl::Span<const uint32_t> numbers);
  bool MayLeave(const Slot& slot) const;
  void MoveFormer();
  void SaveFloor();
  absl::Status LoadFloor();

  StateStore* const store_;
  const std::string prefix_;
  const Options options_;
  MemoryBudget::Share memory_;
  StateLog log_;
  KeyedRuns runs_;
  std::deque<Slot> slots_;
  absl::flat_hash_set<uint32_t, KeyHash, KeyEqual> index_;
  Order order_;                                  // ordered, by_key: of rows in memory
  std::vector<uint32_t> free_, dirty_, erased_;  // erased_: records to go from the log
  int64_t bytes_ = 0;                            // of keys and rows in memory
  int64_t come_bytes_ = 0;                       // of those that came since the last commit

  uint32_t hand_ = 0;
  std::vector<uint32_t> idle_;  // left alone when the hand came by; the first in order stands last

  // Of rows in order: what the runs have.
  std::string floor_;                      // what is below is void
  std::optional<std::string> first_cold_;  // nothing that counts is below; nothing: there is nothing that counts
  bool floor_changed_ = false;
  KeyedRuns::Entries ahead_;  // read from the runs, to be recalled next
  size_t ahead_at_ = 0;
  bool ahead_valid_ = false;
  std::optional<std::string> ahead_next_;  // where to read on

  std::unique_ptr<StateLog> former_;
  std::vector<uint32_t> former_erased_;
  uint32_t former_hand_ = 0;  // the slot that is looked at next
};

}  // namespace tidemark
