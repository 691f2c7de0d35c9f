#include "state/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "state/task_db.h"

namespace tidemark {
namespace {

absl::Status NotUsable(const std::string& folder, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("can't use ", folder, " as the state folder: ", why));
}

// Of the folder itself; the tasks in it say theirs with every commit.
constexpr uint32_t kFolderFormat = 1;

absl::Status CantWrite(const std::string& folder, const std::string& why) {
  return NotUsable(folder,
                   absl::StrCat(why, "; name a folder this user can write with --state_dir, or change its owner"));
}

std::string HolderOf(int file) {
  char text[32] = {};
  const ssize_t bytes = pread(file, text, sizeof(text) - 1, 0);
  int pid = 0;
  if (bytes <= 0 || !absl::SimpleAtoi(text, &pid)) return "another process";
  return absl::StrCat("the process ", pid);
}

std::string TagText(const std::string& application) {
  return absl::StrCat("application ", application, "\nformat ", kFolderFormat, "\n");
}

// The word behind `key` on its line; empty where there is none.
std::string Field(const std::string& text, const std::string& key) {
  for (const auto line : absl::StrSplit(text, '\n')) {
    const std::string entry(line);
    if (entry.starts_with(key + " ")) return entry.substr(key.size() + 1);
  }
  return "";
}

absl::Status CheckTag(const std::string& folder, const std::string& text, const std::string& application) {
  uint32_t format = 0;
  if (!absl::SimpleAtoi(Field(text, "format"), &format)) {
    return NotUsable(folder,
                     "its file TIDEMARK can't be read; if the folder holds nothing else of yours, delete it: state is "
                     "restored from the changelog topics");
  }
  if (const absl::Status known = CheckKeptFormat(format, "what is in it"); !known.ok()) {
    return NotUsable(folder, absl::StrCat(known.message(), ", or name another folder"));
  }
  if (const std::string owner = Field(text, "application"); owner != application) {
    return NotUsable(folder, absl::StrCat("it belongs to the application '", owner, "', and this one is '", application,
                                          "'; name another folder with --state_dir"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder) {
  const std::string path = folder + "/LOCK";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return CantWrite(folder, std::strerror(errno));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string holder = HolderOf(file);
    close(file);
    if (error != EWOULDBLOCK) return CantWrite(folder, std::strerror(error));
    return NotUsable(folder,
                     absl::StrCat(holder, " is using it; stop that one, or name another folder with --state_dir"));
  }
  // For the message of whoever comes second; the lock doesn't depend on it.
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(file, 0) != 0 || pwrite(file, pid.data(), pid.size(), 0) < 0) {
    const int error = errno;
    close(file);
    return CantWrite(folder, std::strerror(error));
  }
  return std::unique_ptr<FolderLock>(new FolderLock(file));
}

FolderLock::~FolderLock() { close(file_); }

absl::Status MakeFolder(rocksdb::FileSystem* files, const std::string& folder) {
  const rocksdb::IOOptions io;
  for (size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
    const std::string ancestor = folder.substr(0, end);
    if (!files->FileExists(ancestor, io, nullptr).ok()) {
      const rocksdb::IOStatus status = files->CreateDirIfMissing(ancestor, io, nullptr);
      if (!status.ok()) return CantWrite(folder, status.ToString());
    }
    if (end == std::string::npos) return absl::OkStatus();
  }
}

absl::Status TagFolder(rocksdb::FileSystem* files, const std::string& folder, const std::string& application) {
  const rocksdb::IOOptions io;
  const std::string path = folder + "/TIDEMARK";
  if (files->FileExists(path, io, nullptr).ok()) {
    std::string text;
    const rocksdb::Status status = rocksdb::ReadFileToString(files, path, &text);
    if (!status.ok()) return NotUsable(folder, status.ToString());
    return CheckTag(folder, text, application);
  }
  // Under another name first: a crash leaves all of it or nothing.
  const std::string unfinished = path + ".new";
  rocksdb::IOStatus status = rocksdb::WriteStringToFile(files, TagText(application), unfinished, true);
  if (status.ok()) status = files->RenameFile(unfinished, path, io, nullptr);
  std::unique_ptr<rocksdb::FSDirectory> directory;
  if (status.ok()) status = files->NewDirectory(folder, io, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(io, nullptr);
  if (status.IsNoSpace()) return FromRocks(status, absl::StrCat("writing ", path));
  return status.ok() ? absl::OkStatus() : CantWrite(folder, status.ToString());
}

}  // namespace tidemark
