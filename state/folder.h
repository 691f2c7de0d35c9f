// What makes a folder a state folder: a LOCK file that one process holds, and a TIDEMARK file that says whose state it
// is and in which format.
#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/file_system.h>

namespace tidemark {

// Held as long as the object lives.
class FolderLock {
 public:
  // InvalidArgument, with the holder's process id where it is known, if another StateDir has the folder.
  static absl::StatusOr<std::unique_ptr<FolderLock>> Take(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int file) : file_(file) {}

  const int file_;
};

// Creates the folder and those above it.
absl::Status MakeFolder(rocksdb::FileSystem* files, const std::string& folder);

// Checks the folder's TIDEMARK file, or writes it where there is none. InvalidArgument: another application's, or of a
// newer version.
absl::Status TagFolder(rocksdb::FileSystem* files, const std::string& folder, const std::string& application);

}  // namespace tidemark
