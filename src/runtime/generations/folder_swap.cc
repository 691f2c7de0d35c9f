// See target_swap.h. Which generation a folder holds is told by the mark that a Parquet sink leaves in its lake
// (parquet_feed_sink.h), and which decision brought it there by a file of its own, `_switched`:
//
//   live: n's, number < d    shadow: n+1's    kept: none       Swap writes d into shadow, exchanges the two names
//   live: n+1's, number d    shadow: n's      kept: none       Swap renames shadow to kept
//   live: n+1's, number d    shadow: none     kept: n's        done
//   live: number > d                                           done: a later decision has been here
//   live: none                shadow: n+1's                    Swap writes d into shadow, renames it to live
//
// What n+1 has decided and not moved yet is moved first. Whoever does any of the rest holds a lock of the folder that
// all of them stand in (flock), and looks under it; so nothing that asks others may be waited for under the lock.
// Each step is durable before the next begins, and a crash within one leaves the line above or below it.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/runtime/generations/target_swap.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;

constexpr char kNumberFile[] = "_switched";

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Errno(const fs::path& path, const char* what) {
  return absl::UnavailableError(absl::StrCat(path.string(), ": ", what, ": ", std::strerror(errno)));
}

absl::Status SyncFolder(const fs::path& folder) {
  const FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || fsync(opened.get()) != 0) return Errno(folder, "can't be synced");
  return absl::OkStatus();
}

// glibc's renameat2 is as new as the call is old.
bool RenameWith(const fs::path& from, const fs::path& to, unsigned flags) {
  return syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0;
}

// A real folder of that name: a symbolic link to one would be exchanged itself.
bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(path, error));
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

// Two empty folders beside the lake, taken away again.
absl::Status TryExchange(const fs::path& parent) {
  std::string made[2];
  absl::Status status;
  for (std::string& name : made) {
    name = (parent / ".tidemark-switch-XXXXXX").string();
    if (status.ok() && mkdtemp(name.data()) == nullptr) {
      status = absl::InvalidArgumentError(
          absl::StrCat("folders can't be made and renamed in ", parent.string(), ": ", std::strerror(errno)));
    }
  }
  if (status.ok() && !RenameWith(made[0], made[1], RENAME_EXCHANGE)) {
    status = absl::InvalidArgumentError(absl::StrCat("the file system of ", parent.string(),
                                                     " can't exchange two names at once (renameat2 with "
                                                     "RENAME_EXCHANGE: ",
                                                     std::strerror(errno), "); ext4, xfs, btrfs and tmpfs can"));
  }
  for (const std::string& name : made) (void)rmdir(name.c_str());
  return status;
}

// 0: no decision has brought it anywhere.
absl::StatusOr<int64_t> NumberOf(const fs::path& folder) {
  const fs::path path = folder / kNumberFile;
  if (!Exists(path)) return 0;
  std::ifstream file(path);
  std::string text;
  int64_t number = 0;
  if (!std::getline(file, text)) return Errno(path, "can't be read");
  if (!absl::SimpleAtoi(text, &number)) {
    return absl::FailedPreconditionError(absl::StrCat(path.string(), " isn't a number of a decision"));
  }
  return number;
}

// Whole or not at all: under another name first.
absl::Status WriteNumber(const fs::path& folder, int64_t number) {
  const fs::path path = folder / kNumberFile, draft = folder / absl::StrCat(kNumberFile, ".new");
  {
    const FileDescriptor file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    const std::string text = absl::StrCat(number, "\n");
    if (file.get() < 0 || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        fsync(file.get()) != 0) {
      return Errno(draft, "can't be written");
    }
  }
  if (!RenameWith(draft, path, 0)) return Errno(path, "can't be written");
  return SyncFolder(folder);
}

// Without a slash at its end, which has no parent of its own.
fs::path Clean(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return fs::path(path);
}

fs::path ParentOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

class FolderSwap final : public TargetSwap {
 public:
  FolderSwap(const FolderSwapTarget& target, const SwapParties& parties)
      : live_(Clean(target.live)),
        shadow_(Clean(target.shadow)),
        kept_(Clean(target.kept)),
        parent_(ParentOf(live_)),
        settle_(target.settle),
        decision_(parties.decision),
        mark_of_from_(absl::StrCat(
            "_", parties.from.SinkGroup(parties.from_sink.empty() ? parties.sink : parties.from_sink), ".mark")),
        mark_of_to_(absl::StrCat("_", parties.to.SinkGroup(parties.sink), ".mark")),
        what_(absl::StrCat("sink ", parties.sink)) {}

  absl::Status Prepare() override {
    const std::vector<std::string> complaints = Complaints();
    if (!complaints.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(what_, ": ", absl::StrJoin(complaints, "; ")));
    }
    return Annotate(TryExchange(parent_), what_);
  }
  absl::Status Swap() override { return Annotate(Follow(), what_); }
  std::string Describe() const override {
    return absl::StrCat(what_, ": folder ", shadow_.string(), " takes the place of ", live_.string(),
                        "; what stands there now is kept as ", kept_.string());
  }

 private:
  std::vector<std::string> Complaints() const;
  void CompareFolders(std::vector<std::string>* complaints) const;
  absl::Status Follow() const;
  absl::Status Exchange() const;
  absl::Status Keep() const;

  const fs::path live_, shadow_, kept_, parent_;
  const std::function<absl::Status()> settle_;
  const int64_t decision_;
  const std::string mark_of_from_, mark_of_to_;
  const std::string what_;
};

std::vector<std::string> FolderSwap::Complaints() const {
  if (absl::StartsWith(live_.string(), "s3:/")) {
    return {absl::StrCat("a lake in S3 (", live_.string(),
                         ") has no folders that could change places; give the sink a new path")};
  }
  std::vector<std::string> complaints;
  for (const auto& [folder, mark] : {std::pair(live_, mark_of_from_), std::pair(shadow_, mark_of_to_)}) {
    if (folder == live_ && !Exists(live_)) continue;
    if (ParentOf(folder) != parent_) {
      complaints.push_back(absl::StrCat(folder.string(), " isn't beside ", live_.string()));
    } else if (!IsFolder(folder)) {
      complaints.push_back(absl::StrCat(folder.string(), Exists(folder) ? " isn't a folder, or a link to one: name the "
                                                                          "folder itself"
                                                                        : " doesn't exist"));
    } else if (!Exists(folder / mark)) {
      complaints.push_back(absl::StrCat(folder.string(), " isn't the lake of its generation: it has no ", mark,
                                        ". If its worker has only just begun, run this again"));
    }
  }
  if (ParentOf(kept_) != parent_) complaints.push_back(absl::StrCat(kept_.string(), " isn't beside ", live_.string()));
  if (Exists(live_) && Exists(kept_)) {
    complaints.push_back(
        absl::StrCat(kept_.string(), ", under whose name the files that stand would be kept, is there; remove it"));
  }
  const absl::StatusOr<int64_t> stands = NumberOf(live_);
  if (!stands.ok()) complaints.emplace_back(stands.status().message());
  if (stands.ok() && *stands >= decision_) {  // it would take this one for done
    complaints.push_back(absl::StrCat("decision ", *stands, " has been here, and this one is ", decision_,
                                      "; where the application was begun anew, remove ",
                                      (live_ / kNumberFile).string()));
  }
  if (complaints.empty() && Exists(live_)) CompareFolders(&complaints);
  return complaints;
}

void FolderSwap::CompareFolders(std::vector<std::string>* complaints) const {
  struct stat of_parent{}, of_live{}, of_shadow{};
  for (const auto& [path, found] :
       {std::pair(&parent_, &of_parent), std::pair(&live_, &of_live), std::pair(&shadow_, &of_shadow)}) {
    if (stat(path->c_str(), found) == 0) continue;
    complaints->push_back(absl::StrCat(path->string(), " can't be looked at: ", std::strerror(errno)));
    return;
  }
  if (of_live.st_dev != of_parent.st_dev || of_shadow.st_dev != of_parent.st_dev) {
    complaints->push_back(absl::StrCat(live_.string(), " and ", shadow_.string(),
                                       " aren't on one file system with the folder that they stand in: a place where "
                                       "something is mounted can't be renamed"));
  }
  if (of_live.st_mode != of_shadow.st_mode && geteuid() != 0 && geteuid() != of_shadow.st_uid) {
    complaints->push_back(absl::StrCat(shadow_.string(), " belongs to another user and has other permissions than ",
                                       live_.string(), "; give it the same"));
  }
}

absl::Status FolderSwap::Follow() const {
  // Kafka is asked, and a command that is frozen meanwhile mustn't keep its successor out. What it still moves when it
  // wakes up, the successor has moved: it fails on what isn't there any more, which is nobody's business then.
  TM_ASSIGN_OR_RETURN(const int64_t before, NumberOf(live_));
  const absl::Status settled = settle_ && before < decision_ ? settle_() : absl::OkStatus();
  // Of several commands one at a time looks and exchanges; whoever dies leaves no lock.
  const FileDescriptor locked(open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (locked.get() < 0) return Errno(parent_, "can't be opened");
  if (flock(locked.get(), LOCK_EX | LOCK_NB) != 0) return Errno(parent_, "is locked by another command");
  TM_ASSIGN_OR_RETURN(const int64_t stands, NumberOf(live_));
  if (stands > decision_) return absl::OkStatus();
  if (stands < decision_) {
    TM_RETURN_IF_ERROR(settled);
    TM_RETURN_IF_ERROR(Exchange());
  }
  TM_RETURN_IF_ERROR(Failpoint("swap_folder.after_exchange"));
  return Keep();
}

absl::Status FolderSwap::Exchange() const {
  const bool is_new = !Exists(live_);
  if ((!is_new && !Exists(live_ / mark_of_from_)) || !Exists(shadow_ / mark_of_to_)) {
    return absl::FailedPreconditionError(
        absl::StrCat(live_.string(), " or ", shadow_.string(), " isn't the lake of its generation any more"));
  }
  struct stat of_live{};
  if (stat(live_.c_str(), &of_live) == 0 && chmod(shadow_.c_str(), of_live.st_mode & 07777) != 0) {
    return Errno(shadow_, "can't get the permissions of the folder whose place it takes");
  }
  TM_RETURN_IF_ERROR(WriteNumber(shadow_, decision_));
  TM_RETURN_IF_ERROR(Failpoint("swap_folder.before_exchange"));
  if (!RenameWith(shadow_, live_, is_new ? RENAME_NOREPLACE : RENAME_EXCHANGE))
    return Errno(live_, "can't change places with the shadow");
  return SyncFolder(parent_);
}

// Whoever was here first may have done it.
absl::Status FolderSwap::Keep() const {
  TM_RETURN_IF_ERROR(SyncFolder(parent_));
  if (!Exists(shadow_)) return absl::OkStatus();
  if (!Exists(shadow_ / mark_of_from_)) {
    return absl::FailedPreconditionError(
        absl::StrCat(shadow_.string(), " isn't what ", live_.string(), " was before: it stays as it is"));
  }
  if (!RenameWith(shadow_, kept_, RENAME_NOREPLACE)) return Errno(kept_, "can't be the name of what was there before");
  return SyncFolder(parent_);
}

}  // namespace

std::unique_ptr<TargetSwap> MakeFolderSwap(FolderSwapTarget target, SwapParties parties) {
  return std::make_unique<FolderSwap>(target, parties);
}

}  // namespace tidemark
