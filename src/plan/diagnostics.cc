#include "src/plan/diagnostics.h"

#include <algorithm>
#include <utility>

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

int Diagnostics::AddFile(std::string_view file, std::string_view text) {
  files_.push_back({std::string(file), std::string(text)});
  return static_cast<int>(files_.size()) - 1;
}

int Diagnostics::AddNote(std::string_view text, int outer) {
  notes_.push_back(outer < 0 ? std::string(text)
                             : absl::StrCat(std::string(text), ", ", notes_[static_cast<size_t>(outer)]));
  return static_cast<int>(notes_.size()) - 1;
}

std::string Diagnostics::Place(Position position) const {
  const std::string note = position.note < 0 ? "" : absl::StrCat(", ", notes_[static_cast<size_t>(position.note)]);
  return absl::StrCat(files_[static_cast<size_t>(position.file)].name, ":", position.line, ":", position.column, note);
}

std::string Diagnostics::PlaceSeenFrom(Position position, Position from) const {
  if (position.file == from.file && position.note < 0) return absl::StrCat("line ", position.line);
  return Place(position);
}

std::string Diagnostics::Elsewhere(const std::string& path, const std::string& from) const {
  const Position there = At(path);
  return there.file == At(from).file && there.note < 0 ? "" : ", at " + Place(there);
}

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

void Diagnostics::Away(const std::string& path, std::string_view message) {
  Error(path, message);
  ++away_;
  SetIncomplete();
}

void Diagnostics::ErrorInside(const std::string& path, std::string_view scalar, int byte, std::string_view message) {
  Position position = At(path);
  const std::string& text = files_[static_cast<size_t>(position.file)].text;
  size_t start = ByteAt(text, position);
  if (start < text.size() && (text[start] == '"' || text[start] == '\'')) ++start, ++position.column;
  // Only where the file holds the scalar as it is: not across escapes, folded lines or substituted variables.
  if (byte >= 0 && std::string_view(text).substr(start, scalar.size()) == scalar &&
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
  // Of one place in the order in which they were found; of one message there, all its uses together.
  std::map<std::pair<Position, std::string>, size_t> found;
  const auto place = [](const Entry& e) {
    Position position = e.position;
    position.note = -1;
    return position;
  };
  for (size_t i = 0; i < sorted.size(); ++i) found.emplace(std::pair(place(sorted[i]), sorted[i].message), i);
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Entry& a, const Entry& b) {
    const Position of_a = place(a), of_b = place(b);
    if (of_a != of_b) return of_a < of_b;
    const size_t first_a = found.at({of_a, a.message}), first_b = found.at({of_b, b.message});
    return first_a != first_b ? first_a < first_b : a.position.note < b.position.note;
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string message;
  for (size_t i = 0; i < sorted.size();) {
    Position at = sorted[i].position;
    size_t same = 1;  // of other uses of the same line
    for (; i + same < sorted.size(); ++same) {
      Entry other = sorted[i + same];
      other.position.note = at.note;
      if (other != sorted[i]) break;
    }
    const int note = std::exchange(at.note, -1);
    absl::StrAppend(&message, message.empty() ? "" : "\n", Place(at), ": ", sorted[i].message);
    if (note >= 0) {
      absl::StrAppend(&message, " (", notes_[static_cast<size_t>(note)],
                      same > 1 ? absl::StrCat(", and ", same - 1, same > 2 ? " other uses" : " other use") : "", ")");
    }
    i += same;
  }
  return away_ == errors_.size() ? absl::UnavailableError(message) : absl::InvalidArgumentError(message);
}

}  // namespace tidemark
