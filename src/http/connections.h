// The connections of an HTTP server, all on one thread, which waits for no client in particular: a connection costs
// something only when its request is whole. However many idle, half-open or slow ones there are, a probe is answered at
// once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>

namespace tidemark {

class Connections {
 public:
  // The bytes of a response to those of a request's head; a body is thrown away. Called on the loop's thread.
  using Answer = std::function<std::string(const std::string& head)>;

  // Accepts from `listener`, a bound socket that listens, and closes it in the end.
  Connections(int listener, Answer answer);
  ~Connections();  // a response under way is sent first, as far as its client takes it

  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

 private:
  //     kReading ---> kWriting ---> kDraining ---> gone
  // Drained is what a client sends beyond the head: to close before would take the response away from it.
  enum class State { kReading, kWriting, kDraining, kGone };
  struct Connection {
    int socket = -1;
    int64_t deadline_us = 0;  // monotonic
    State state = State::kReading;
    std::string in, out;
    size_t sent = 0;
  };

  void Run();
  bool Turn(int64_t now_us, bool stopping);
  void Accept(int64_t now_us);
  void Serve(Connection& connection);
  void Read(Connection& connection);
  void Write(Connection& connection);
  void Drop(std::list<Connection>::iterator connection);

  const int listener_, bell_;
  const Answer answer_;
  std::list<Connection> connections_;  // the oldest first; the loop's thread
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace tidemark
