// What an HTTP server hands to those who answer, and takes from them. Plain values.
#pragma once

#include <functional>
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

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
};

// Answers a request. Called once, by any thread.
using HttpReply = std::function<void(HttpResponse)>;

}  // namespace tidemark
