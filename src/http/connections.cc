#include "src/http/connections.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

// One more is made room for by the oldest: who idles loses against who asks.
constexpr size_t kMostConnections = 256;
constexpr size_t kLongestHead = 16 << 10;
// From the first byte of a connection to its last.
constexpr int64_t kClientTimeoutUs = 5 * kSecond;
constexpr int64_t kLongestStopUs = kSecond;

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

}  // namespace

Connections::Connections(int listener, Answer answer)
    : listener_(listener),
      bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      answer_(std::move(answer)),
      thread_([this] { Run(); }) {}

Connections::~Connections() {
  stop_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t rung = write(bell_, &one, sizeof one);
  thread_.join();
  while (!connections_.empty()) Drop(connections_.begin());
  close(listener_);
  close(bell_);
}

void Connections::Run() {
  while (!stop_) Turn(NowUs(), /*stopping=*/false);
  const int64_t until = NowUs() + kLongestStopUs;
  while (NowUs() < until && Turn(NowUs(), /*stopping=*/true)) continue;
}

// Waits for whatever comes first and serves it. False: no response is under way.
bool Connections::Turn(int64_t now_us, bool stopping) {
  std::vector<pollfd> polled = {{bell_, POLLIN, 0}, {stopping ? -1 : listener_, POLLIN, 0}};
  int64_t wake_us = now_us + kSecond;
  bool writing = false;
  for (const Connection& connection : connections_) {
    const bool writes = connection.state == State::kWriting;
    writing |= writes;
    polled.push_back({connection.socket, static_cast<short>(writes ? POLLOUT : POLLIN), 0});
    wake_us = std::min(wake_us, connection.deadline_us);
  }
  if (stopping && !writing) return false;
  // A bell that has been rung stays so: it is rung once, to stop.
  if (stopping) polled[0].fd = -1;
  poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(wake_us - now_us, 0) / kMillisecond + 1));
  now_us = NowUs();
  size_t i = 2;
  for (auto it = connections_.begin(); it != connections_.end(); ++i) {
    const auto connection = it++;
    if (polled[i].revents != 0) Serve(*connection);
    if (connection->state == State::kGone || now_us >= connection->deadline_us) Drop(connection);
  }
  if (polled[1].revents != 0) Accept(now_us);
  return true;
}

void Connections::Accept(int64_t now_us) {
  while (true) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0 && (errno == EMFILE || errno == ENFILE) && !connections_.empty()) {
      Drop(connections_.begin());
      continue;
    }
    if (socket < 0) return;
    if (connections_.size() >= kMostConnections) Drop(connections_.begin());
    Connection& connection = connections_.emplace_back();
    connection.socket = socket;
    connection.deadline_us = now_us + kClientTimeoutUs;
    Serve(connection);  // its request has most often come with it
    if (connection.state == State::kGone) Drop(std::prev(connections_.end()));
  }
}

void Connections::Serve(Connection& connection) {
  if (connection.state != State::kWriting) Read(connection);
  if (connection.state == State::kWriting) Write(connection);
}

void Connections::Read(Connection& connection) {
  char bytes[4096];
  while (true) {
    const ssize_t got = recv(connection.socket, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
      connection.state = State::kGone;
      return;
    }
    if (connection.state == State::kDraining) continue;
    connection.in.append(bytes, static_cast<size_t>(got));
    const size_t end = connection.in.find("\r\n\r\n");
    if (end != std::string::npos) {
      connection.out = answer_(connection.in.substr(0, end + 4));
      connection.state = State::kWriting;
      return;
    }
    if (connection.in.size() > kLongestHead) {
      connection.state = State::kGone;
      return;
    }
  }
}

void Connections::Write(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t sent = send(connection.socket, connection.out.data() + connection.sent,
                              connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (sent < 0) {
      connection.state = State::kGone;
      return;
    }
    connection.sent += static_cast<size_t>(sent);
  }
  shutdown(connection.socket, SHUT_WR);
  connection.state = State::kDraining;
}

void Connections::Drop(std::list<Connection>::iterator connection) {
  close(connection->socket);
  connections_.erase(connection);
}

}  // namespace tidemark
