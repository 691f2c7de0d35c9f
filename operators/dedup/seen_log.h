// The keys that dedup accepted and holds in its table, in state: written once a commit as packed values, deleted a time
// bucket at a time, or when the runs (seen_runs.h) have taken over what they hold. Only read when a task opens; the
// table in memory answers questions. Touched only by the stream thread.
//
// State key:   'b', bucket start (8 bytes, ordered), commit (8), part (4), all big-endian
// State value: a byte 1 (version), a byte with the number of key bytes, one with the number of time bytes, then
// entries:
//              key, time - bucket start, little-endian. Entries of one bucket have no order.
// State key 's': for each segment the last commit that the runs cover, 8 bytes, big-endian.
//
// A commit adds at most a few small values; where 16 values of one size class (below 4 KiB, below 64 KiB) have gathered
// in a bucket they are merged. So a bucket is a few dozen keys however many commits wrote it, and a merge writes at
// most about 1 MiB, whatever the size of the state.
//
// What runs cover: when a segment goes from the table to a run, with commit c, all values that exist then are of
// commits up to c, and the entries of the segment in them are void. A merged value has the greatest commit of its
// parts, and void entries aren't merged; so at any time an entry of a segment in a value of commit v is void iff v <=
// c. A value is deleted once that holds for every segment.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "operators/dedup/seen_key.h"
#include "state/store.h"

namespace tidemark {

template <typename Key>
class SeenLog {
 public:
  // `bucket_us`: the width of new buckets (an older version of the topology may have written others).
  SeenLog(StateStore* store, int64_t bucket_us) : store_(store), bucket_us_(bucket_us) {}

  // Reads all entries there are, some at a time.
  absl::Status Load(absl::FunctionRef<void(absl::Span<const Seen<Key>>)> visit);

  // The entry becomes durable with the next Commit.
  void Add(Key key, int64_t time_us) {
    // Rows come nearly in the order of time: mostly the bucket of the row before.
    const uint64_t within = static_cast<uint64_t>(time_us) - static_cast<uint64_t>(last_start_);
    if (last_ == nullptr || within >= static_cast<uint64_t>(bucket_us_)) [[unlikely]]
      ChangeBucket(time_us);
    last_->push_back({key, time_us});
    ++pending_entries_;
  }
  // The runs cover the segment up to and including `commit`, the one that is written next.
  void Cover(int segment, uint64_t commit);
  // The segment that was covered longest ago.
  int OldestCovered() const;
  absl::Status Commit(uint64_t commit);
  // Deletes the buckets that have only entries of this time and before.
  void ExpireUntil(int64_t time_us);

  // Of the values that the next Commit writes, about.
  int64_t pending_bytes() const { return pending_entries_ * static_cast<int64_t>(sizeof(Key) + 5); }
  int64_t MemoryBytes() const;

 private:
  struct Chunk {
    uint64_t commit = 0;
    uint32_t part = 0;
    size_t bytes = 0;
  };
  struct Bucket {
    int64_t max_time_us = 0;
    std::vector<Chunk> chunks;
  };
  using Entries = std::vector<Seen<Key>>;

  void ChangeBucket(int64_t time_us);
  void WriteBucket(int64_t start, const Entries& entries, Bucket* bucket);
  bool Mergeable(const Chunk& chunk, int size_class) const;
  absl::Status MergeSmall(int64_t start, Bucket* bucket);
  absl::Status LoadCovered();
  // Deletes the values of which no entry counts any more.
  void DropCovered();
  // Takes the void entries out of a value of that commit.
  void CutVoid(uint64_t commit, std::string* value) const;

  StateStore* const store_;
  const int64_t bucket_us_;
  uint64_t commit_ = 0;
  uint32_t part_ = 0;
  int64_t expired_until_us_ = std::numeric_limits<int64_t>::min();
  std::map<int64_t, Bucket> buckets_;  // by start
  std::array<uint64_t, kSegments> covered_{};
  uint64_t all_covered_ = 0;  // the smallest of them
  bool cover_changed_ = false;

  // The commit under way.
  std::map<int64_t, Entries> pending_;  // by start
  Entries spare_;                       // without entries, but with room for them
  Entries* last_ = nullptr;             // the entries of pending_ last used, and their start
  int64_t last_start_ = 0;
  int64_t pending_entries_ = 0;
};

extern template class SeenLog<IntKey>;
extern template class SeenLog<HashedKey>;

}  // namespace tidemark
