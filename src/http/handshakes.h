// TLS handshakes away from the server's thread. What they cost, a signature by the certificate's key above all, and the
// waiting for clients that begin one and don't go on, is with a few threads of their own; so it is bounded by their
// number, whatever comes, and who is connected doesn't notice. Each handshake has a deadline from its first byte on. A
// part of server.cc.
//
// Sessions are the library's, which calls gnutls_handshake itself until that succeeds. So the hand-over is where GnuTLS
// asks for bytes: on the server's thread it is told that there are none yet, and the connection is suspended. It
// belongs to either side, never to both:
//
//   server's  --asked for bytes--> held --the library's run is over--> the threads' --resumed--> server's
//
// The threads carry a handshake of TLS 1.3 through, as the library's next call succeeds at once. A call for one of TLS
// 1.2 that is through would begin another: there they stop behind the client's key, the last that costs anything, and
// the server's thread reads what the client ends with. While that isn't there the connection is with the threads again:
// a library that is told so early would ask in a loop (0.9.75 does by epoll, for as long as a handshake takes).
#pragma once

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/http/certificate.h"

namespace tidemark {

class Handshakes {
 public:
  // `certificate` outlives it. `wake` as Resume takes it (later_answers.h). `most_us`: that a handshake may take, from
  // its first byte on. `before` is called before each step of one, on its thread: for tests.
  Handshakes(Certificate* certificate, int wake, int64_t most_us, std::function<void()> before = nullptr)
      : certificate_(certificate), wake_(wake), most_us_(most_us), before_(std::move(before)) {}
  // Behind the library's end.
  ~Handshakes();

  absl::Status Start();

  // ---- The server's thread, or whoever ends the library.

  // One has come, before anything is read of it; or one is closed.
  void Notice(MHD_Connection* connection, bool closed);
  // Behind each run of the library: gives the threads what was held in it.
  void HandOn();

  // ---- Any thread.

  // Ends the threads; what they have fails, and so does whatever is handed on later.
  void Stop();

  // What the library is given as its MHD_OPTION_HTTPS_CERT_CALLBACK.
  static int Show(gnutls_session_t session, const gnutls_datum_t*, int, const gnutls_pk_algorithm_t*, int,
                  gnutls_pcert_st** certificates, unsigned int* count, gnutls_privkey_t* key);

 private:
  // Of a connection; touched by the side that has it.
  struct Handshake {
    enum class Stage {
      kKeys,    // until the keys are agreed upon: the threads'
      kFinish,  // of TLS 1.2 what the client ends with: read by the server's thread, waited for by the others
      kDone,
      kFailed,  // the library reads the end of the stream, and closes
    };
    Handshakes* of = nullptr;
    MHD_Connection* connection = nullptr;
    gnutls_session_t session = nullptr;
    int socket = -1;
    Stage stage = Stage::kKeys;
    bool at_work = false;  // one of the threads is in gnutls_handshake
    int64_t due_us = 0;    // monotonic; 0: nothing has come yet
  };

  static ssize_t Pull(gnutls_transport_ptr_t handshake, void* to, size_t most);
  static int PullTimeout(gnutls_transport_ptr_t handshake, unsigned int ms);
  void Hold(Handshake* handshake);
  void Work();
  void GoOn(Handshake* handshake, uint32_t events);
  bool Watch(Handshake* handshake, int how) const;  // false: it can't be
  void Fail(Handshake* handshake, int error);
  void Return(Handshake* handshake);
  void ShutOverdue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Certificate* const certificate_;
  const int wake_;
  const int64_t most_us_;
  const std::function<void()> before_;
  int epoll_ = -1, stop_ = -1;  // what is waited for; that it is over
  std::vector<std::thread> threads_;

  // The server's thread.
  std::unordered_map<MHD_Connection*, std::unique_ptr<Handshake>> all_;
  std::vector<Handshake*> held_;

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<Handshake*> handed_on_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<int64_t, Handshake*>> due_ ABSL_GUARDED_BY(mutex_);  // of them those that aren't overdue yet
};

}  // namespace tidemark
