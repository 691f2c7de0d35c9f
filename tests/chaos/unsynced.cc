// A library for LD_PRELOAD that keeps a journal of what a process does to files below one folder, so that a power
// failure can be played after kill -9: kill -9 alone loses nothing that was written, as the page cache outlives the
// process. tests/e2e/lib/power.py reads the journal, and takes away what was not synced.
//
//   UNSYNCED_ROOT     the folder that is watched
//   UNSYNCED_JOURNAL  the file that is appended to; beside it, in the folder <journal>.kept, hard links keep what a
//                     rename replaced and what was unlinked, as both can be undone by a crash too
//
// One line an operation, written by one write(), so that it is there or not:
//
//   W inode size          opened for writing, with so many bytes
//   C path                created            M path   folder made
//   R from to kept        renamed; what was at `to` lies at `kept` ("-": nothing)
//   U path kept           unlinked
//   S inode size          the file's first bytes, so many, are durable
//   D folder              the folder's entries are durable
//
// What is noted as durable was written before the sync began. Calls made inside libc (fopen) aren't seen: what they
// write counts as durable.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

using Open = int(const char*, int, ...);

class Journal {
 public:
  Journal() {
    const char* root = std::getenv("UNSYNCED_ROOT");
    const char* path = std::getenv("UNSYNCED_JOURNAL");
    if (root == nullptr || path == nullptr) return;
    root_ = std::string(root) + "/";
    kept_ = std::string(path) + ".kept";
    Next<int(const char*, mode_t)>("mkdir")(kept_.c_str(), 0777);
    file_ = Next<Open>("open")(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  }

  bool Watches(const char* path) const {
    return file_ >= 0 && path != nullptr && std::strncmp(path, root_.c_str(), root_.size()) == 0;
  }

  void Note(const std::string& line) {
    const int error = errno;
    const std::string whole = line + "\n";
    if (write(file_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) std::abort();
    errno = error;
  }

  // A second name for the file, so that its content stays; "-" where there is no such file.
  std::string Keep(const char* path) {
    const int error = errno;
    const std::string name = kept_ + "/" + std::to_string(getpid()) + "-" + std::to_string(++keeps_);
    const bool linked = link(path, name.c_str()) == 0;
    errno = error;
    return linked ? name : std::string(1, '-');
  }

 private:
  std::string root_, kept_;
  int file_ = -1;
  std::atomic<int> keeps_{0};
};

// Never destroyed: threads may still write while the process ends.
Journal& TheJournal() {
  static Journal* const journal = new Journal;
  return *journal;
}

bool Exists(const char* path) {
  struct stat info;
  return lstat(path, &info) == 0;
}

int OpenNoted(const char* name, const char* path, int flags, mode_t mode) {
  Open* const next = Next<Open>(name);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!writes || !TheJournal().Watches(path)) return next(path, flags, mode);
  const int error = errno;
  const bool existed = Exists(path);
  errno = error;
  const int file = next(path, flags, mode);
  struct stat info;
  if (file < 0 || fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) return file;
  if (!existed) TheJournal().Note(std::string("C ") + path);
  TheJournal().Note("W " + std::to_string(info.st_ino) + " " + std::to_string(info.st_size));
  return file;
}

int SyncNoted(const char* name, int file) {
  const auto next = Next<int(int)>(name);
  struct stat info;
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = readlink(link.c_str(), path, sizeof path - 1);
  if (length < 0 || fstat(file, &info) != 0) return next(file);
  path[length] = '\0';
  const std::string inside = std::string(path) + "/";  // the root itself is watched too
  if (!TheJournal().Watches(inside.c_str())) return next(file);
  const int result = next(file);
  if (result != 0) return result;
  if (S_ISDIR(info.st_mode)) {
    TheJournal().Note(std::string("D ") + path);
  } else {
    TheJournal().Note("S " + std::to_string(info.st_ino) + " " + std::to_string(info.st_size));
  }
  return result;
}

template <typename Call>
int RenameNoted(const char* from, const char* to, const Call& call) {
  if (!TheJournal().Watches(to)) return call();
  const std::string kept = TheJournal().Keep(to);
  const int result = call();
  if (result == 0) TheJournal().Note(std::string("R ") + from + " " + to + " " + kept);
  return result;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenNoted("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenNoted("open64", path, flags, mode);
}

int fsync(int file) { return SyncNoted("fsync", file); }
int fdatasync(int file) { return SyncNoted("fdatasync", file); }

int rename(const char* from, const char* to) noexcept {
  return RenameNoted(from, to, [&] { return Next<int(const char*, const char*)>("rename")(from, to); });
}

// renameat2 has no wrapper in older C libraries, and is called by its number.
long syscall(long number, ...) noexcept {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (long& argument : a) argument = va_arg(rest, long);
  va_end(rest);
  static const auto next = Next<long(long, ...)>("syscall");
  const auto call = [&] { return next(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number != SYS_renameat2) return call();
  return RenameNoted(reinterpret_cast<const char*>(a[1]), reinterpret_cast<const char*>(a[3]),
                     [&] { return static_cast<int>(call()); });
}

int unlink(const char* path) noexcept {
  const auto next = Next<int(const char*)>("unlink");
  if (!TheJournal().Watches(path)) return next(path);
  const std::string kept = TheJournal().Keep(path);
  const int result = next(path);
  if (result == 0) TheJournal().Note(std::string("U ") + path + " " + kept);
  return result;
}

int mkdir(const char* path, mode_t mode) noexcept {
  const int result = Next<int(const char*, mode_t)>("mkdir")(path, mode);
  if (result == 0 && TheJournal().Watches(path)) TheJournal().Note(std::string("M ") + path);
  return result;
}

}  // extern "C"
