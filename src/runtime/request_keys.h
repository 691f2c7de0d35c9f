// The Idempotency-Keys that were seen within a day, hour by hour, and a hash of the body that each came with: in a
// bounded piece of memory. The newest of an hour are a hash table; where that is full they become a sorted run in a
// file (request_key_run.h), of which nothing stays in memory. The runs of an hour are merged as they grow, and into one
// when the hour is over, so that there are few to look into.
//
// Files are a cache of what the notes of the source say (http_source.h): they have no name, so they go with the
// process, and nothing is ever read out of one that another process has written. Where none can be written, keys stay
// in memory, and the log says so.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/numeric/int128.h>
#include <absl/status/statusor.h>

#include "src/runtime/request_key_run.h"

namespace tidemark {

class RequestKeys {
 public:
  // So many keys are in memory, about 40 bytes each, and 24 more while they become a run.
  static constexpr size_t kInMemory = 128 << 10;

  // `folder`: of the files; "": runs stay in memory. `in_memory`: for tests.
  explicit RequestKeys(std::string folder, size_t in_memory = kInMemory);

  // Hours count from 1970 and only grow. The body of a key that was seen in `since` or later; nothing: it wasn't.
  // Aborted: a file can't be read, so nobody knows; the notes say all of it again.
  absl::StatusOr<std::optional<uint64_t>> Find(absl::uint128 key, int64_t since) const;
  void Add(int64_t hour, absl::uint128 key, uint64_t body);
  void ForgetBefore(int64_t hour);

  size_t in_memory() const;  // keys
  size_t runs() const;

 private:
  struct Hour {
    int64_t number = 0;
    absl::flat_hash_map<absl::uint128, uint64_t> fresh;
    std::vector<std::unique_ptr<RequestKeyRun>> runs;  // the largest first
  };

  void Spill(Hour* hour, bool over);

  const std::string folder_;
  const size_t most_;
  size_t try_again_at_ = 0;  // where a file couldn't be written: not before so many are in memory
  std::deque<Hour> hours_;   // the oldest first
};

}  // namespace tidemark
