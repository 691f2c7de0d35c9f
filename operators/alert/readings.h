// The readings of an alert that wait for their time: rows that have come, until the watermark says that no row before
// them will. In the order in which they are judged. Touched only by the stream thread.
//
// In rows by key (state/keyed_rows.h), so they needn't fit in memory. Most are judged before a commit writes them.
//
// Readings that are equal in all that their order goes by are one record, with what the conditions said of each and how
// often: judging an equal one again changes nothing, but rows are taken back one by one.
//
// State key: the prefix "q" (KeyedRows, by key): the order: the time (8 bytes), the key (RowCodec::Key), source (4),
//            partition (4) and offset (8), ordered; the row (RowCodec::Rows).
//            Value: varint bytes of the key, then as they came: a byte, raise + 3 * clear, and varint how many.
// State key: the prefix 'r': what versions before wrote (state/state_log.h), and is read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "src/base/memory_budget.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

enum class Truth : uint8_t { kFalse, kTrue, kNull };

struct Reading {
  int64_t time = 0;
  std::string_view key, row;
  // Where it stands in its source, for those that stand somewhere.
  int32_t source = 0, partition = 0;
  int64_t offset = -1;
  Truth raise = Truth::kNull, clear = Truth::kNull;
};

class Readings {
 public:
  // Readings that are judged next: what they are made of lies in memory until a commit, or until they are removed.
  struct Taken {
    int64_t time = 0;
    std::string_view key, row;  // of the reading
    std::string_view record;    // its key in state
    std::string_view truths;    // of the equal ones
  };

  // `memory` may be null: no limit.
  Readings(StateStore* store, MemoryBudget* memory) : rows_(store, "q", memory, {.by_key = true}) {}

  absl::Status Load();

  // Add and Remove speak of readings that were fetched since the last commit.
  absl::Status Fetch(absl::Span<const Reading> readings);
  void Add(const Reading& reading);
  // Takes one back that has the same place in the order. False: none of these waits.
  bool Remove(const Reading& reading);

  // The first ones of times before `end`, in their order, about so many. Returns the time before which these are all.
  absl::StatusOr<int64_t> Take(int64_t end, size_t most, std::vector<Taken>* taken);
  // Shows what the conditions said of each reading that is one with `taken`, equal ones that follow each other once.
  using Visitor = absl::FunctionRef<void(Truth raise, Truth clear)>;
  static void VisitTruths(const Taken& taken, Visitor visit);
  void Drop(const Taken& taken) { rows_.Delete(taken.record); }

  // No reading is of an earlier time; the largest there is: none waits.
  int64_t first_time() const;

  absl::Status Commit(uint64_t commit) { return rows_.Commit(commit); }
  int64_t MemoryBytes() const { return rows_.MemoryBytes(); }

 private:
  static void OrderOf(const Reading& reading, std::string* order);

  KeyedRows rows_;
  std::string order_, value_;  // scratch
  std::vector<std::string> orders_;
};

}  // namespace tidemark
