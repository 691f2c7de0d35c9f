// The sorted runs that KeyedRuns is made of (state/keyed_runs.h): how one lies in a StateStore, written once from
// entries in the order of their keys, read block by block, dropped as a whole. Which runs there are, and which of two
// entries of a key counts, isn't known here. Touched only by the stream thread.
//
// State key: the prefix, 'f', run (8 bytes), part (2), all big-endian. Value: of the first part a RunHeader, the first
//            key of the run's range and the first keys of its blocks, each with its length, then the filter.
// State key: the prefix, 'r', run (8), block (4), part (2). Value: a byte, 1 where another part follows, else 0; then
//            the block: 4 bytes of the XXH3 hash of what follows, entries in the order of their keys: how many bytes of
//            the key are those of the key before, the others (with their length), the value (with its length + 1; 0:
//            erased).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "src/base/byte_arena.h"
#include "src/base/varint.h"
#include "state/key_filter.h"
#include "state/store.h"

namespace tidemark {

struct KeyedEntry {
  std::string_view key, value;
  bool erased = false;
};

// Entries and what they point at.
struct KeyedEntries {
  ByteArena bytes;
  std::vector<KeyedEntry> list;
};

uint64_t HashOfKey(std::string_view key);

// What is in memory of a run.
struct SortedRun {
  uint64_t number = 0;  // ascending from older to newer
  uint16_t parts = 1;   // of the block that has most
  int64_t entries = 0, bytes = 0;
  std::string low;                  // of the range that it belongs to
  std::string firsts;               // of every block a key that is greater than all before it, and not than its own
  std::vector<uint32_t> first_end;  // where they end in `firsts`, by block
  KeyFilter filter;

  uint32_t blocks() const { return static_cast<uint32_t>(first_end.size()); }
  std::string_view first(uint32_t block) const {
    const uint32_t begin = block == 0 ? 0 : first_end[block - 1];
    return std::string_view(firsts).substr(begin, first_end[block] - begin);
  }
  // In which the key is, if it is anywhere.
  uint32_t BlockOf(std::string_view key) const;
  // `hash`: HashOfKey of what the filter knows of keys.
  bool MayHold(uint64_t hash) const { return filter.MayHold(PlaceOf(hash), BitsOf(hash)); }
  int64_t MemoryBytes() const;

  // The filter's line, and what tells in it.
  static uint32_t PlaceOf(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  static uint64_t BitsOf(uint64_t hash) { return hash * 0x9E3779B97F4A7C15; }
};

// The entries of a block, one after the other.
class RunBlockReader {
 public:
  explicit RunBlockReader(std::string_view entries) : rest_(entries) {}
  // False: the end.
  bool Next() {
    if (rest_.empty()) return false;
    uint64_t shared = 0, size = 0;
    std::string_view own;
    if (!TakeVarint(&rest_, &shared) || shared > key_.size() || !TakeBytes(&rest_, &own) ||
        !TakeVarint(&rest_, &size) || size > rest_.size() + 1) {
      rest_ = {};
      return false;
    }
    key_.resize(shared);
    key_.append(own);
    erased_ = size == 0;
    value_ = rest_.substr(0, erased_ ? 0 : size - 1);
    rest_.remove_prefix(value_.size());
    return true;
  }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  bool erased() const { return erased_; }

 private:
  std::string_view rest_, value_;
  std::string key_;
  bool erased_ = false;
};

// The runs below a prefix of a store.
class SortedRunStore {
 public:
  using Visitor = absl::FunctionRef<void(std::string_view entries)>;

  SortedRunStore(StateStore* store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  const std::string& prefix() const { return prefix_; }

  // Headers, indexes and filters of all runs, older before newer.
  absl::StatusOr<std::vector<SortedRun>> Load() const;
  // `told_bytes`: only the first so many bytes of a key go into the filter; 0: all of them.
  SortedRun Write(uint64_t number, std::string low, absl::Span<const KeyedEntry> entries, size_t told_bytes);
  void Drop(const SortedRun& run);

  absl::Status ReadBlock(const SortedRun& run, uint32_t block, Visitor visit);
  // Appends the entries of the blocks from `begin` to before `end`, those of erased records too.
  absl::Status ReadBlocks(const SortedRun& run, uint32_t begin, uint32_t end, KeyedEntries* out);
  absl::Status ReadAll(const SortedRun& run, KeyedEntries* out);

  // All that was given to the store since it was taken last.
  int64_t written_bytes() const { return written_bytes_; }
  int64_t TakeWrittenBytes() { return std::exchange(written_bytes_, 0); }

 private:
  static absl::StatusOr<SortedRun> ParseHeader(uint64_t number, std::string_view bytes);
  void WriteHeader(const SortedRun& run);
  void WriteBlock(SortedRun* run, std::string_view first, std::string_view entries);
  std::string HeaderKey(uint64_t run, uint16_t part) const;
  std::string BlockKey(uint64_t run, uint32_t block, uint16_t part) const;
  void Put(const std::string& key, std::string_view value);

  StateStore* const store_;
  const std::string prefix_;
  int64_t written_bytes_ = 0;
  std::string joined_;  // scratch: a block of several parts
};

}  // namespace tidemark
