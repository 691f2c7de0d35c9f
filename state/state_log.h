// Records by number in state, for operators that keep them in memory: written packed, only those that changed, once a
// commit. An append-only log of chunks: a later record of a number replaces an earlier one, an erased number leaves a
// mark. Only read when a task opens. Touched only by the stream thread.
//
// Space is bounded by cleaning the log from its oldest chunk: what is still current in it is written again with the
// commit under way, the rest is dropped. A mark can be dropped as well then, since whatever it erased was older. A
// commit cleans at most in proportion to what it writes, so its work is bounded; the log stays below about twice the
// live records, and small chunks count as larger ones, so that many commits of few records don't leave many chunks. A
// large record counts for as many as its size would make: what it costs is its bytes.
//
// State key:   prefix, commit (8 bytes), chunk (4), part (4), big-endian. A chunk larger than a value is cut into
// parts. State value: entries: varint (number * 2 + erased), and unless erased varint size and the record
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "state/store.h"

namespace tidemark {

class StateLog {
 public:
  // `record` is nothing where the number was erased.
  using Visitor = absl::FunctionRef<absl::Status(uint32_t number, const std::string_view* record)>;
  static constexpr size_t kSuffixBytes = 16;  // of a state key, behind the prefix

  StateLog(StateStore* store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  // Reads everything under the prefix, in the order it was written.
  absl::Status Load(Visitor visit);
  // The same for an owner of several logs who scans them in one pass: each entry of this log, then the end.
  absl::Status LoadEntry(std::string_view key, std::string_view value, Visitor visit);
  absl::Status FinishLoad(Visitor visit);

  // Numbers are dense, given by the caller, and may be used again. Written with the next Commit.
  void Begin(uint64_t commit);
  void Put(uint32_t number, std::string_view record);
  void Erase(uint32_t number);
  absl::Status Commit();

  // Deletes everything; the log is as new.
  void Drop();

  int64_t live() const { return live_; }
  int64_t MemoryBytes() const;

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  struct Chunk {
    uint64_t commit = 0;
    uint32_t number = 0;
    uint32_t parts = 0;
    uint32_t entries = 0;
    int64_t more = 0;  // that large ones among them count for
  };

  std::string Key(const Chunk& chunk, uint32_t part) const;
  void DeleteChunk(const Chunk& chunk);
  void FlushChunk();
  absl::Status CleanOldest();
  static absl::Status Visit(std::string_view bytes, Visitor visit);
  static int64_t Cost(const Chunk& chunk);
  int64_t Weigh(uint32_t number, size_t bytes);

  StateStore* store_;
  std::string prefix_;
  std::deque<Chunk> chunks_;        // oldest first
  uint32_t first_chunk_ = 0;        // serial number of chunks_.front()
  std::vector<uint32_t> chunk_of_;  // by record number: serial number of the chunk with its current version
  absl::flat_hash_map<uint32_t, int64_t> large_;  // by record number: how many more it counts for
  int64_t live_ = 0, large_live_ = 0, cost_ = 0;  // records, what large ones count for besides, what all chunks cost

  // The commit under way.
  uint64_t commit_ = 0;
  uint32_t next_chunk_ = 0;
  std::string building_;
  uint32_t building_entries_ = 0;
  int64_t building_more_ = 0;
  int64_t written_ = 0;

  std::string loading_;  // parts of the chunk being loaded
};

}  // namespace tidemark
