// TaskDb: the RocksDB instance of one task, as a map of bytes with atomic batches. The only place that knows how
// RocksDB is configured: no WAL, one column family, few files, few threads, memory shared by all tasks of the process.
//
// Without a WAL a crash leaves what was flushed, which is a prefix of the batches written. A flush is started whenever
// `flush_bytes` have been written since the last one, so that is what a restart may have to read again.
//
// Used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

namespace tidemark {

// RocksDB's error as ours, with what it happened to in front. A full disk is ResourceExhausted.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view what);

inline rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// What the databases of a process share.
struct DbResources {
  std::shared_ptr<rocksdb::FileSystem> files;
  std::unique_ptr<rocksdb::Env> env;  // over `files`
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;  // charged to the cache
  int64_t flush_bytes = 0;
  // Nothing happens in the background and no log is kept: what a crash leaves is a function of what was written.
  bool deterministic = false;
};

class TaskDb {
 public:
  // `resources` outlives the object.
  static absl::StatusOr<std::unique_ptr<TaskDb>> Open(const std::string& path, const DbResources& resources);
  // Deletes what is there, readable or not. A crash in the middle leaves an empty database.
  static absl::Status Destroy(const std::string& path, const DbResources& resources);
  ~TaskDb();
  TaskDb(const TaskDb&) = delete;
  TaskDb& operator=(const TaskDb&) = delete;

  // False after a Clear that failed: of no more use.
  bool open() const { return db_ != nullptr; }

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key);
  // Shows the value to `visit` where it lies, and returns whether there is one.
  absl::StatusOr<bool> Read(std::string_view key, absl::FunctionRef<void(std::string_view value)> visit);
  // `upper_bound` (null: none) must outlive the iterator.
  std::unique_ptr<rocksdb::Iterator> NewIterator(const rocksdb::Slice* upper_bound, bool fill_cache);
  absl::Status Write(rocksdb::WriteBatch* batch);
  absl::Status Flush();
  // Deletes everything. A crash in the middle leaves an empty database.
  absl::Status Clear();
  // Estimate of the bytes that live data takes on disk and in write buffers.
  int64_t LiveBytes() const;

 private:
  TaskDb(std::string path, const DbResources& resources) : path_(std::move(path)), resources_(resources) {}
  absl::Status OpenFiles();
  void StartFlush();

  const std::string path_;
  const DbResources& resources_;
  std::unique_ptr<rocksdb::DB> db_;
  int64_t unflushed_bytes_ = 0;
  int64_t flushes_ = 0;
};

}  // namespace tidemark
