#include "src/http/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <glog/logging.h>
#include <httplib.h>

#include "src/http/connections.h"

namespace tidemark {
namespace {

constexpr char kDefaultHost[] = "127.0.0.1";
constexpr int kDefaultPort = 9464;
constexpr int kBacklog = 128;

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

// The library's own choice, SO_REUSEPORT, would let two workers share a port, each answering half of the requests.
// SO_REUSEADDR only allows to bind where connections of a former process linger.
void ExclusivePort(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

// A request that has been read, and the response as it is written.
class Exchange final : public httplib::Stream {
 public:
  explicit Exchange(const std::string& request) : request_(request) {}

  bool is_readable() const override { return read_ < request_.size(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    const size_t count = std::min(size, request_.size() - read_);
    std::memcpy(to, request_.data() + read_, count);
    read_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, size_t size) override {
    response_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

  std::string TakeResponse() { return std::move(response_); }

 private:
  const std::string& request_;
  size_t read_ = 0;
  std::string response_;
};

// The library binds, reads requests and writes responses. Its own loop gives each connection a thread until its client
// has spoken, so that a few idle ones keep it from answering; ours is in connections.h.
class HttpLibServer final : public HttpServer, private httplib::Server {
 public:
  explicit HttpLibServer(HttpHandlers handlers) : handlers_(std::move(handlers)) {
    set_socket_options(ExclusivePort);
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, &response);
      return httplib::Server::HandlerResponse::Handled;
    });
  }

  ~HttpLibServer() override {
    if (connections_ == nullptr && svr_sock_ != INVALID_SOCKET) ::close(svr_sock_);
  }

  // True where the address could be bound; errno says why not (0: the host has no address).
  bool Bind(const std::string& host, int port) {
    errno = 0;
    if (port == 0) {
      port = bind_to_any_port(host);
      if (port <= 0) return false;
    } else if (!bind_to_port(host, port)) {
      return false;
    }
    address_ = ToString(host, port);
    return true;
  }

  void Serve() {
    const int listener = svr_sock_;
    fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
    ::listen(listener, kBacklog);
    connections_ = std::make_unique<Connections>(listener, [this](const std::string& head) {
      Exchange exchange(head);
      bool closed = false;
      process_request(exchange, /*close_connection=*/true, closed, nullptr);
      return exchange.TakeResponse();
    });
  }

  const std::string& address() const override { return address_; }

 private:
  void Answer(const httplib::Request& request, httplib::Response* response) const {
    if (request.method != "GET" && request.method != "HEAD") {
      response->status = 405;
      response->set_header("Allow", "GET, HEAD");
      response->set_content("only GET is answered here\n", "text/plain; charset=utf-8");
      return;
    }
    const auto handler = handlers_.find(request.path);
    if (handler == handlers_.end()) {
      response->status = 404;
      std::string text = "not found; there is:";
      for (const auto& [path, unused] : handlers_) absl::StrAppend(&text, " ", path);
      response->set_content(text + "\n", "text/plain; charset=utf-8");
      return;
    }
    HttpResponse answer = handler->second();
    response->status = answer.status;
    response->set_content(std::move(answer.body), answer.content_type);
  }

  const HttpHandlers handlers_;
  std::string address_;
  std::unique_ptr<Connections> connections_;  // last: its thread calls all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, HttpHandlers handlers) {
  auto server = std::make_unique<HttpLibServer>(std::move(handlers));
  if (address.empty()) {
    if (!server->Bind(kDefaultHost, kDefaultPort)) {
      if (!server->Bind(kDefaultHost, 0)) {
        return absl::InternalError(
            absl::StrCat("HTTP: no port of ", kDefaultHost, " can be bound: ", std::strerror(errno)));
      }
      LOG(WARNING) << "HTTP address " << ToString(kDefaultHost, kDefaultPort) << " is taken; metrics are on "
                   << server->address() << " instead";
    }
  } else {
    const std::optional<HostPort> wanted = ParseAddress(address);
    if (!wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat("HTTP address '", address, "': expected host:port, such as 127.0.0.1:9464 or [::1]:9464"));
    }
    if (!server->Bind(wanted->host, wanted->port)) {
      const int error = errno;
      const std::string why = error == EADDRINUSE ? "is taken by another process"
                              : error == 0        ? "can't be bound: no such host"
                                                  : absl::StrCat("can't be bound: ", std::strerror(error));
      return absl::InvalidArgumentError(absl::StrCat("HTTP address '", address, "' ", why,
                                                     "; give another one with "
                                                     "--http_address, or port 0 for a free one"));
    }
  }
  server->Serve();
  return server;
}

}  // namespace tidemark
