// A worker's HTTP server: metrics and health checks by GET, bodies by POST, questions by either, on one port and a
// thread of its own.
//
// The thread waits for nobody. However many clients idle or are slow, the others are answered at once: a connection
// costs something only when it says something, and a body has to come within a time that its size allows. Where there
// are too many connections the one that has been idle for longest goes, then the one whose body has been on its way for
// longest; bodies never take all of them, so that a probe is answered whatever is posted, and answers that go on have
// places of their own among theirs, so that who follows never keeps all others from posting and asking. Whoever answers
// a POST may do so later, from any thread; the connection waits without holding anything up. An answer has to be taken
// within a time that its size allows, and large answers that are being taken have a bound together. TLS handshakes have
// threads of their own (handshakes.h).
//
// libmicrohttpd does the protocol: keep-alive, pipelining, chunked bodies, TLS.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "src/http/message.h"

namespace tidemark {

// Who answers GET, by path. Called from the server's thread, one at a time, and must not wait for others.
using HttpHandlers = std::map<std::string, std::function<HttpResponse()>>;

// Who takes bodies, or questions that are answered later. Called from the server's thread, and must not wait for
// others.
struct HttpEntrance {
  int64_t max_body_bytes = 0;  // as they come over the wire; more is answered with 413
  // Of the head alone: an answer refuses the request, and its body is thrown away.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> begin;
  std::function<void(HttpRequest request, HttpReply reply)> take;
  // What the server itself says of a request that it doesn't hand on: too large (413), too many (429), a stop (503); or
  // that was handed on and isn't answered when the server stops (504), then without a head. The server adds when to
  // come again.
  std::function<HttpResponse(const HttpRequest* head, int status, const std::string& why)> refuse;
  std::string method = "POST";  // or GET: without a body
  bool large_answers = false;   // it is told 429 while too many answers are still being taken
  bool streams = false;         // its answers go on: it takes places of those of streams, and 429 where none is left
  bool listed = true;           // a 404 names it, to anybody
};
using HttpEntrances = std::map<std::string, HttpEntrance>;

struct HttpServerOptions {
  std::string address;  // as Listen takes it (listener.h)
  // PEM files, read again when they change (certificate.h); with them all that is spoken is TLS. Both or none.
  std::string certificate, key;
  int64_t most_body_bytes = int64_t{256} << 20;  // of all bodies that are read or wait for their answers
  // A socket that listens at `address` already, as another server's: each takes connections that come, and when one
  // ends the other goes on, so that nobody is refused. It is duplicated. -1: none.
  int listener = -1;
  int64_t handshake_us = 10'000'000;  // that a TLS handshake may take, from its first byte on
  // For tests: called before each step of a TLS handshake, on its thread.
  std::function<void()> before_handshake;
};

class HttpServer {
 public:
  // Stops: requests that are whole are answered first, as far as those who answer do so within a second; bodies that
  // are still on their way aren't waited for. Replies that come later go nowhere, and do no harm.
  virtual ~HttpServer() = default;

  // Binds and serves. InvalidArgument: an address or a certificate that can't be used; the message says which and what
  // to do.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, HttpHandlers handlers,
                                                           HttpEntrances entrances = {});

  // host:port it is bound to.
  virtual const std::string& address() const = 0;
  // The socket that it listens on, which stays its own.
  virtual int listener() const = 0;
};

}  // namespace tidemark
