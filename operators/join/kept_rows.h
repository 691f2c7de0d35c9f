// The rows of one side of a join of streams that a row of the other side may still match. In buckets of time, each with
// a table of its own from keys to rows, that are dropped whole; so a row is looked for in the few buckets that its
// interval touches, and what is over costs nothing a row. Touched only by the stream thread.
//
// Rows are kept as bytes (RowCodec). A side whose rows come with NULLs where nothing matches them also knows which have
// been matched, and gives out the others in the order of their times.
//
// State key: the side's letter, 'b', bucket's start (8 bytes), commit (8), part (4), big-endian: the rows that the
//            commit has added to the bucket, each as varint (time - start) * 2 + matched, varint size, bytes.
// State key: the side's letter, 'm', start, commit, part: numbers of rows, by their place in the bucket, that were
//            matched in that commit after the one that wrote them; varints.
// Parts are cuts of at most kMaxValueBytes. A bucket's width is part of the step's identity.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "operators/join/join_keys.h"
#include "operators/window/slot_array.h"
#include "src/base/byte_arena.h"
#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

class KeptRows {
 public:
  struct Row {
    JoinKey key;
    int64_t time = 0;
    const char* data = nullptr;
    uint32_t size = 0;
    uint32_t next = 0;  // an older one of the same key in the bucket, + 1
    bool matched = false;

    std::string_view bytes() const { return {data, size}; }
  };
  // A row of a batch, and one that is kept and matches it.
  struct Match {
    int32_t row = 0;
    const Row* kept = nullptr;
  };
  // The keys of rows as bytes, without NULLs.
  using KeysOf = absl::FunctionRef<absl::Status(const std::vector<std::string_view>& rows, std::vector<JoinKey>* keys)>;

  // `outer`: rows that nothing matches will be asked for.
  KeptRows(StateStore* store, char letter, int64_t width_us, bool outer)
      : store_(store), letter_(letter), width_us_(width_us), outer_(outer) {}

  // Reads all rows; `done` and `dropped` as they were.
  absl::Status Load(EventTime done, EventTime dropped, KeysOf keys_of);

  // The rows that are kept of times in [time + from, time + to] with the key of a row of a batch: appends them to
  // `matches`, for rows[at] and those behind it, until there are `most` or more. Returns the row to go on with. Rows
  // that are found count as matched.
  size_t Find(absl::Span<const JoinKey> keys, const int64_t* times, absl::Span<const int32_t> rows, size_t at,
              int64_t from_us, int64_t to_us, size_t most, std::vector<Match>* matches);

  void Add(const JoinKey& key, int64_t time, std::string_view bytes, bool matched);

  // Outer: at most about `most` rows of a time before `time` that nothing has matched, in the order of time; always all
  // of one time. Each is given out once. They are valid until the next call of Drop.
  void TakeUnmatched(EventTime time, size_t most, std::vector<const Row*>* rows);
  // All rows of a time before it have been given out, or were matched.
  EventTime done() const { return done_; }

  // Nothing will match a row of a time before it, and none of them will be asked for.
  void Drop(EventTime time);
  // Buckets that end at that time or before are gone.
  EventTime dropped() const { return dropped_; }

  void Commit(uint64_t commit);

  // Of the rows that are kept, without tables.
  int64_t bytes() const { return bytes_; }
  // The newest time of all rows that were ever added; kMinTime: there was none.
  EventTime newest() const { return newest_; }
  int64_t MemoryBytes() const;

 private:
  struct Chunk {
    char kind = 0;
    uint64_t commit = 0;
    uint32_t parts = 0;
  };
  struct Bucket {
    int64_t start_us = 0;
    SlotArray<Row> rows;
    ByteArena bytes;
    int64_t row_bytes = 0;        // in there
    std::vector<uint64_t> index;  // open addressing: upper half of the key, newest row of the key + 1; 0: free
    uint32_t keys = 0;
    uint32_t written = 0;          // rows that are in the state
    std::vector<uint32_t> marked;  // of these, matched since the last commit
    std::vector<Chunk> chunks;     // in the state
    bool dirty = false;
  };
  struct Due {
    int64_t time = 0;
    Bucket* bucket = nullptr;
    uint32_t row = 0;
  };
  struct Later {  // for a heap with the earliest on top; of one time as they came
    bool operator()(const Due& a, const Due& b) const { return a.time != b.time ? a.time > b.time : a.row > b.row; }
  };

  int64_t StartOf(int64_t time) const { return FloorTo(EventTime{time}, width_us_).us; }
  Bucket* Find(int64_t start_us) const;
  Bucket* FindOrMake(int64_t start_us);
  static uint64_t* Slot(Bucket* bucket, const JoinKey& key);
  static void Prefetch(const Bucket& bucket, const JoinKey& key);
  static void Grow(Bucket* bucket);
  void Touch(Bucket* bucket);
  // `row` is a row of the batch.
  void FindIn(Bucket* bucket, const JoinKey& key, int64_t from, int64_t to, int32_t row, std::vector<Match>* matches);

  std::string Key(char kind, int64_t start_us, uint64_t commit, uint32_t part) const;
  void Write(Bucket* bucket, char kind, uint64_t commit, std::string_view bytes);
  absl::Status LoadChunk(Bucket* bucket, char kind, std::string_view bytes, KeysOf keys_of);
  absl::Status LoadRows(Bucket* bucket, std::string_view bytes, KeysOf keys_of);
  void DropBucket(Bucket* bucket);

  StateStore* const store_;
  const char letter_;
  const int64_t width_us_;
  const bool outer_;
  std::map<int64_t, std::unique_ptr<Bucket>> buckets_;  // by start
  std::vector<Due> due_;                                // outer: a heap of the rows that may be without a match
  EventTime done_ = kMinTime, dropped_ = kMinTime, newest_ = kMinTime;
  int64_t bytes_ = 0;
  std::vector<Bucket*> dirty_;
  Bucket* last_ = nullptr;     // that a row was added to
  std::vector<Bucket*> near_;  // scratch: buckets that a batch's intervals touch
};

}  // namespace tidemark
