#include "src/http/server.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <glog/logging.h>
#include <httplib.h>

namespace tidemark {
namespace {

constexpr char kDefaultHost[] = "127.0.0.1";
constexpr int kDefaultPort = 9464;
constexpr size_t kThreads = 4;
// Bounds how long a silent client can hold a thread, and with it the destructor.
constexpr time_t kClientTimeoutS = 2;

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

class HttpLibServer final : public HttpServer {
 public:
  explicit HttpLibServer(HttpHandlers handlers) : handlers_(std::move(handlers)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_socket_options(ExclusivePort);
    // A connection that is kept alive would keep the destructor waiting for its time-out.
    server_.set_keep_alive_max_count(1);
    server_.set_keep_alive_timeout(kClientTimeoutS);
    server_.set_read_timeout(kClientTimeoutS);
    server_.set_write_timeout(kClientTimeoutS);
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, &response);
      return httplib::Server::HandlerResponse::Handled;
    });
  }

  ~HttpLibServer() override {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  // True where the address could be bound; errno says why not (0: the host has no address).
  bool Bind(const std::string& host, int port) {
    errno = 0;
    if (port == 0) {
      port = server_.bind_to_any_port(host);
      if (port <= 0) return false;
    } else if (!server_.bind_to_port(host, port)) {
      return false;
    }
    address_ = ToString(host, port);
    return true;
  }

  void Serve() {
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // A stop before the loop runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
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
  httplib::Server server_;
  std::string address_;
  std::thread thread_;
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
      return absl::InvalidArgumentError(absl::StrCat("HTTP address '", address, "' ", why, "; give another one with "
                                                     "--http_address, or port 0 for a free one"));
    }
  }
  server->Serve();
  return server;
}

}  // namespace tidemark
