// The connections of an HTTP server, so that one that comes always finds a place: who idles loses against who asks. A
// part of server.cc, touched by the server's thread only.
#pragma once

#include <microhttpd.h>

#include <cstddef>
#include <cstdint>
#include <list>

namespace tidemark {

class Connections {
 public:
  //   kIdle --a head has come--> kBusy --the body is whole--> kWaits --there is an answer--> kBusy --sent--> kIdle
  //
  // Who follows a stream stays kWaits, as nothing is wrong with who hears nothing; one that doesn't take what there is
  // is cut off by the library's own time-out.
  // kIdle is also who is in the middle of a head or of a TLS handshake, kBusy whose body or answer is on its way:
  // nobody who means it stays so for long. Who waits for whoever answers has done what he could.
  enum class State { kIdle, kBusy, kWaits };

  explicit Connections(size_t most) : most_(most) {}

  // One has come, for which another one may have to go; or one is closed. `context` is the library's place for what
  // belongs to it.
  void Notice(MHD_Connection* connection, void** context, bool closed);
  void SetState(MHD_Connection* connection, State state);
  // Monotonic: the answer has to be taken by then. 0: none is under way.
  static void AnswerIsDue(MHD_Connection* connection, int64_t due_us);
  // Who takes an answer byte by byte holds its memory. Looked for when somebody asks: else nobody misses it.
  void ShutSlow();

 private:
  struct Client {
    MHD_Connection* connection = nullptr;  // null: it is being closed
    State state = State::kIdle;
    int64_t answer_due_us = 0;
  };

  void MakeRoom();
  static void Shut(Client* client);
  // Null: the connection is gone.
  static std::list<Client>::iterator* PlaceOf(MHD_Connection* connection);

  const size_t most_;
  std::list<Client> clients_;  // those whose state changed last at its end
  int64_t looked_us_ = 0;      // monotonic; for answers that aren't taken
};

}  // namespace tidemark
