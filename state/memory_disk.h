// The two disks that lose what was not synced: one in memory, for the simulator and unit tests, and one over the
// machine's files, for tests that kill a process.
#pragma once

#include <memory>

#include "state/disk.h"

namespace tidemark {

// Files live in the object. Nothing of it depends on time or chance.
std::unique_ptr<Disk> NewMemoryDisk();

// The machine's file system, where a file's data stays in the process until it is synced: kill -9 loses it, as a power
// failure would and the page cache wouldn't. Slow and memory-hungry, for tests only.
std::unique_ptr<Disk> NewUnsyncedLosingDisk();

}  // namespace tidemark
