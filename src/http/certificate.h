// The certificate that a TLS server shows and its key: two PEM files, read again when they change, so that a
// certificate is renewed without a restart. What is under way goes on as it began; who comes next sees the new one.
//
// Show is called by any thread; the other members before that.
#pragma once

#include <gnutls/abstract.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/base/clock.h"

namespace tidemark {

class Certificate {
 public:
  // PEM files: the certificate with those that it needs behind it, and its key.
  Certificate(std::string certificate, std::string key, Clock* clock)
      : certificate_path_(std::move(certificate)), key_path_(std::move(key)), clock_(clock) {}

  // InvalidArgument: one of the files can't be read or isn't what it should be, or they don't belong together.
  absl::Status Load();

  // What a handshake that begins now shows, as gnutls_certificate_retrieve_function2 gives it; valid for as long as a
  // handshake takes. Looks every second whether a file has changed; where they can't be read, or don't belong together,
  // as between two renames, what was there before is shown, and the log says so.
  void Show(gnutls_pcert_st** certificates, unsigned int* count, gnutls_privkey_t* key);

 private:
  struct Pair {
    Pair() = default;
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair();
    std::vector<gnutls_pcert_st> certificates;
    gnutls_privkey_t key = nullptr;
  };
  absl::Status LoadAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::unique_ptr<Pair>> Read() const;
  std::string Version() const;  // of the files: changes with them

  const std::string certificate_path_, key_path_;
  Clock* const clock_;
  absl::Mutex mutex_;
  std::string version_ ABSL_GUARDED_BY(mutex_);
  int64_t looked_us_ ABSL_GUARDED_BY(mutex_) = 0;  // monotonic
  std::unique_ptr<Pair> shown_ ABSL_GUARDED_BY(mutex_);
  // Handshakes may still have them; the oldest first, with when they were replaced.
  std::deque<std::pair<int64_t, std::unique_ptr<Pair>>> former_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
