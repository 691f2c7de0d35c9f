// Files that land in a local folder.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/io/file.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/landing/landing_zone.h"
#include "src/landing/manifest.h"
#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;

constexpr char kDoneMark[] = ".done";
// Behind ".NAME" of a file that was copied and is about to be removed; with a number behind it where that is taken.
constexpr char kLeaving[] = ".leaving";
constexpr int kMostLeaving = 100;

absl::Status Away(const std::string& what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(error)));
}

// Of the folder that has the name, so that a name that was given or taken survives a power failure.
absl::Status SyncFolder(const fs::path& folder) {
  const int file = open(folder.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (file < 0) return Away(absl::StrCat("opening ", folder.string()), errno);
  const bool synced = fsync(file) == 0;
  const int error = errno;
  close(file);
  return synced ? absl::OkStatus() : Away(absl::StrCat("syncing ", folder.string()), error);
}

// Gives a file another name, which no other file has: 0, or an errno, EEXIST where one has it. Two steps where the file
// system knows no such call: links, and where it has none either, a look before.
int RenameToFree(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (link(from.c_str(), to.c_str()) == 0) return unlink(from.c_str()) == 0 ? 0 : errno;
  if (errno == EEXIST || errno == ENOENT) return errno;
  struct stat info = {};
  if (lstat(to.c_str(), &info) == 0) return EEXIST;
  return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

// ".NAME.leaving" and ".NAME.leaving2" are left of NAME; "": another file.
std::string LeftOf(std::string_view hidden) {
  const size_t at = hidden.rfind(kLeaving);
  if (at == std::string_view::npos || at < 2 || hidden[0] != '.') return "";
  const std::string_view number = hidden.substr(at + std::strlen(kLeaving));
  const bool digits = std::all_of(number.begin(), number.end(), [](char c) { return absl::ascii_isdigit(c); });
  return digits && number.size() <= 3 ? std::string(hidden.substr(1, at - 1)) : "";
}

// Takes the file away from its name, to where nobody looks for one: the path there, or why not.
absl::StatusOr<fs::path> TakeAside(const fs::path& file, const fs::path& folder, const std::string& name) {
  for (int i = 1; i <= kMostLeaving; ++i) {
    const fs::path aside = folder / absl::StrCat(".", name, kLeaving, i == 1 ? "" : absl::StrCat(i));
    const int error = RenameToFree(file, aside);
    if (error == 0) return aside;
    if (error != EEXIST) return Away("renaming " + file.string(), error);
  }
  return absl::UnavailableError(absl::StrCat("there are too many files .", name, kLeaving, "* in ", folder.string()));
}

absl::Status WriteSynced(const fs::path& path, std::string_view text) {
  const std::string part = path.string() + ".part";
  const int file = open(part.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0) return Away("writing " + part, errno);
  bool written = true;
  for (size_t at = 0; written && at < text.size();) {
    const ssize_t done = write(file, text.data() + at, text.size() - at);
    written = done > 0;
    if (written) at += static_cast<size_t>(done);
  }
  written = written && fsync(file) == 0;
  const int error = errno;
  close(file);
  if (!written) return Away("writing " + part, error);
  return rename(part.c_str(), path.c_str()) == 0 ? absl::OkStatus() : Away("renaming " + part, errno);
}

bool SameContent(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::file_size(a, error) != fs::file_size(b, error) || error) return false;
  const auto left = arrow::io::ReadableFile::Open(a.string());
  const auto right = arrow::io::ReadableFile::Open(b.string());
  if (!left.ok() || !right.ok()) return false;
  while (true) {
    const auto x = (*left)->Read(1 << 20), y = (*right)->Read(1 << 20);
    if (!x.ok() || !y.ok() || !(*x)->Equals(**y)) return false;
    if ((*x)->size() == 0) return true;
  }
}

class LocalLandingZone final : public LandingZone {
 public:
  explicit LocalLandingZone(const FilesSpec& spec)
      : spec_(spec), pattern_(NamePattern::Parse(spec.path)), folder_(pattern_.folder) {
    for (const std::string& other : {spec.processed, spec.rejected, spec.raw, spec.archive}) {
      if (!other.empty() && !absl::StrContains(other, "://")) others_.push_back(Absolute(other));
    }
  }

  absl::StatusOr<std::vector<LandedFile>> List() override {
    std::vector<LandedFile> found;
    std::error_code error, ignored;  // a file may go while it is looked at
    fs::recursive_directory_iterator at(folder_, error);
    if (error) return Away("looking into " + folder_.string(), error.value());
    const fs::recursive_directory_iterator end;
    for (; at != end; at.increment(error)) {
      if (error) return Away("looking into " + folder_.string(), error.value());
      const std::string last = at->path().filename().string();
      if (at->is_directory(ignored)) {
        // What was moved away, or copied, within the folder isn't landing again.
        const bool skip = absl::StartsWith(last, ".") ||
                          std::find(others_.begin(), others_.end(), Absolute(at->path())) != others_.end();
        if (skip) at.disable_recursion_pending();
        continue;
      }
      if (absl::StartsWith(last, ".")) {
        // As a crash left it. Whether it is the one that was copied shows when it is looked at again.
        if (const std::string left = LeftOf(last); !left.empty()) PutBack(at->path(), at->path().parent_path() / left);
        continue;
      }
      const std::string name = at->path().lexically_relative(folder_).string();
      if (spec_.whole == FilesSpec::Whole::kDoneMark && absl::EndsWith(name, kDoneMark)) {
        RemoveLeftMark(at->path());
        continue;
      }
      if (!MatchesNames(pattern_.names, name) && !IsManifest(spec_, name)) continue;
      const absl::StatusOr<LandedFile> file = Stat(name);
      if (absl::IsNotFound(file.status())) continue;  // gone in this moment, or no file
      TM_RETURN_IF_ERROR(file.status());
      if (spec_.whole == FilesSpec::Whole::kDoneMark && !IsMarked(*file)) continue;
      found.push_back(*file);
    }
    if (error) return Away("looking into " + folder_.string(), error.value());
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return found;
  }

  absl::StatusOr<LandedFile> Stat(const std::string& name) override { return StatOf(name, (folder_ / name).string()); }

  absl::StatusOr<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& name) override {
    TM_RETURN_IF_ERROR(Stat(name).status());
    auto file = arrow::io::ReadableFile::Open((folder_ / name).string());
    if (!file.ok()) return absl::UnavailableError(file.status().message());
    return std::shared_ptr<arrow::io::RandomAccessFile>(*std::move(file));
  }

  absl::Status MoveToProcessed(const LandedFile& file, const std::string& version) override {
    if (spec_.processed.empty() || !IsThere(file)) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const std::string to, TargetIn(spec_.processed, file.name, version));
    return Move(file, to);
  }

  absl::Status MoveToRejected(const LandedFile& file, const std::string& version, const std::string& reason) override {
    if (spec_.rejected.empty() || !IsThere(file)) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const std::string to, TargetIn(spec_.rejected, file.name, version));
    TM_RETURN_IF_ERROR(WriteSynced(to + ".reason.json", reason));
    return Move(file, to);
  }

 private:
  static absl::StatusOr<LandedFile> StatOf(const std::string& name, const std::string& path) {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(path);
      return Away("looking at " + path, errno);
    }
    if (!S_ISREG(info.st_mode)) return absl::NotFoundError(path + " is no file");
    return LandedFile{name, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, ""};
  }

  bool IsThere(const LandedFile& file) {
    const absl::StatusOr<LandedFile> now = Stat(file.name);
    return !now.ok() ? !absl::IsNotFound(now.status()) : now->IsSameAs(file);
  }

  // One that is older than its file was left of another file of its name.
  bool IsMarked(const LandedFile& file) {
    const absl::StatusOr<LandedFile> mark = Stat(file.name + kDoneMark);
    if (!mark.ok()) return false;
    if (mark->modified_ns >= file.modified_ns) return true;
    LOG_EVERY_N(WARNING, 100) << "the file " << file.name << " is newer than its mark, and waits for another one";
    return false;
  }

  static fs::path Absolute(const fs::path& path) {
    std::error_code error;
    return fs::weakly_canonical(path, error);
  }

  // Its folders are made. A name that another content has already gets the version.
  absl::StatusOr<std::string> TargetIn(const std::string& root, const std::string& name, const std::string& version) {
    fs::path to = fs::path(root) / name;
    std::error_code error;
    fs::create_directories(to.parent_path(), error);
    if (error) return Away("making " + to.parent_path().string(), error.value());
    if (fs::exists(to, error) && !SameContent(folder_ / name, to)) to = fs::path(root) / VersionedName(name, version);
    return to.string();
  }

  absl::Status Move(const LandedFile& file, const std::string& to) {
    const fs::path from = folder_ / file.name;
    if (rename(from.c_str(), to.c_str()) != 0) {
      if (errno == ENOENT) return RemoveMark(file.name);
      if (errno != EXDEV) return Away(absl::StrCat("moving ", from.string(), " to ", to), errno);
      TM_RETURN_IF_ERROR(Copy(file, from, to));
      return RemoveMark(file.name);
    }
    if (const absl::StatusOr<LandedFile> moved = StatOf(file.name, to); moved.ok() && !moved->IsSameAs(file)) {
      // Another one took its place in this very moment, and nobody has read that.
      TM_ASSIGN_OR_RETURN(const fs::path aside, TakeAside(to, from.parent_path(), from.filename().string()));
      PutBack(aside, from);
      return Replaced(from);
    }
    TM_RETURN_IF_ERROR(SyncFolder(fs::path(to).parent_path()));
    return RemoveMark(file.name);
  }

  static absl::Status Replaced(const fs::path& from) {
    return absl::UnavailableError(absl::StrCat(from.string(), " was replaced while it was moved away"));
  }

  // To another file system: whole under a name that nobody takes for the file, then renamed. The file goes once that is
  // for good, and only if it is the one that was copied: it gets a name first under which nothing can take its place.
  static absl::Status Copy(const LandedFile& file, const fs::path& from, const std::string& to) {
    const std::string part = to + ".part";
    std::error_code error;
    fs::copy_file(from, part, fs::copy_options::overwrite_existing, error);
    if (error) return Away(absl::StrCat("copying ", from.string(), " to ", part), error.value());
    const int copy = open(part.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = copy >= 0 && fsync(copy) == 0;
    const int failed = errno;
    if (copy >= 0) close(copy);
    if (!synced) return Away("syncing " + part, failed);
    const auto is_it = [&](const fs::path& path) {
      const absl::StatusOr<LandedFile> now = StatOf(file.name, path.string());
      return now.ok() && now->IsSameAs(file);
    };
    if (!is_it(from)) {
      fs::remove(part, error);
      return Replaced(from);
    }
    fs::rename(part, to, error);
    if (error) return Away(absl::StrCat("renaming ", part), error.value());
    TM_RETURN_IF_ERROR(SyncFolder(fs::path(to).parent_path()));
    TM_ASSIGN_OR_RETURN(const fs::path leaving, TakeAside(from, from.parent_path(), from.filename().string()));
    if (!is_it(leaving)) {
      PutBack(leaving, from);
      return Replaced(from);
    }
    fs::remove(leaving, error);
    return error ? Away(absl::StrCat("removing ", leaving.string()), error.value()) : absl::OkStatus();
  }

  // Where another file has landed under that name since, this one waits until that has gone: every look tries again.
  static void PutBack(const fs::path& aside, const fs::path& file) { (void)RenameToFree(aside, file); }

  // A mark whose file is gone, as after a crash between moving the two: the next file of its name isn't whole because
  // of it. Not a new one, whose file may just be coming.
  static void RemoveLeftMark(const fs::path& mark) {
    std::error_code ignored;
    const fs::path file = mark.parent_path() / mark.stem();
    if (fs::exists(file, ignored)) return;
    const auto written = fs::last_write_time(mark, ignored);
    if (!ignored && fs::file_time_type::clock::now() - written > std::chrono::minutes(1)) fs::remove(mark, ignored);
  }

  absl::Status RemoveMark(const std::string& name) {
    if (spec_.whole != FilesSpec::Whole::kDoneMark) return absl::OkStatus();
    std::error_code error;
    fs::remove((folder_ / name).string() + kDoneMark, error);
    return error ? Away("removing the mark of " + name, error.value()) : absl::OkStatus();
  }

  const FilesSpec spec_;
  const NamePattern pattern_;
  const fs::path folder_;
  std::vector<fs::path> others_;  // folders that files are moved or copied to
};

}  // namespace

std::unique_ptr<LandingZone> NewLandingZone(const FilesSpec& spec) {
  return spec.in_s3() ? NewObjectLandingZone(spec, NewS3Objects(spec.path)) : NewLocalLandingZone(spec);
}

std::unique_ptr<LandingZone> NewLocalLandingZone(const FilesSpec& spec) {
  return std::make_unique<LocalLandingZone>(spec);
}

}  // namespace tidemark
