// Failpoints in the middle of what RocksDB does, for TaskDb to install where failpoints are armed; a database opened
// otherwise has none of this. RocksDB's callbacks can't fail, so these points only know how to kill.
//
//   state.apply.middle   a commit's WriteBatch: the task's position is in the write buffer, the first of its keys isn't
//   state.flush.middle   a write buffer has become a file, synced, of which the database's manifest doesn't know yet
#pragma once

#include <rocksdb/options.h>

namespace tidemark {

void InstallFailpoints(rocksdb::Options* options);

}  // namespace tidemark
