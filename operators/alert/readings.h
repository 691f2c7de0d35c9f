// The readings of an alert that wait for their time: rows that have come, until the watermark says that no row before
// them will. In the order in which they are judged. Touched only by the stream thread.
//
// In memory; in state only those that a commit finds still waiting, by number (operators/numbered_rows.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <absl/container/btree_set.h>
#include <absl/status/status.h>

#include "operators/numbered_rows.h"

namespace tidemark {

enum class Truth : uint8_t { kFalse, kTrue, kNull };

struct Reading {
  int64_t time = 0;
  std::string bytes;    // the key, then the row
  size_t key_size = 0;  // of these
  // Where it stands in its source, for those that stand somewhere.
  int32_t source = 0, partition = 0;
  int64_t offset = -1;
  Truth raise = Truth::kNull, clear = Truth::kNull;
  uint32_t number = 0;  // of equal ones too

  std::string_view key() const { return std::string_view(bytes).substr(0, key_size); }
  std::string_view row() const { return std::string_view(bytes).substr(key_size); }
  auto Order() const { return std::make_tuple(time, key(), source, partition, offset, row(), number); }
};

class Readings {
 public:
  Readings(StateStore* store, std::string prefix) : numbers_(store, std::move(prefix)) {}

  absl::Status Load();
  // Its number is given here.
  void Add(Reading reading);
  // Takes one back that has the same time, key and row. False: none of these waits.
  bool Remove(const Reading& reading);

  bool empty() const { return order_.empty(); }
  // Of the first in order; only where there is one.
  const Reading& first() const { return **order_.begin(); }
  void RemoveFirst() { Forget(order_.begin()); }

  absl::Status Commit(uint64_t commit);
  int64_t MemoryBytes() const;

 private:
  struct Before {
    bool operator()(const Reading* a, const Reading* b) const { return a->Order() < b->Order(); }
  };
  using Order = absl::btree_set<const Reading*, Before>;

  void Keep(uint32_t number, Reading reading);
  void Forget(Order::const_iterator it);

  NumberedRows numbers_;
  std::vector<std::unique_ptr<Reading>> readings_;  // by number; null: it is free
  Order order_;
  int64_t bytes_ = 0;
};

}  // namespace tidemark
