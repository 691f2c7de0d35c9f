// The keys that dedup accepted, in state: written once a commit as packed values, deleted a time bucket at a time. Only
// read when a task opens; the table in memory answers questions. Touched only by the stream thread.
//
// State key:   'b', bucket start (8 bytes, ordered), commit (8), part (4), all big-endian
// State value: a byte 1 (version), a byte with the number of key bytes, one with the number of time bytes, then
// entries:
//              key, time - bucket start, little-endian. Entries of one bucket have no order.
//
// A commit adds at most a few small values; where 16 values of one size class (below 4 KiB, below 64 KiB) have gathered in
// a bucket they are merged. So a bucket is a few dozen keys however many commits wrote it, and a merge writes at most
// about 1 MiB, whatever the size of the state.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "state/store.h"

namespace tidemark {

class AcceptedLog {
 public:
  struct Entry {
    std::string_view key;  // as it was added
    int64_t time_us = 0;
  };

  // `key_bytes` is the size of every key, `bucket_us` the width of new buckets (an older version of the topology may
  // have written others).
  AcceptedLog(StateStore* store, size_t key_bytes, int64_t bucket_us);

  // Reads all entries there are.
  absl::Status Load(absl::FunctionRef<void(const Entry&)> visit);

  // The entry becomes durable with the next Commit.
  void Add(const void* key, int64_t time_us);
  absl::Status Commit(uint64_t commit);
  // Deletes the buckets that have only entries of this time and before.
  absl::Status ExpireUntil(int64_t time_us);

  int64_t MemoryBytes() const;

 private:
  struct Chunk {
    uint64_t commit = 0;
    uint32_t part = 0;
    size_t bytes = 0;
  };
  struct Bucket {
    int64_t max_time_us = 0;
    std::vector<Chunk> chunks;  // oldest first
  };

  std::string Header(int64_t time_bytes) const;
  void Write(int64_t start, Bucket* bucket, std::string value);
  absl::Status MergeSmall(int64_t start, Bucket* bucket);

  StateStore* const store_;
  const size_t key_bytes_;
  const int64_t bucket_us_;
  uint64_t commit_ = 0;
  uint32_t part_ = 0;
  int64_t expired_until_us_ = std::numeric_limits<int64_t>::min();
  std::map<int64_t, Bucket> buckets_;       // by start
  std::map<int64_t, std::string> pending_;  // (key, time) without header, by start
  std::string* last_ = nullptr;             // the value of pending_ last used, and its key
  int64_t last_start_ = 0;
};

}  // namespace tidemark
