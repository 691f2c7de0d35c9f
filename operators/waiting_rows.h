// Rows that wait for a time: of a join with versions until that is over as of which they ask, of `over` until their own
// has come for all. By that time, and of one time as they came; as bytes, in memory or on disk (state/keyed_rows.h).
// Touched only by the stream thread.
//
// It also knows how far back these rows hold the output's watermark: each to the watermark that it came under itself
// (Row::reached). Of rows that came since the start that is known to a tenth of a second; of those before, only that
// none holds it further back than the watermark that was let through then.
//
// State key: the prefix 'q' (KeyedRows, ordered): the time as of which (8, ordered), the row's number (8): a Row in
//            memory's order, then the row's bytes (RowCodec::Rows).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

#include "src/base/memory_budget.h"
#include "src/base/time.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

class WaitingRows {
 public:
  // What is kept of a row beside its columns.
  struct Row {
    int64_t reached = 0;  // by its own watermark; rows that are never late: their time
    int64_t time = 0, watermark = 0, offset = 0;
    int32_t source = 0, partition = 0;
  };
  struct Taken {
    int64_t as_of = 0;
    uint64_t number = 0;
    Row row;
    std::string_view bytes;  // valid until it is dropped
  };

  // `memory` may be null: no limit.
  WaitingRows(StateStore* store, MemoryBudget* memory)
      : rows_(store, "q", memory, KeyedRows::Options{.ordered = true}) {}

  // `next_number`, `count`: as they were at the last commit; `let_through`: the output's watermark then.
  absl::Status Load(uint64_t next_number, int64_t count, EventTime let_through);

  void Add(EventTime as_of, const Row& row, std::string_view bytes);
  // No row asks for an earlier time; kMaxTime: none waits.
  EventTime first() const;
  // Some of the rows that ask as of a time before `end`, the earliest first, of one time as they came: about `most`,
  // and all that ask as of the time of the last.
  absl::Status Take(EventTime end, size_t most, std::vector<Taken>* taken);
  // The same, but of very many rows of one time only the first ones; the next call goes on behind those that were
  // dropped. What order there is among them is found once, however many calls and commits it takes.
  absl::Status TakeSome(EventTime end, size_t most, std::vector<Taken>* taken);
  void Drop(absl::Span<const Taken> taken);
  // The output's watermark must not get there; kMaxTime: nothing holds it.
  EventTime hold() const;

  absl::Status Commit(uint64_t commit) { return rows_.Commit(commit); }

  int64_t count() const { return count_; }
  uint64_t next_number() const { return next_number_; }
  int64_t MemoryBytes() const {
    return rows_.MemoryBytes() + static_cast<int64_t>(order_.capacity() * sizeof(order_[0]));
  }

 private:
  static int64_t BucketOf(int64_t reached);
  static std::string Key(int64_t as_of, uint64_t number);
  static bool Read(std::string_view key, std::string_view stored, Taken* taken);
  absl::Status TakeOrdered(EventTime end, size_t most, std::vector<Taken>* taken);

  KeyedRows rows_;
  uint64_t next_number_ = 0, first_new_ = 0;  // rows with smaller numbers were here at the start
  int64_t count_ = 0, former_ = 0;            // of all rows, and of those
  EventTime former_hold_ = kMaxTime;
  std::map<int64_t, int64_t> reached_;  // how many of the others, by bucket
  // (as of, number) of the rows that TakeSome gives next, from order_at_ on; empty: it isn't known.
  std::vector<std::pair<int64_t, uint64_t>> order_;
  size_t order_at_ = 0;
};

}  // namespace tidemark
