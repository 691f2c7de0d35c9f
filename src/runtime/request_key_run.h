// A sorted run of keys, which are hashes that no client chooses and so lie evenly, in a file without a name.
//
//   keys       24 bytes each: the key and its body's hash.
//   directory  a cell of 64 bytes for about 44 keys, those of one stretch of the range: where its keys begin, and a
//              filter of them. One more stands at the end.
//
// A key is looked for in its cell, and read for only if the filter says that it may be there (of those that aren't,
// about one in 100). Nothing of a run is in memory; what the system caches of directories is 1.5 bytes a key. A run is
// made of others by going through all of them once, in pieces.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <absl/numeric/int128.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace tidemark {

struct SeenKey {
  uint64_t high, low, body;

  absl::uint128 key() const { return absl::MakeUint128(high, low); }
};
static_assert(sizeof(SeenKey) == 24);

class RequestKeyRun {
 public:
  // Of sorted keys and of runs. `folder`: of the file; "": it stays in memory. Unavailable: it can't be written, or one
  // of the runs can't be read.
  static absl::StatusOr<std::unique_ptr<RequestKeyRun>> Merge(const std::string& folder, std::span<const SeenKey> seen,
                                                              std::span<const RequestKeyRun* const> runs);
  ~RequestKeyRun();

  // The hash of the body. Unavailable: the file can't be read.
  absl::StatusOr<std::optional<uint64_t>> Find(absl::uint128 key) const;
  size_t keys() const { return keys_; }

 private:
  class Reader;
  class Writer;
  struct Cell;

  RequestKeyRun() = default;
  absl::Status ReadAt(size_t at, void* bytes, size_t size) const;
  absl::Status WriteAt(size_t at, const void* bytes, size_t size);
  uint64_t CellOf(uint64_t high) const;

  size_t keys_ = 0, cells_ = 0;  // cells: without the last
  int file_ = -1;                // -1: all of it is `own_`
  std::string own_;
};

}  // namespace tidemark
