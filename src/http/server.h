// A small HTTP server for metrics and health checks: GET only, plain text, a thread of its own. However many clients
// idle or are slow, the others are answered at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

namespace tidemark {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Handlers are called from the server's thread, one at a time, and must not wait for others.
using HttpHandlers = std::map<std::string, std::function<HttpResponse()>>;

class HttpServer {
 public:
  virtual ~HttpServer() = default;  // stops; a request under way is finished

  // Binds and serves. `address` is host:port (port 0: a free one); empty: 127.0.0.1:9464, or a free port where that is
  // taken, with a warning. InvalidArgument: a given address is malformed or taken; the message says which and what to
  // do.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, HttpHandlers handlers);

  // host:port it is bound to.
  virtual const std::string& address() const = 0;
};

}  // namespace tidemark
