// A simulated lake that many processes share: MemoryObjectStore with calls, and writes and closes of its streams, that
// fail before or after their effect. It looks over the writers' shoulders: what a plain listing of final names has
// shown once never vanishes and never changes, and only a move makes such a name. One thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/sim/sim_outside.h"
#include "src/storage/memory_store.h"
#include "src/storage/object_store.h"

namespace tidemark::sim {

class SimLake {
 public:
  SimLake(SimRandom* random, SimClock* clock) : clock_(clock), outside_(random, clock) {}

  // The lake of a process; once `*dead`, nothing that it still does reaches the files. A write that fails says that the
  // storage is away or, of some, that it is full.
  std::unique_ptr<ObjectStore> NewSession(std::shared_ptr<const bool> dead);
  SimOutside& outside() { return outside_; }
  // The machine that holds the files loses power: nothing that wasn't synced is left.
  void Crash() { files_.Crash(); }
  // For so long there is, instead of the files, an empty folder that takes whatever is written to it. Not before the
  // lake has files.
  void Unmount(int64_t us);
  // Nothing fails any more.
  void Heal();

  // What `*.parquet` finds, with each file's bytes.
  std::map<std::string, std::string> Published() const;
  // OK: no published file was ever deleted, replaced or written in place.
  const absl::Status& verdict() const { return verdict_; }

 private:
  class Session;
  class Stream;

  static bool IsFinal(const std::string& name);
  void Forbid(const std::string& what, const std::string& name);

  // What a call finds at the moment.
  MemoryObjectStore& there();

  SimClock* const clock_;
  MemoryObjectStore files_;
  std::vector<std::unique_ptr<MemoryObjectStore>>
      bare_;  // the folder without its mount, anew each time; streams live on
  int64_t unmounted_until_us_ = 0;
  SimOutside outside_;
  absl::Status verdict_;
};

// The rows of Parquet files, as JSON objects in the order of their columns in `schema`; DataLoss where a file can't be
// read.
absl::StatusOr<std::vector<std::string>> RowsOfParquet(const std::map<std::string, std::string>& files,
                                                       const Schema& schema);

}  // namespace tidemark::sim
