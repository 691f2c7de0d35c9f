#include "src/http/handshakes.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/time.h"
#include "src/http/later_answers.h"

namespace tidemark {
namespace {

// Of the cores a half, and no more than this: handshakes are the least of what a worker has to do.
constexpr unsigned int kMostThreads = 4;

// Of TLS 1.2 and before: only the client's end is left, which costs nothing; once that is there, this is false again.
// Newer ones have no such message.
bool KeysAreAgreedUpon(gnutls_session_t session) {
  return gnutls_handshake_get_last_in(session) == GNUTLS_HANDSHAKE_CLIENT_KEY_EXCHANGE;
}

bool IsToBeCalledAgain(int result) { return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED; }

}  // namespace

absl::Status Handshakes::Start() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event = {};
  event.events = EPOLLIN;
  if (epoll_ < 0 || stop_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("HTTP: TLS can't be served: ", std::strerror(errno)));
  }
  const unsigned int threads = std::clamp(std::thread::hardware_concurrency() / 2, 1u, kMostThreads);
  for (unsigned int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  return absl::OkStatus();
}

Handshakes::~Handshakes() {
  Stop();
  for (const int file : {epoll_, stop_}) {
    if (file >= 0) close(file);
  }
}

void Handshakes::Notice(MHD_Connection* connection, bool closed) {
  if (closed) {
    all_.erase(connection);
    return;
  }
  auto handshake = std::make_unique<Handshake>();
  handshake->of = this;
  handshake->connection = connection;
  handshake->session = static_cast<gnutls_session_t>(
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session);
  handshake->socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  // What is sent goes to the socket, as the library has it.
  gnutls_transport_set_ptr2(handshake->session, handshake.get(),
                            reinterpret_cast<gnutls_transport_ptr_t>(static_cast<intptr_t>(handshake->socket)));
  gnutls_transport_set_pull_function(handshake->session, &Handshakes::Pull);
  gnutls_transport_set_pull_timeout_function(handshake->session, &Handshakes::PullTimeout);
  all_[connection] = std::move(handshake);
}

ssize_t Handshakes::Pull(gnutls_transport_ptr_t handshake, void* to, size_t most) {
  Handshake& own = *static_cast<Handshake*>(handshake);
  using Stage = Handshake::Stage;
  if (own.stage == Stage::kFailed) return 0;
  int error = EAGAIN;
  if (own.at_work ? !KeysAreAgreedUpon(own.session) : own.stage != Stage::kKeys) {
    const ssize_t got = recv(own.socket, to, most, 0);
    if (got >= 0) return got;
    error = errno;
  }
  if (!own.at_work && error == EAGAIN) {
    if (own.stage == Stage::kFinish && !KeysAreAgreedUpon(own.session)) own.stage = Stage::kDone;
    if (own.stage != Stage::kDone) own.of->Hold(&own);
  }
  gnutls_transport_set_errno(own.session, error);
  return -1;
}

int Handshakes::PullTimeout(gnutls_transport_ptr_t handshake, unsigned int ms) {
  pollfd socket = {static_cast<Handshake*>(handshake)->socket, POLLIN, 0};
  return poll(&socket, 1, static_cast<int>(ms));
}

// GnuTLS is still at it when this is called, so it isn't the threads' yet.
void Handshakes::Hold(Handshake* handshake) {
  MHD_suspend_connection(handshake->connection);
  held_.push_back(handshake);
}

void Handshakes::HandOn() {
  if (held_.empty()) return;
  const int64_t now = SystemClock()->MonotonicUs();
  std::vector<Handshake*> lost;
  {
    const absl::MutexLock lock(&mutex_);
    for (Handshake* const each : held_) {
      if (each->due_us == 0) each->due_us = now + most_us_;
      if (stopped_ || !Watch(each, EPOLL_CTL_ADD)) {
        lost.push_back(each);  // what is handed on is failed by Stop; this isn't
        continue;
      }
      // A thread that is told of it already waits for the lock before it gives it back.
      handed_on_.insert(each);
      due_.emplace(each->due_us, each);
    }
  }
  held_.clear();
  for (Handshake* const each : lost) Fail(each, 0);
}

// Once: whoever is told of it has it alone.
bool Handshakes::Watch(Handshake* handshake, int how) const {
  epoll_event event = {};
  const bool sends =
      handshake->stage == Handshake::Stage::kKeys && gnutls_record_get_direction(handshake->session) == 1;
  event.events = (sends ? EPOLLOUT : EPOLLIN) | EPOLLRDHUP | EPOLLONESHOT;
  event.data.ptr = handshake;
  return epoll_ctl(epoll_, how, handshake->socket, &event) == 0;
}

void Handshakes::Work() {
  sigset_t broken_pipes;
  sigemptyset(&broken_pipes);
  sigaddset(&broken_pipes, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipes, nullptr);
  const int look_every_ms = static_cast<int>(most_us_ / 10'000);  // for those that are overdue
  while (true) {
    epoll_event event = {};
    const int found = epoll_wait(epoll_, &event, 1, look_every_ms);
    {
      const absl::MutexLock lock(&mutex_);
      if (stopped_) return;
      ShutOverdue();
    }
    if (found == 1) GoOn(static_cast<Handshake*>(event.data.ptr), event.events);
  }
}

// Which is noticed as the client's leaving is, by one of the threads.
void Handshakes::ShutOverdue() {
  const int64_t now = SystemClock()->MonotonicUs();
  while (!due_.empty() && due_.begin()->first <= now) {
    shutdown(due_.begin()->second->socket, SHUT_RDWR);
    due_.erase(due_.begin());
  }
}

void Handshakes::GoOn(Handshake* handshake, uint32_t events) {
  // Who hangs up before he has heard anything gets no signature. Others may say all that they have to, and then so.
  const bool heard_nothing = static_cast<int>(gnutls_handshake_get_last_out(handshake->session)) < 0;
  const bool hung_up = (events & (EPOLLERR | EPOLLHUP)) != 0 || ((events & EPOLLRDHUP) != 0 && heard_nothing);
  if (hung_up || SystemClock()->MonotonicUs() >= handshake->due_us) return Fail(handshake, 0);
  if (handshake->stage == Handshake::Stage::kKeys) {
    if (before_) before_();
    handshake->at_work = true;
    const int result = gnutls_handshake(handshake->session);
    handshake->at_work = false;
    if (result != GNUTLS_E_SUCCESS && !IsToBeCalledAgain(result)) return Fail(handshake, result);
    if (result != GNUTLS_E_SUCCESS && !KeysAreAgreedUpon(handshake->session)) {
      if (!Watch(handshake, EPOLL_CTL_MOD)) Fail(handshake, 0);
      return;
    }
    handshake->stage = result == GNUTLS_E_SUCCESS ? Handshake::Stage::kDone : Handshake::Stage::kFinish;
  }
  Return(handshake);
}

// `error`: what GnuTLS says, which the client is told. 0: there is nothing to tell.
void Handshakes::Fail(Handshake* handshake, int error) {
  if (error != 0) gnutls_alert_send_appropriate(handshake->session, error);
  handshake->stage = Handshake::Stage::kFailed;
  shutdown(handshake->socket, SHUT_RDWR);
  Return(handshake);
}

void Handshakes::Return(Handshake* handshake) {
  {
    const absl::MutexLock lock(&mutex_);
    handed_on_.erase(handshake);
    due_.erase({handshake->due_us, handshake});
  }
  epoll_ctl(epoll_, EPOLL_CTL_DEL, handshake->socket, nullptr);
  Resume(handshake->connection, wake_);
}

void Handshakes::Stop() {
  {
    const absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  if (stop_ >= 0) eventfd_write(stop_, 1);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::set<Handshake*> left;
  {
    const absl::MutexLock lock(&mutex_);
    left = handed_on_;
  }
  for (Handshake* const each : left) Fail(each, 0);
}

int Handshakes::Show(gnutls_session_t session, const gnutls_datum_t*, int, const gnutls_pk_algorithm_t*, int,
                     gnutls_pcert_st** certificates, unsigned int* count, gnutls_privkey_t* key) {
  gnutls_transport_ptr_t handshake = nullptr, unused = nullptr;
  gnutls_transport_get_ptr2(session, &handshake, &unused);
  static_cast<Handshake*>(handshake)->of->certificate_->Show(certificates, count, key);
  return 0;
}

}  // namespace tidemark
