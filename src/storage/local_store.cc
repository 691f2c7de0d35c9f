// The lake in a local folder. Durable means: the file's bytes, its name in its folder, and every folder above it up to
// the root, each by an fsync of its own.
//
// An fsync that has failed says nothing the second time: the kernel reports a lost page once and takes it for clean
// from then on. So a file's own descriptor is synced as part of closing it, the file is given up where that fails, and
// a folder is changed anew before it is synced again.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <absl/cleanup/cleanup.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/synchronization/mutex.h>
#include <arrow/io/file.h>
#include <arrow/util/io_util.h>

#include "src/base/status.h"
#include "src/storage/backends.h"

namespace tidemark {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncFolder(const std::string& path) {
  const int file = open(path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("opening ", path));
  const int failed = fsync(file);
  const int error = errno;
  close(file);
  return failed != 0 ? ErrnoStatus(error, absl::StrCat("syncing ", path)) : absl::OkStatus();
}

// A file under way. Its bytes are durable when Close returns OK.
class LocalStream final : public arrow::io::OutputStream {
 public:
  explicit LocalStream(std::shared_ptr<arrow::io::FileOutputStream> file) : file_(std::move(file)) {}
  ~LocalStream() override = default;

  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t size) override { return file_->Write(data, size); }
  arrow::Result<int64_t> Tell() const override { return file_->Tell(); }
  bool closed() const override { return file_->closed(); }
  arrow::Status Abort() override { return file_->Close(); }
  arrow::Status Close() override {
    if (file_->closed()) return arrow::Status::OK();
    const int error = fsync(file_->file_descriptor()) == 0 ? 0 : errno;
    const arrow::Status closed = file_->Close();
    return error != 0 ? arrow::internal::IOErrorFromErrno(error, "syncing") : closed;
  }

 private:
  const std::shared_ptr<arrow::io::FileOutputStream> file_;
};

bool IsThere(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

// As IsThere, where a wrong answer would lose a file: a file system that can't say isn't one that says no.
absl::StatusOr<bool> LookFor(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return ErrnoStatus(errno, absl::StrCat("looking for ", path));
}

// Renames without ever replacing, also on file systems that know no RENAME_NOREPLACE. Returns 0 or an errno.
int RenameIfAbsent(const std::string& from, const std::string& to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (link(from.c_str(), to.c_str()) == 0) return unlink(from.c_str()) == 0 ? 0 : errno;
  if (errno != EPERM && errno != ENOTSUP && errno != EOPNOTSUPP) return errno;
  if (IsThere(to)) return EEXIST;
  return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

class LocalStore final : public ObjectStore {
 public:
  explicit LocalStore(std::string root) : root_(std::move(root)) {}

  absl::Status Prepare();

  std::string_view path() const override { return root_; }
  size_t max_open_files() const override { return 128; }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override;
  absl::Status Sync(const std::string& name) override;
  absl::Status Move(const std::string& from, const std::string& to) override;
  absl::StatusOr<bool> Exists(const std::string& name) override { return LookFor(Full(name)); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override;
  absl::Status Delete(const std::string& name) override;

 private:
  std::string Full(const std::string& name) const { return absl::StrCat(root_, "/", name); }
  absl::Status MakeFolders(const std::string& name);
  absl::Status SyncFolderOf(const std::string& name);
  absl::Status Nowhere(const std::string& from, const std::string& to);
  absl::Status Taken(const std::string& from, const std::string& to);

  const std::string root_;
  absl::Mutex mutex_;
  // Folders below the root whose own names are known to be durable, up to kFoldersKept: a forgotten one costs an fsync.
  absl::flat_hash_set<std::string> durable_folders_ ABSL_GUARDED_BY(mutex_);
  // Paths of folders whose last fsync has failed.
  absl::flat_hash_set<std::string> unsynced_folders_ ABSL_GUARDED_BY(mutex_);
};

constexpr size_t kFoldersKept = 4'096;

// Makes the root, and proves by a file that it can be written.
absl::Status LocalStore::Prepare() {
  std::string path;
  for (const absl::string_view part : absl::StrSplit(root_, '/')) {
    absl::StrAppend(&path, part);
    if (!path.empty() && mkdir(path.c_str(), 0777) == 0) {
      TM_RETURN_IF_ERROR(SyncFolder(ParentOf(path)));
    } else if (!path.empty() && errno != EEXIST && !IsThere(path)) {
      return ErrnoStatus(errno, absl::StrCat("lake ", root_, ": making ", path));
    }
    absl::StrAppend(&path, "/");
  }
  const std::string probe = absl::StrCat(kStagingFolder, "/probe-", getpid(), "-", reinterpret_cast<uintptr_t>(this));
  TM_RETURN_IF_ERROR(MakeFolders(probe));
  const int file = open(Full(probe).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) {
    return ErrnoStatus(errno, absl::StrCat("lake ", root_, " can't be written (does it belong to this user?)"));
  }
  close(file);
  return Delete(probe);
}

// The folders above `name`, durably: a file synced into a folder that vanishes is lost all the same.
absl::Status LocalStore::MakeFolders(const std::string& name) {
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string folder = name.substr(0, slash);
    const bool made = mkdir(Full(folder).c_str(), 0777) == 0;
    if (!made && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("lake ", root_, ": making ", folder));
    {
      absl::MutexLock lock(&mutex_);
      if (!made && durable_folders_.contains(folder)) continue;
    }
    TM_RETURN_IF_ERROR(SyncFolderOf(folder));
    absl::MutexLock lock(&mutex_);
    if (durable_folders_.size() >= kFoldersKept) durable_folders_.clear();
    durable_folders_.insert(folder);
  }
  return absl::OkStatus();
}

// Makes the names in the folder of `name` durable.
absl::Status LocalStore::SyncFolderOf(const std::string& name) {
  const std::string folder = ParentOf(Full(name));
  bool failed_before;
  {
    absl::MutexLock lock(&mutex_);
    failed_before = unsynced_folders_.contains(folder);
  }
  if (failed_before) {
    const std::string probe = absl::StrCat(folder, "/.sync-", getpid(), "-", reinterpret_cast<uintptr_t>(this));
    const int file = open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) return ErrnoStatus(errno, absl::StrCat("syncing ", folder));
    close(file);
    unlink(probe.c_str());
  }
  const absl::Status synced = SyncFolder(folder);
  absl::MutexLock lock(&mutex_);
  if (synced.ok()) {
    unsynced_folders_.erase(folder);
  } else {
    unsynced_folders_.insert(folder);
  }
  return synced;
}

absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> LocalStore::Create(const std::string& name) {
  TM_RETURN_IF_ERROR(MakeFolders(name));
  auto stream = arrow::io::FileOutputStream::Open(Full(name));
  if (!stream.ok()) return StreamStatus(stream.status(), absl::StrCat("creating ", Full(name)));
  return std::make_shared<LocalStream>(*stream);
}

// The bytes were synced when the file was closed.
absl::Status LocalStore::Sync(const std::string& name) {
  if (!IsThere(Full(name))) return ErrnoStatus(ENOENT, absl::StrCat("syncing ", Full(name)));
  return SyncFolderOf(name);
}

absl::Status LocalStore::Move(const std::string& from, const std::string& to) {
  TM_RETURN_IF_ERROR(MakeFolders(to));
  const int error = RenameIfAbsent(Full(from), Full(to));
  TM_ASSIGN_OR_RETURN(const bool staged, error == ENOENT ? Exists(from) : true);
  if (error == EEXIST) {
    TM_RETURN_IF_ERROR(Taken(from, to));
  } else if (!staged) {
    TM_ASSIGN_OR_RETURN(const bool moved, Exists(to));
    if (!moved) return Nowhere(from, to);
  } else if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("moving ", Full(from), " to ", to));
  }
  // Also where it was moved before: by a process that may have died between the rename and this.
  TM_RETURN_IF_ERROR(SyncFolderOf(to));
  return SyncFolderOf(from);
}

// Where the lake as a whole is away, as a disk that isn't mounted, that says nothing about one file.
absl::Status LocalStore::Nowhere(const std::string& from, const std::string& to) {
  TM_ASSIGN_OR_RETURN(const bool mounted, Exists(kStagingFolder));
  if (!mounted) {
    return absl::UnavailableError(
        absl::StrCat("lake ", root_, ": its folder ", kStagingFolder,
                     " is gone: bring the lake back, or make the folder where it was emptied"));
  }
  return absl::NotFoundError(absl::StrCat("lake ", root_, ": neither ", from, " nor ", to, " is there"));
}

absl::Status LocalStore::Taken(const std::string& from, const std::string& to) {
  TM_ASSIGN_OR_RETURN(const bool staged, Exists(from));
  if (!staged) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const auto a, FromArrow(arrow::io::ReadableFile::Open(Full(from)), "comparing two files"));
  TM_ASSIGN_OR_RETURN(const auto b, FromArrow(arrow::io::ReadableFile::Open(Full(to)), "comparing two files"));
  TM_ASSIGN_OR_RETURN(const bool same, SameContent(*a, *b));
  if (same) return Delete(from);
  return absl::FailedPreconditionError(
      absl::StrCat("lake ", root_, ": ", to, " exists with other content than ", from, "; it is kept"));
}

absl::StatusOr<std::vector<std::string>> LocalStore::List(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  DIR* open_folder = opendir(Full(folder).c_str());
  if (open_folder == nullptr) {
    if (errno == ENOENT) return names;
    return ErrnoStatus(errno, absl::StrCat("listing ", Full(folder)));
  }
  const absl::Cleanup close_folder = [&] { closedir(open_folder); };
  while (true) {
    errno = 0;  // the end of a folder and an error look alike but for this
    const dirent* const entry = readdir(open_folder);
    if (entry == nullptr && errno != 0) return ErrnoStatus(errno, absl::StrCat("listing ", Full(folder)));
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && absl::StartsWith(name, prefix)) names.push_back(absl::StrCat(folder, "/", name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status LocalStore::Delete(const std::string& name) {
  if (unlink(Full(name).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("deleting ", Full(name)));
}

absl::StatusOr<std::string> RootOf(const std::string& folder) {
  std::string root = folder;
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (root.empty()) return absl::InvalidArgumentError("lake: the path is empty");
  return root;
}

// Whether files can be made in a folder that is there.
absl::Status CanWriteIn(const std::string& root, const std::string& folder) {
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("lake ", root, ": looking at ", folder));
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("lake ", root, ": ", folder, " is in the way: it isn't a folder"));
  }
  if (access(folder.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return ErrnoStatus(errno,
                     absl::StrCat("lake ", root, ": ", folder, " can't be written (does it belong to this user?)"));
}

}  // namespace

absl::StatusOr<std::string> InspectLocalStore(const std::string& folder) {
  TM_ASSIGN_OR_RETURN(const std::string root, RootOf(folder));
  std::string there = root;
  while (!IsThere(there) && there != "/" && there != ".") there = ParentOf(there);
  TM_RETURN_IF_ERROR(CanWriteIn(root, there));
  if (there != root) return absl::StrCat("lake ", root, ": would be made in ", there, ", which can be written");
  const std::string staging = absl::StrCat(root, "/", kStagingFolder);
  if (IsThere(staging)) TM_RETURN_IF_ERROR(CanWriteIn(root, staging));
  return absl::StrCat("lake ", root, ": is there and can be written");
}

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenLocalStore(const std::string& folder) {
  TM_ASSIGN_OR_RETURN(std::string root, RootOf(folder));
  auto lake = std::make_unique<LocalStore>(std::move(root));
  TM_RETURN_IF_ERROR(lake->Prepare());
  return lake;
}

}  // namespace tidemark
