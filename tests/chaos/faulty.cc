// A library for LD_PRELOAD that fails a process's calls on files below one folder: a disk that is full, gone, read-only
// or broken, without a file system of its own. tests/e2e/lib/faulty.py says, while the process runs, which calls fail,
// how, how many, and whether before or after they have done their work.
//
//   FAULTY_ROOT     the folder
//   FAULTY_CONTROL  a file of 64 bytes and more that both map: struct Control below
//
// Calls made inside libc (fopen) aren't seen.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include <dlfcn.h>

namespace {

// The kinds of calls, as bits.
enum Kind : uint32_t {
  kOpen = 1,  // to write
  kWrite = 2,
  kSync = 4,  // of files and of folders
  kRename = 8,
  kUnlink = 16,
  kMkdir = 32,
  kRead = 64,  // opening to read, listing, looking whether it is there
};

struct Control {
  uint32_t kinds;             // of the calls that fail; 0: none
  int32_t error;              // errno
  uint32_t after;             // 1: the call does its work, then says that it failed
  std::atomic<int32_t> left;  // so many more fail; negative: all
  std::atomic<uint32_t> hits;
  char part[108];  // only where the path has this in it
};

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

using Open = int(const char*, int, ...);

class Faults {
 public:
  Faults() {
    const char* root = std::getenv("FAULTY_ROOT");
    const char* path = std::getenv("FAULTY_CONTROL");
    if (root == nullptr || path == nullptr) return;
    root_ = root;
    const int file = Next<Open>("open")(path, O_RDWR | O_CLOEXEC);
    if (file < 0) std::abort();
    void* const mapped = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) std::abort();
    control_ = static_cast<Control*>(mapped);
  }

  bool Armed(Kind kind) const {
    return control_ != nullptr && (static_cast<volatile uint32_t&>(control_->kinds) & kind) != 0;
  }

  bool Fails(Kind kind, const char* path) {
    if (!Armed(kind) || path == nullptr || std::strncmp(path, root_.c_str(), root_.size()) != 0) return false;
    if (control_->part[0] != '\0' && std::strstr(path, control_->part) == nullptr) return false;
    const int32_t left = control_->left.load();
    if (left == 0 || (left > 0 && control_->left.fetch_sub(1) <= 0)) return false;
    ++control_->hits;
    return true;
  }

  bool Fails(Kind kind, int file) {
    if (!Armed(kind)) return false;
    char path[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(file);
    const ssize_t length = readlink(link.c_str(), path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = '\0';
    return Fails(kind, path);
  }

  // What a call that was chosen to fail gives back: its work is done before, or not at all.
  template <typename Call>
  auto Failed(const Call& call) {
    const int error = control_->error;
    if (control_->after != 0) (void)call();
    errno = error;
    return decltype(call()){-1};
  }

 private:
  std::string root_;
  Control* control_ = nullptr;
};

// Never destroyed: threads may still write while the process ends.
Faults& TheFaults() {
  static Faults* const faults = new Faults;
  return *faults;
}

template <typename What, typename Call>
auto Try(Kind kind, What what, const Call& call) {
  return TheFaults().Fails(kind, what) ? TheFaults().Failed(call) : call();
}

int OpenOrFail(const char* name, const char* path, int flags, mode_t mode) {
  const Kind kind = (flags & O_ACCMODE) == O_RDONLY ? kRead : kOpen;
  return Try(kind, path, [&] { return Next<Open>(name)(path, flags, mode); });
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenOrFail("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenOrFail("open64", path, flags, mode);
}

ssize_t write(int file, const void* data, size_t size) {
  static const auto next = Next<ssize_t(int, const void*, size_t)>("write");
  return Try(kWrite, file, [&] { return next(file, data, size); });
}

int fsync(int file) {
  return Try(kSync, file, [&] { return Next<int(int)>("fsync")(file); });
}

int fdatasync(int file) {
  return Try(kSync, file, [&] { return Next<int(int)>("fdatasync")(file); });
}

int rename(const char* from, const char* to) noexcept {
  return Try(kRename, to, [&] { return Next<int(const char*, const char*)>("rename")(from, to); });
}

int link(const char* from, const char* to) noexcept {
  return Try(kRename, to, [&] { return Next<int(const char*, const char*)>("link")(from, to); });
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
  return Try(kRename, reinterpret_cast<const char*>(a[3]), call);
}

int unlink(const char* path) noexcept {
  return Try(kUnlink, path, [&] { return Next<int(const char*)>("unlink")(path); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  return Try(kMkdir, path, [&] { return Next<int(const char*, mode_t)>("mkdir")(path, mode); });
}

int lstat(const char* path, struct stat* info) noexcept {
  return Try(kRead, path, [&] { return Next<int(const char*, struct stat*)>("lstat")(path, info); });
}

DIR* opendir(const char* path) {
  const auto next = Next<DIR*(const char*)>("opendir");
  if (!TheFaults().Fails(kRead, path)) return next(path);
  TheFaults().Failed([] { return 0; });
  return nullptr;
}

}  // extern "C"
