// The socket that an HTTP server listens on: where it is bound, and what to say where it can't be.
#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace tidemark {

struct Listener {
  int socket = -1;      // bound and listening, not blocking; the caller closes it
  std::string address;  // host:port it is bound to
};

// `address` is host:port (port 0: a free one); empty: 127.0.0.1:9464, or a free port where that is taken, with a
// warning. InvalidArgument: a given address is malformed or taken; the message says which and what to do.
absl::StatusOr<Listener> Listen(const std::string& address);

// Only this machine reaches it: "", 127.x.y.z, ::1 and localhost. False for what is malformed, too.
bool IsLoopback(const std::string& address);

}  // namespace tidemark
