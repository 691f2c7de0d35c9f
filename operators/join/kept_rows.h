// The rows of one side of a join of streams that a row of the other side may still match. In buckets of time, each with
// a table of its own from keys to rows, that are dropped whole; so a row is looked for in the few buckets that its
// interval touches, and what is over costs nothing a row. Touched only by the stream thread.
//
// Rows are kept as bytes (RowCodec), numbered in each bucket as they come. Where the process has too little memory the
// first of a bucket's rows leave it, many at a time, for sorted runs of the bucket (state/keyed_runs.h), of which a
// filter and an index stay; they never come back, they are read where they match. What is looked for there is asked of
// all rows of a batch together.
//
// A side whose rows come with NULLs where nothing matches them also knows which have been matched, and gives out the
// others: those in memory in the order of their times, as soon as they are asked for, those on disk when their bucket
// is over, in the order of their keys.
//
// State keys: the side's letter, a kind, bucket's start (8 bytes), and all numbers big-endian.
//   'b', start, commit (8), part (4)  rows that the commit has added and that are in memory, each as varint (time -
//                                     start) * 2 + matched, varint size, bytes
//   'm', start, commit, part          numbers of rows that were matched in that commit after the one that wrote them
//   'c', start                        the key from which on the rows on disk are still to be given out
//   'x', start                        the prefix of the bucket's runs. Key: the row's key (16), its number (4). Value:
//                                     varint (time - start) * 2 + seen to (matched, or given out), bytes
// Parts are cuts of at most kMaxValueBytes. Runs of a bucket that was dropped are deleted over several commits. A
// bucket's width is part of the step's identity.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/join/join_keys.h"
#include "src/base/byte_arena.h"
#include "src/base/time.h"
#include "state/keyed_runs.h"
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
  // Rows of a batch, and how far from their times what they match may lie.
  struct Asked {
    absl::Span<const JoinKey> keys;  // of all rows of the batch, as the times
    const int64_t* times = nullptr;
    absl::Span<const int32_t> rows;
    int64_t from_us = 0, to_us = 0;
  };
  // The keys of rows as bytes, without NULLs.
  using KeysOf = absl::FunctionRef<absl::Status(const std::vector<std::string_view>& rows, std::vector<JoinKey>* keys)>;
  // Some matches, whose rows are valid only until it returns.
  using TakeMatches = absl::FunctionRef<absl::Status(absl::Span<const Match> matches)>;

  // `outer`: rows that nothing matches will be asked for.
  KeptRows(StateStore* store, char letter, int64_t width_us, bool outer)
      : store_(store), letter_(letter), width_us_(width_us), outer_(outer) {}

  // Reads the rows in memory; `done` and `dropped` as they were.
  absl::Status Load(EventTime done, EventTime dropped, KeysOf keys_of);

  // All that is kept and matches rows of a batch, in portions. What is found counts as matched.
  absl::Status Find(const Asked& asked, TakeMatches take);

  void Add(const JoinKey& key, int64_t time, std::string_view bytes, bool matched);

  // ---- Outer: the rows that nothing has matched, each once. They are valid until the next call of any function.
  // Of those in memory, of a time before `time`, about `most`, in the order of time; always all of one time.
  void TakeUnmatched(EventTime time, size_t most, std::vector<const Row*>* rows);
  // All rows in memory of a time before it have been given out, or were matched.
  EventTime done() const { return done_; }
  // Some of those on disk, of buckets that end at `time` or before. False: there were no more.
  absl::StatusOr<bool> TakeUnmatchedOnDisk(EventTime time, std::vector<const Row*>* rows);
  // No row on disk that may still be given out is older.
  EventTime oldest_on_disk() const;

  // Nothing will match a row of a time before it, and none of them will be asked for.
  void Drop(EventTime time);
  // Buckets that end at that time or before are gone.
  EventTime dropped() const { return dropped_; }

  // Writes what has come, and deletes some of what dropped buckets have left on disk.
  void Commit(uint64_t commit);
  // Rows that were written leave memory, of about so many bytes; returns how many, 0 where there are none.
  absl::StatusOr<int64_t> Evict(int64_t bytes);

  // Of the rows that are in memory, without tables.
  int64_t bytes() const { return bytes_; }
  // The newest time of all rows that were ever added; kMinTime: there was none.
  EventTime newest() const { return newest_; }
  int64_t MemoryBytes() const;

 private:
  static constexpr uint32_t kPiece = 512;  // rows

  struct Chunk {
    char kind = 0;
    uint64_t commit = 0;
    uint32_t parts = 0, rows = 0;
  };
  struct Piece {
    std::array<Row, kPiece> rows;
    ByteArena bytes;
  };
  struct Bucket {
    int64_t start_us = 0;
    std::vector<std::unique_ptr<Piece>> pieces;  // by number; null: all of its rows have left memory
    uint32_t size = 0;                           // rows that have come ...
    uint32_t cold = 0;                           // ... the first of which have left memory ...
    uint32_t written = 0;                        // ... and those that are in the state
    int64_t row_bytes = 0;                       // of those in memory
    std::vector<uint64_t> index;   // open addressing: upper half of the key, newest row of the key + 1; 0: free. What
                                   // names a row that has left is void
    uint32_t slots = 0;            // in use, void ones too
    std::vector<uint32_t> marked;  // written, and matched since the last commit
    std::deque<Chunk> chunks;      // of rows in memory, in their order
    std::vector<Chunk> marks;
    bool dirty = false;
    // Of rows that have left memory.
    std::unique_ptr<KeyedRuns> runs;
    std::vector<bool> matched;  // by number
    std::string given_out;      // all before that key were
    bool all_given_out = false, given_out_changed = false;

    Row& row(uint32_t number) { return pieces[number / kPiece]->rows[number % kPiece]; }
  };
  struct Due {
    int64_t time = 0;
    Bucket* bucket = nullptr;
    uint32_t row = 0;
  };
  struct Later {  // for a heap with the earliest on top; of one time as they came
    bool operator()(const Due& a, const Due& b) const { return a.time != b.time ? a.time > b.time : a.row > b.row; }
  };
  // The buckets that the intervals of a batch's rows touch.
  struct Near {
    int64_t low = 0, high = -1;    // starts of the first and the last
    std::vector<Bucket*> buckets;  // by their distance from the first; empty: there are too many
  };

  int64_t StartOf(int64_t time) const { return FloorTo(EventTime{time}, width_us_).us; }
  Bucket* Find(int64_t start_us) const;
  Bucket* FindOrMake(int64_t start_us);
  Near NearOf(const Asked& asked) const;
  template <typename F>
  void VisitBuckets(const Near& near, const Asked& asked, int32_t row, F&& f) const;
  static uint64_t* Slot(Bucket* bucket, const JoinKey& key);
  static void Prefetch(const Bucket& bucket, const JoinKey& key);
  static void Rebuild(Bucket* bucket);
  void Touch(Bucket* bucket);
  void NoteMatch(Bucket* bucket, uint32_t number);
  void FindIn(Bucket* bucket, const JoinKey& key, int64_t from, int64_t to, int32_t row, std::vector<Match>* matches);
  absl::Status FindOnDisk(const Near& near, const Asked& asked, TakeMatches take);
  absl::Status FindInRuns(Bucket* bucket, absl::Span<int32_t> rows, const Asked& asked, TakeMatches take);

  std::string Key(char kind, int64_t start_us) const;
  std::string Key(char kind, int64_t start_us, uint64_t commit, uint32_t part) const;
  Chunk Write(const Bucket& bucket, char kind, uint64_t commit, std::string_view bytes);
  void Delete(const Bucket& bucket, const Chunk& chunk);
  KeyedRuns* Runs(Bucket* bucket);
  absl::Status LoadRuns();
  absl::Status LoadChunks(char kind, KeysOf keys_of);
  absl::Status LoadRows(Bucket* bucket, std::string_view bytes, KeysOf keys_of, Chunk* chunk);
  absl::Status LoadMarks(Bucket* bucket, std::string_view bytes);
  absl::Status LoadGivenOut();
  void DropBucket(Bucket* bucket);
  absl::StatusOr<int64_t> EvictFrom(Bucket* bucket, int64_t bytes);

  StateStore* const store_;
  const char letter_;
  const int64_t width_us_;
  const bool outer_;
  std::map<int64_t, std::unique_ptr<Bucket>> buckets_;  // by start
  std::vector<Due> due_;  // outer: a heap of the rows that may be without a match, and of some that have left memory
  EventTime done_ = kMinTime, dropped_ = kMinTime, newest_ = kMinTime;
  int64_t bytes_ = 0, rows_ = 0;  // in memory
  std::vector<Bucket*> dirty_;
  int64_t on_disk_ = 0;                           // buckets with runs
  Bucket* last_ = nullptr;                        // that a row was added to
  std::vector<std::unique_ptr<KeyedRuns>> left_;  // of buckets that were dropped
  // Rows on disk that were given out last.
  KeyedRuns::Entries read_;
  std::deque<Row> rows_read_;
};

}  // namespace tidemark
