#include "src/http/connections.h"

#include <sys/socket.h>

#include <iterator>

#include "src/base/clock.h"
#include "src/base/time.h"

namespace tidemark {

void Connections::Notice(MHD_Connection* connection, void** context, bool closed) {
  auto** const place = reinterpret_cast<std::list<Client>::iterator**>(context);
  if (closed) {
    if (*place == nullptr) return;
    clients_.erase(**place);
    delete *place;
    *place = nullptr;
    return;
  }
  if (clients_.size() >= most_) MakeRoom();
  clients_.push_back({connection, State::kIdle});
  *place = new std::list<Client>::iterator(std::prev(clients_.end()));
}

// Who is shut down is noticed by the library, and closed.
void Connections::MakeRoom() {
  for (const State state : {State::kIdle, State::kBusy}) {
    for (Client& client : clients_) {
      if (client.state != state || client.connection == nullptr) continue;
      Shut(&client);
      return;
    }
  }
}

void Connections::Shut(Client* client) {
  const MHD_ConnectionInfo* const info = MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info != nullptr) shutdown(info->connect_fd, SHUT_RDWR);
  client->connection = nullptr;
}

void Connections::ShutSlow() {
  const int64_t now = SystemClock()->MonotonicUs();
  if (now - looked_us_ < kSecond) return;
  looked_us_ = now;
  for (Client& client : clients_) {
    if (client.connection != nullptr && client.answer_due_us > 0 && now > client.answer_due_us) Shut(&client);
  }
}

std::list<Connections::Client>::iterator* Connections::PlaceOf(MHD_Connection* connection) {
  const MHD_ConnectionInfo* const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  if (info == nullptr || info->socket_context == nullptr) return nullptr;
  return static_cast<std::list<Client>::iterator*>(info->socket_context);
}

void Connections::SetState(MHD_Connection* connection, State state) {
  const auto* const place = PlaceOf(connection);
  if (place == nullptr) return;
  (*place)->state = state;
  clients_.splice(clients_.end(), clients_, *place);
}

void Connections::AnswerIsDue(MHD_Connection* connection, int64_t due_us) {
  if (auto* const place = PlaceOf(connection)) (*place)->answer_due_us = due_us;
}

}  // namespace tidemark
