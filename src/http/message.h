// What an HTTP server hands to those who answer, and takes from them. Plain values.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/match.h>

namespace tidemark {

struct HttpRequest {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query, headers;
  std::string body;

  // Of a header, whatever its case; "" where there is none.
  std::string_view Header(absl::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (absl::EqualsIgnoreCase(key, name)) return value;
    }
    return "";
  }
};

// A body that goes on for as long as somebody takes it. Called from the server's thread, but for what `wake` says.
class HttpStream {
 public:
  virtual ~HttpStream() = default;

  // Before the first Next: `wake` makes the server ask again where Next had nothing. Any thread may call it, at any
  // time.
  virtual void Begin(std::function<void()> wake) = 0;
  // Appends what comes next, at most so many bytes; nothing for now where it appends nothing. False: that was all.
  virtual bool Next(size_t at_most, std::string* out) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
  std::shared_ptr<HttpStream> stream = nullptr;              // not null: the body, in place of `body`
};

// Answers a request. Called once, by any thread.
using HttpReply = std::function<void(HttpResponse)>;

}  // namespace tidemark
