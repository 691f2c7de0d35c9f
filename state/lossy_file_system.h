// A file system that keeps data apart until it is synced, over one that doesn't lose any. What a crash loses:
//
//   - data appended to a file since its last sync;
//   - a file created since the last sync of its directory.
//
// A rename over an existing file and a deletion are taken as durable at once: which of the two states a crash leaves is
// the file system's choice, and RocksDB must bear both.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <absl/base/thread_annotations.h>
#include <rocksdb/file_system.h>

#include "state/disk.h"

namespace tidemark {

class LossyWritableFile;

// What all mounts of one disk share. Thread-safe.
class LossyFiles {
 public:
  explicit LossyFiles(std::shared_ptr<rocksdb::FileSystem> target) : target_(std::move(target)) {}

  const std::shared_ptr<rocksdb::FileSystem>& target() const { return target_; }
  // Held by an open file while it touches its own data: one lock, so no order of locks.
  std::recursive_mutex& mutex() { return mutex_; }
  uint64_t generation();
  void Crash();
  void SetFreeBytes(int64_t bytes);

  // OK while no crash has happened since the mount of `generation`.
  rocksdb::IOStatus CheckAlive(uint64_t generation);
  rocksdb::IOStatus TakeSpace(uint64_t generation, size_t bytes);

  // What happened to files and directories. `synced` counts bytes from the start of the file.
  void Created(const std::string& path);
  void WrittenThrough(const std::string& path, uint64_t synced);
  void Synced(const std::string& path);
  void Renamed(const std::string& from, const std::string& to, bool replaced);
  void Deleted(const std::string& path);
  void DirectorySynced(const std::string& directory);

  // Files open for writing, so that a reader finds what they hold back.
  void Opened(const std::string& path, LossyWritableFile* file);
  void Closed(const std::string& path, LossyWritableFile* file);
  void WriteThrough(const std::string& path);

 private:
  void CutBack(const std::string& path, uint64_t synced);

  const std::shared_ptr<rocksdb::FileSystem> target_;
  std::recursive_mutex mutex_;  // recursive: an open file calls back
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = Disk::kUnlimited;
  std::map<std::string, uint64_t> unsynced_ ABSL_GUARDED_BY(mutex_);  // path -> bytes that a crash leaves
  std::set<std::string> created_ ABSL_GUARDED_BY(mutex_);             // whose directory was not synced since
  std::map<std::string, LossyWritableFile*> open_ ABSL_GUARDED_BY(mutex_);
};

// One mount. Its lock calls do nothing: a StateDir has a lock of its own, and a mount that crashed must not keep one.
class LossyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit LossyFileSystem(std::shared_ptr<LossyFiles> files);

  const char* Name() const override { return "LossyFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                             rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("links");
  }
  rocksdb::IOStatus LockFile(const std::string&, const rocksdb::IOOptions&, rocksdb::FileLock** lock,
                             rocksdb::IODebugContext*) override {
    *lock = nullptr;
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock*, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }

 private:
  const std::shared_ptr<LossyFiles> files_;
  const uint64_t generation_;
};

}  // namespace tidemark
