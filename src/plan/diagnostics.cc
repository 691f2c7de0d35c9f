#include "src/plan/diagnostics.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

// The byte of `text` at a position; text.size() beyond the end.
size_t ByteAt(std::string_view text, Position position) {
  size_t byte = 0;
  for (int line = 1; line < position.line; ++line) {
    const size_t newline = text.find('\n', byte);
    if (newline == std::string_view::npos) return text.size();
    byte = newline + 1;
  }
  return std::min(text.size(), byte + static_cast<size_t>(position.column - 1));
}

}  // namespace

Position Diagnostics::At(std::string_view path) const {
  while (true) {
    if (auto it = positions_.find(path); it != positions_.end()) return it->second;
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return Position{};
    path = path.substr(0, slash);
  }
}

void Diagnostics::Error(const std::string& path, std::string_view message) {
  broken_.push_back(path);
  errors_.push_back({At(path), std::string(message)});
}

void Diagnostics::ErrorInside(const std::string& path, std::string_view scalar, int byte, std::string_view message) {
  Position position = At(path);
  size_t start = ByteAt(text_, position);
  if (start < text_.size() && (text_[start] == '"' || text_[start] == '\'')) ++start, ++position.column;
  // Only where the file holds the scalar as it is: not across escapes, folded lines or substituted variables.
  if (byte >= 0 && std::string_view(text_).substr(start, scalar.size()) == scalar &&
      scalar.find('\n') == std::string_view::npos) {
    position.column += byte;
  } else {
    position = At(path);
  }
  broken_.push_back(path);
  errors_.push_back({position, std::string(message)});
}

void Diagnostics::ErrorAt(Position position, std::string_view message) {
  errors_.push_back({position, std::string(message)});
}

bool Diagnostics::Lost(const std::string& path) const {
  return std::find(broken_.begin(), broken_.end(), path) != broken_.end();
}

bool Diagnostics::Broken(const std::string& path) const {
  return std::any_of(broken_.begin(), broken_.end(), [&](const std::string& p) {
    return p.compare(0, path.size(), path) == 0 && (p.size() == path.size() || p[path.size()] == '/');
  });
}

absl::Status Diagnostics::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  std::vector<Entry> sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Entry& a, const Entry& b) { return a.position < b.position; });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string message;
  for (const Entry& e : sorted) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", file_, ":", e.position.line, ":", e.position.column, ": ",
                    e.message);
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace tidemark
