// Disk: the files under a StateDir, where they are not simply the machine's. A Disk outlives the StateDirs on it, as a
// real one outlives processes, and can crash: from then on everything that was not synced is gone, and whoever still
// holds the old files gets errors. Tests and the simulator open a new StateDir on it afterwards, as a restarted process
// would.
//
// Thread-safe. Factories: state/memory_disk.h.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace tidemark {

class Disk {
 public:
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  virtual ~Disk() = default;

  // The files, as one process sees them until the next Crash. For StateDir only.
  virtual std::shared_ptr<rocksdb::FileSystem> Mount() = 0;
  // Whether the files exist in this object alone, so that no other process can lock them.
  virtual bool in_memory() const = 0;

  // Power failure: unsynced data is lost, and existing mounts fail from now on.
  virtual void Crash() = 0;
  // From now on at most this many bytes can be appended before the disk is full.
  virtual void SetFreeBytes(int64_t bytes) = 0;
};

}  // namespace tidemark
