// The keys that dedup accepted and no longer holds in its table: sorted runs in state, with a filter each in memory,
// about 1.5 bytes a key. A run belongs to one segment of the keys. Touched only by the stream thread.
//
// Keys are distributed uniformly, so a run is cut into blocks of about 4 KiB by the key's value alone: a key's block is
// computed, and looking a key up costs one read for each run whose filter lets it through, newest run first. A key's
// accepted times only grow, so the first entry found is the one that counts.
//
// Where four runs of a size have gathered they become one, without what is dead by then. But runs that together span
// more than a quarter of the time for which keys live stay apart, unless there are too many: so most of a run dies at
// about the same time, and it is deleted outright when its last key is dead.
//
// State key 'f', segment (1 byte), run (4), part (2), all big-endian. Value: of the first part a RunHeader, then bytes
// of the filter.
// State key 'r', segment (1 byte), run (4), block (4), part (2). Value: a byte, 1 where another part follows, else 0;
// 4 bytes of the XXH3 hash of what follows; entries in the order of their keys: the key's bytes without that of the
// segment, time - the run's smallest time, little-endian. Only keys that aren't uniform make a block of several parts.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/dedup/seen_key.h"
#include "state/key_filter.h"
#include "state/store.h"

namespace tidemark {

template <typename Key>
class SeenRuns {
 public:
  using Entries = std::vector<Seen<Key>>;

  // `lifetime_us`: how much older than the watermark a key that counts can be.
  SeenRuns(StateStore* store, int64_t lifetime_us) : store_(store), span_us_(lifetime_us / 4) {}

  absl::Status Load();

  bool empty() const { return count_ == 0; }
  // Asks for the memory that MayHold will look at (always inlined: see SeenTable::Prefetch).
  [[gnu::always_inline]] void Prefetch(Key key) const {
    for (const Run& run : runs_[SegmentOf(key)]) run.filter.Prefetch(PlaceOf(key));
  }
  // False: no run has the key.
  bool MayHold(Key key) const {
    bool may = false;
    for (const Run& run : runs_[SegmentOf(key)]) may |= run.filter.MayHold(PlaceOf(key), key.filter_bits());
    return may;
  }
  // The time accepted last for the key among the runs.
  absl::StatusOr<std::optional<int64_t>> Find(Key key);

  // Adds entries of one segment, in the order of their keys, newer than those there are. Entries whose time is at most
  // `dead_until_us` may be dropped.
  absl::Status Add(int segment, const Entries& entries, int64_t dead_until_us);
  // Deletes some of the runs that hold nothing newer, if there are any.
  void Expire(int64_t dead_until_us);

  // All that was given to the store since it was asked last.
  int64_t TakeWrittenBytes();
  int64_t size() const { return size_; }  // dead entries included
  int64_t MemoryBytes() const { return bytes_ + static_cast<int64_t>(sizeof(*this)); }

  // Since the object was made: blocks read, and how many of them didn't have the key.
  int64_t reads() const { return reads_; }
  int64_t vain_reads() const { return vain_reads_; }

 private:
  struct Run {
    uint32_t number = 0;  // ascending in a segment, from older to newer
    uint32_t blocks = 0;
    uint16_t parts = 1;  // of the block that has most
    uint8_t time_bytes = 1;
    int64_t entries = 0;
    int64_t min_time_us = 0, max_time_us = 0;
    KeyFilter filter;
  };

  static int64_t Bytes(const Run& run);
  static uint32_t BlockOf(const Run& run, Key key) {
    return static_cast<uint32_t>(uint64_t{PlaceOf(key)} * run.blocks >> 32);
  }
  // The first of the newest runs that are to become one; their number where none are.
  size_t MergeFrom(const std::vector<Run>& runs) const;
  size_t MergeFrom(const std::vector<Run>& runs, uint64_t most_span_us) const;
  absl::Status Merge(int segment, size_t from, int64_t dead_until_us);
  void Write(int segment, uint32_t number, const Entries& entries);
  // Shows the entries of the block's part, and says whether another one follows.
  template <typename F>
  absl::StatusOr<bool> ReadBlock(int segment, const Run& run, uint32_t block, uint16_t part, F&& visit);
  uint16_t WriteBlock(int segment, const Run& run, uint32_t block, const Seen<Key>* begin, const Seen<Key>* end);
  void WriteHeader(int segment, const Run& run);
  absl::Status Read(int segment, const Run& run, Entries* out);
  void Drop(int segment, size_t index);
  void Put(const std::string& key, std::string_view value);

  StateStore* const store_;
  const int64_t span_us_;
  std::array<std::vector<Run>, kSegments> runs_;  // older before newer
  int64_t count_ = 0, size_ = 0, bytes_ = 0;
  int64_t first_death_us_ = std::numeric_limits<int64_t>::max();  // no run dies before it
  int64_t written_bytes_ = 0;
  int64_t reads_ = 0, vain_reads_ = 0;
};

extern template class SeenRuns<IntKey>;
extern template class SeenRuns<HashedKey>;

}  // namespace tidemark
