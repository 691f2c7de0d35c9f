// The rows of each key that rows to come may see, for the operator `over`. Those of keys that have had rows lately are
// in memory as objects; all of them are in pages of state/keyed_rows.h, which spill. Touched only by the stream thread.
//
// Pages are of a stretch of time (an eighth of the range), or of 64 rows; a page of time that gets large goes on in
// further pieces. A commit writes those to which rows were added, so it costs what has come and not what a key holds.
// Pages of time go when their time is over for whatever may come, key by key and without a look at the keys; of rows
// they go as they are left behind, and the last ones stay for good.
//
// State key: the prefix, KeyedRows': of a range: the page's first moment (8, ordered), its piece (4), the key: a page.
// Of
//            rows: the page's number (8), 0 (4), the key: a page; ~0 (8), 0 (4), the key: varints of the number of the
//            next row and of the first page.
// A page: a byte, the version; rows: the time, signed varint, and the cells with their length.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/node_hash_map.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "src/base/memory_budget.h"
#include "src/base/time.h"
#include "state/keyed_rows.h"

namespace tidemark {

struct KeptRow {
  int64_t time = 0;
  int64_t page = 0;  // its first moment, or its number
  uint32_t piece = 0;
  std::string cells;
  // Of whoever works with it: its number in the key's order, and where its cells stand in this round.
  int64_t number = 0;
  uint64_t round = 0;
  int32_t at = -1;
};

struct KeptKey {
  std::string key;
  std::deque<KeptRow> rows;  // in their order
  size_t frame = 0;          // so many of the last are in the accumulators
  uint32_t slot = 0;         // there
  int64_t next_number = 0;
  size_t added = 0;        // since the last commit
  int64_t first_page = 0;  // of rows: the first that is in state
  size_t piece_bytes = 0;  // of the last piece
};

class History {
 public:
  // `range_us` > 0: rows of that time; else the last `rows` of each key.
  History(StateStore* store, std::string prefix, MemoryBudget* memory, int64_t range_us, int64_t rows);

  absl::Status Load() { return pages_.Load(); }

  // The objects of these keys, whose next rows have these times; `read`: those of them that are new, with their rows
  // and an empty frame. They stay until ForgetIdle or Shrink.
  absl::Status Find(absl::Span<const std::string_view> keys, absl::Span<const int64_t> times,
                    std::vector<KeptKey*>* found, std::vector<KeptKey*>* read);
  void Add(KeptKey* key, KeptRow row);
  void RemoveFirst(KeptKey* key);

  // Writes what was added. After it:
  absl::Status Commit(uint64_t commit);
  // Pages of time that end before this moment go, and the objects of keys without a later row, about 8,192 a call.
  // Before Commit.
  absl::Status Forget(EventTime before);
  // True where there is too little memory: then all objects have gone, to be read again.
  bool Shrink(int64_t more_bytes);

  uint32_t slots() const { return slots_; }
  // Slots whose keys have gone since the last call.
  std::vector<uint32_t> TakeFreed() { return std::exchange(freed_, {}); }
  int64_t MemoryBytes() const { return bytes_ + pages_.MemoryBytes(); }

 private:
  struct Wanted {
    KeptKey* key;
    int64_t page;
    uint32_t piece;
    std::string bytes;  // its key in state
  };

  int64_t PageOf(int64_t time) const { return FloorTo(EventTime{time}, width_us_).us; }
  std::string PageKey(int64_t page, uint32_t piece, std::string_view key) const;
  static std::string RecordKey(std::string_view key);
  absl::Status Fetch(absl::Span<const Wanted> wanted);
  absl::Status ReadTimes(absl::Span<KeptKey* const> keys, absl::Span<const int64_t> times);
  absl::Status ReadLast(absl::Span<KeptKey* const> keys);
  static absl::Status ReadPage(std::string_view page, const Wanted& from, KeptKey* key);
  void PlanPages(KeptKey* key, std::vector<Wanted>* wanted, std::vector<std::string>* rows);
  void Erase(KeptKey* key);

  const int64_t range_us_, rows_, width_us_;
  KeyedRows pages_;
  MemoryBudget::Share memory_;
  absl::node_hash_map<std::string, KeptKey> keys_;
  std::vector<KeptKey*> changed_;
  std::vector<uint32_t> free_, freed_;
  uint32_t slots_ = 0;
  int64_t forgotten_ = std::numeric_limits<int64_t>::min();  // pages of time that lie before it aren't written any more
  int64_t bytes_ = 0;
};

}  // namespace tidemark
