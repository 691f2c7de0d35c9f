#include "src/http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <glog/logging.h>

namespace tidemark {
namespace {

constexpr char kDefaultHost[] = "127.0.0.1";
constexpr int kDefaultPort = 9464;
constexpr int kBacklog = 1024;

struct HostPort {
  std::string host;
  int port = 0;
};

// "host:port" or "[v6 address]:port".
std::optional<HostPort> ParseAddress(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return std::nullopt;
  HostPort parsed;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &parsed.port)) return std::nullopt;
  absl::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return std::nullopt;
  }
  if (host.empty() || parsed.port < 0 || parsed.port > 65535) return std::nullopt;
  parsed.host = std::string(host);
  return parsed;
}

std::string ToString(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

int PortOf(int socket) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof bound;
  getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
  char port[8] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&bound), size, nullptr, 0, port, sizeof port, NI_NUMERICSERV);
  int number = 0;
  return absl::SimpleAtoi(port, &number) ? number : 0;
}

// Nothing where the address can't be bound; errno says why not (0: the host has no address). A port is never shared:
// SO_REUSEADDR only allows to bind where connections of a former process linger.
std::optional<Listener> Bind(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) {
    errno = 0;
    return std::nullopt;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (socket < 0) {
      error = errno;
      continue;
    }
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(socket, at->ai_addr, at->ai_addrlen) == 0 && listen(socket, kBacklog) == 0) {
      return Listener{socket, ToString(host, PortOf(socket))};
    }
    error = errno;
    close(socket);
  }
  errno = error;
  return std::nullopt;
}

absl::StatusOr<Listener> ListenSomewhere() {
  if (const std::optional<Listener> listener = Bind(kDefaultHost, kDefaultPort)) return *listener;
  const std::optional<Listener> listener = Bind(kDefaultHost, 0);
  if (!listener) {
    return absl::InternalError(
        absl::StrCat("HTTP: no port of ", kDefaultHost, " can be bound: ", std::strerror(errno)));
  }
  LOG(WARNING) << "HTTP address " << ToString(kDefaultHost, kDefaultPort)
               << " is taken; metrics, and what is posted to, are on " << listener->address << " instead";
  return *listener;
}

}  // namespace

absl::StatusOr<Listener> Listen(const std::string& address) {
  if (address.empty()) return ListenSomewhere();
  const std::optional<HostPort> wanted = ParseAddress(address);
  if (!wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("HTTP address '", address, "': expected host:port, such as 127.0.0.1:9464 or [::1]:9464"));
  }
  if (const std::optional<Listener> listener = Bind(wanted->host, wanted->port)) return *listener;
  const int error = errno;
  const std::string why = error == EADDRINUSE ? "is taken by another process"
                          : error == 0        ? "can't be bound: no such host"
                                              : absl::StrCat("can't be bound: ", std::strerror(error));
  return absl::InvalidArgumentError(absl::StrCat("HTTP address '", address, "' ", why,
                                                 "; give another one with --http_address, or port 0 for a free one"));
}

bool IsLoopback(const std::string& address) {
  if (address.empty()) return true;
  const std::optional<HostPort> parsed = ParseAddress(address);
  if (!parsed) return false;
  in_addr ip4 = {};
  const bool loopback4 = inet_pton(AF_INET, parsed->host.c_str(), &ip4) == 1 && ntohl(ip4.s_addr) >> 24 == 127;
  return loopback4 || parsed->host == "::1" || parsed->host == "localhost";
}

}  // namespace tidemark
