#include "state/lossy_file_system.h"

#include <utility>
#include <vector>

namespace tidemark {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Holds appended data back until a sync. A reader of the file, or its close, passes the data on to the file below, but
// a crash still takes it away.
class LossyWritableFile : public rocksdb::FSWritableFile {
 public:
  LossyWritableFile(std::shared_ptr<LossyFiles> files, uint64_t generation, std::string path,
                    std::unique_ptr<rocksdb::FSWritableFile> target)
      : files_(std::move(files)), generation_(generation), path_(std::move(path)), target_(std::move(target)) {
    files_->Opened(path_, this);
  }
  ~LossyWritableFile() override {
    if (!closed_) Close(IOOptions(), nullptr).PermitUncheckedError();
  }

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    IOStatus status = files_->TakeSpace(generation_, data.size());
    if (!status.ok()) return status;
    const std::lock_guard lock(files_->mutex());
    held_.append(data.data(), data.size());
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return files_->CheckAlive(generation_); }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = PassOn(options, debug);
    if (status.ok()) status = target_->Sync(options, debug);
    if (!status.ok()) return status;
    const std::lock_guard lock(files_->mutex());
    synced_ = written_;
    files_->Synced(path_);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Sync(options, debug); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return files_->CheckAlive(generation_);  // a hint: promises nothing
  }
  IOStatus Truncate(uint64_t, const IOOptions&, IODebugContext*) override {
    return files_->CheckAlive(generation_);  // RocksDB only cuts off what it preallocated, and nothing is here
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = PassOn(options, debug);
    closed_ = true;
    files_->Closed(path_, this);
    const IOStatus close_status = target_->Close(options, debug);
    return status.ok() ? close_status : status;
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(files_->mutex());
    return written_ + held_.size();
  }

  IOStatus PassOn(const IOOptions& options, IODebugContext* debug) {
    IOStatus status = files_->CheckAlive(generation_);
    if (!status.ok()) return status;
    const std::lock_guard lock(files_->mutex());
    if (held_.empty()) return status;
    status = target_->Append(held_, options, debug);
    if (status.ok()) status = target_->Flush(options, debug);
    if (!status.ok()) return status;
    written_ += held_.size();
    held_.clear();
    files_->WrittenThrough(path_, synced_);
    return status;
  }

 private:
  const std::shared_ptr<LossyFiles> files_;
  const uint64_t generation_;
  const std::string path_;
  const std::unique_ptr<rocksdb::FSWritableFile> target_;
  bool closed_ = false;

  // Guarded by files_->mutex().
  std::string held_;      // appended, not yet in the file below
  uint64_t written_ = 0;  // bytes in the file below
  uint64_t synced_ = 0;   // bytes of it that a crash leaves
};

namespace {

// Tells the shared record that what the directory lists is durable.
class LossyDirectory : public rocksdb::FSDirectoryWrapper {
 public:
  LossyDirectory(std::shared_ptr<LossyFiles> files, uint64_t generation, std::string path,
                 std::unique_ptr<rocksdb::FSDirectory> target)
      : FSDirectoryWrapper(std::move(target)),
        files_(std::move(files)),
        generation_(generation),
        path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = files_->CheckAlive(generation_);
    if (status.ok()) status = FSDirectoryWrapper::Fsync(options, debug);
    if (status.ok()) files_->DirectorySynced(path_);
    return status;
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, debug);
  }

 private:
  const std::shared_ptr<LossyFiles> files_;
  const uint64_t generation_;
  const std::string path_;
};

}  // namespace

uint64_t LossyFiles::generation() {
  const std::lock_guard lock(mutex_);
  return generation_;
}

void LossyFiles::Crash() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  open_.clear();
  for (const auto& [path, synced] : unsynced_) {
    if (!created_.contains(path)) CutBack(path, synced);
  }
  for (const std::string& path : created_) target_->DeleteFile(path, IOOptions(), nullptr).PermitUncheckedError();
  unsynced_.clear();
  created_.clear();
}

// Writes the file anew: not every file system can truncate one.
void LossyFiles::CutBack(const std::string& path, uint64_t synced) {
  std::string content;
  if (!rocksdb::ReadFileToString(target_.get(), path, &content).ok() || content.size() <= synced) return;
  content.resize(synced);
  rocksdb::WriteStringToFile(target_.get(), content, path, true).PermitUncheckedError();
}

void LossyFiles::SetFreeBytes(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

IOStatus LossyFiles::CheckAlive(uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return IOStatus::IOError("this disk has crashed");
  return IOStatus::OK();
}

IOStatus LossyFiles::TakeSpace(uint64_t generation, size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return IOStatus::IOError("this disk has crashed");
  if (free_bytes_ == Disk::kUnlimited) return IOStatus::OK();
  if (free_bytes_ < static_cast<int64_t>(bytes)) return IOStatus::NoSpace("no space left on device");
  free_bytes_ -= static_cast<int64_t>(bytes);
  return IOStatus::OK();
}

void LossyFiles::Created(const std::string& path) {
  const std::lock_guard lock(mutex_);
  created_.insert(path);
  unsynced_.erase(path);
}

void LossyFiles::WrittenThrough(const std::string& path, uint64_t synced) {
  const std::lock_guard lock(mutex_);
  unsynced_[path] = synced;
}

void LossyFiles::Synced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  unsynced_.erase(path);
}

void LossyFiles::Renamed(const std::string& from, const std::string& to, bool replaced) {
  const std::lock_guard lock(mutex_);
  unsynced_.erase(to);
  if (const auto it = unsynced_.find(from); it != unsynced_.end()) {
    unsynced_[to] = it->second;
    unsynced_.erase(from);
  }
  const bool was_created = created_.erase(from) > 0;
  if (was_created && !replaced) created_.insert(to);
}

void LossyFiles::Deleted(const std::string& path) {
  const std::lock_guard lock(mutex_);
  created_.erase(path);
  unsynced_.erase(path);
}

void LossyFiles::DirectorySynced(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  std::string prefix = directory;
  if (!prefix.ends_with('/')) prefix += '/';
  std::erase_if(created_, [&](const std::string& path) {
    return path.starts_with(prefix) && path.find('/', prefix.size()) == std::string::npos;
  });
}

void LossyFiles::Opened(const std::string& path, LossyWritableFile* file) {
  const std::lock_guard lock(mutex_);
  open_[path] = file;
}

void LossyFiles::Closed(const std::string& path, LossyWritableFile* file) {
  const std::lock_guard lock(mutex_);
  if (const auto it = open_.find(path); it != open_.end() && it->second == file) open_.erase(it);
}

void LossyFiles::WriteThrough(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const auto it = open_.find(path); it != open_.end()) {
    it->second->PassOn(IOOptions(), nullptr).PermitUncheckedError();
  }
}

LossyFileSystem::LossyFileSystem(std::shared_ptr<LossyFiles> files)
    : FileSystemWrapper(files->target()), files_(std::move(files)), generation_(files_->generation()) {}

IOStatus LossyFileSystem::NewWritableFile(const std::string& path, const FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) {
  IOStatus status = files_->TakeSpace(generation_, 1);
  if (!status.ok()) return status;
  const bool existed = target()->FileExists(path, IOOptions(), debug).ok();
  FileOptions plain = options;
  plain.use_mmap_writes = false;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  status = target()->NewWritableFile(path, plain, &file, debug);
  if (!status.ok()) return status;
  if (existed) {
    files_->WrittenThrough(path, 0);
  } else {
    files_->Created(path);
  }
  *result = std::make_unique<LossyWritableFile>(files_, generation_, path, std::move(file));
  return status;
}

IOStatus LossyFileSystem::ReopenWritableFile(const std::string&, const FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return IOStatus::NotSupported("appending to an existing file");
}

IOStatus LossyFileSystem::ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return IOStatus::NotSupported("reusing a file");
}

IOStatus LossyFileSystem::NewSequentialFile(const std::string& path, const FileOptions& options,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* debug) {
  files_->WriteThrough(path);
  return target()->NewSequentialFile(path, options, result, debug);
}

IOStatus LossyFileSystem::NewRandomAccessFile(const std::string& path, const FileOptions& options,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                              IODebugContext* debug) {
  files_->WriteThrough(path);
  return target()->NewRandomAccessFile(path, options, result, debug);
}

IOStatus LossyFileSystem::NewDirectory(const std::string& path, const IOOptions& options,
                                       std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  IOStatus status = target()->NewDirectory(path, options, &directory, debug);
  if (status.ok()) *result = std::make_unique<LossyDirectory>(files_, generation_, path, std::move(directory));
  return status;
}

IOStatus LossyFileSystem::FileExists(const std::string& path, const IOOptions& options, IODebugContext* debug) {
  const IOStatus status = files_->CheckAlive(generation_);
  return status.ok() ? target()->FileExists(path, options, debug) : status;
}

IOStatus LossyFileSystem::GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size,
                                      IODebugContext* debug) {
  files_->WriteThrough(path);
  return target()->GetFileSize(path, options, size, debug);
}

IOStatus LossyFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                     IODebugContext* debug) {
  IOStatus status = files_->CheckAlive(generation_);
  if (!status.ok()) return status;
  const bool replaced = target()->FileExists(to, IOOptions(), debug).ok();
  status = target()->RenameFile(from, to, options, debug);
  if (status.ok()) files_->Renamed(from, to, replaced);
  return status;
}

IOStatus LossyFileSystem::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* debug) {
  IOStatus status = files_->CheckAlive(generation_);
  if (status.ok()) status = target()->DeleteFile(path, options, debug);
  if (status.ok()) files_->Deleted(path);
  return status;
}

}  // namespace tidemark
