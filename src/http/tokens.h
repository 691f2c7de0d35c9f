// Who may post and ask: bearer tokens, known by their SHA-256 alone, in a file that is read again when it changes.
//
//   # sha256 (hex)    name      is for               until, if it ends
//   <64 digits>       partner   surveys,returns
//   <64 digits>       analyst   view:top_items
//   <64 digits>       cameras   *                    2027-01-01T00:00:00Z
//   <64 digits>       on-call   worker:status,rows:*
//
// `*` is for all sources, `view:*` for all views: who may post everything may not read anything by that. Who has
// `worker:status` sees how the application runs (src/runtime/status_guard.h), who has `rows:NAME` rows of that source
// or step (src/runtime/node_gate.h), who has `worker:admin` gives dead letters back (src/runtime/letter_gate.h). A
// token is a random secret, so its plain hash can't be guessed; the file is no secret itself. Several tokens may have
// one name: that is how one is replaced by another. Every comparison looks at all entries, all bytes of each.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/base/clock.h"

namespace tidemark {

class Tokens {
 public:
  explicit Tokens(std::string path, Clock* clock) : path_(std::move(path)), clock_(clock) {}

  // Reads the file. InvalidArgument: it can't be read, or isn't what it should be, with its line.
  absl::Status Load();

  // The name of who has the token of an Authorization header, if it is for `scope`: a source that is posted to,
  // "view:NAME" or "worker:status". Unauthenticated: no token, one that isn't known, or one whose time is over.
  // PermissionDenied: known, but not for this. Looks every second whether the file has changed; where that can't be
  // read, what it said before still holds, and the log says so.
  absl::StatusOr<std::string> Check(std::string_view authorization, const std::string& scope);

 private:
  struct Entry {
    std::string hash;  // 32 bytes
    std::string name;
    std::vector<std::string> scopes;
    int64_t until_us = 0;  // wall clock; 0: it doesn't end
  };
  static absl::StatusOr<std::vector<Entry>> Parse(const std::string& text, const std::string& path);
  absl::Status LoadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Version() const;  // of the file: changes with it

  const std::string path_;
  Clock* const clock_;
  absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::string version_ ABSL_GUARDED_BY(mutex_);
  int64_t looked_us_ ABSL_GUARDED_BY(mutex_) = 0;  // monotonic
};

}  // namespace tidemark
