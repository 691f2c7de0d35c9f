// The errors of one topology file: collected while it is read and checked, reported together. Everything is named by
// its path in the file ("steps/unique/dedup/within"); positions of paths are kept beside, so that the checks never see
// YAML.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace tidemark {

// A place in the file; both 1-based.
struct Position {
  int line = 1;
  int column = 1;

  friend auto operator<=>(const Position&, const Position&) = default;
};

class Diagnostics {
 public:
  Diagnostics(std::string_view file, std::string_view text) : file_(file), text_(text) {}

  void SetPosition(const std::string& path, Position position) { positions_[path] = position; }
  // Of the path, or of the nearest enclosing one that is known.
  Position At(std::string_view path) const;
  // True where the file has something at this path.
  bool Present(const std::string& path) const { return positions_.contains(path); }

  // An error in what stands at `path`: whatever depends on it should not be checked further, see Broken.
  void Error(const std::string& path, std::string_view message);
  // An error at a byte of the text of the scalar at `path`, which reads `scalar`.
  void ErrorInside(const std::string& path, std::string_view scalar, int byte, std::string_view message);
  // An error that leaves everything around it usable, e.g. an unknown field.
  void ErrorAt(Position position, std::string_view message);

  // Something reported elsewhere leaves this unusable.
  void SetBroken(const std::string& path) { broken_.push_back(path); }

  // The value at this very path was reported as unreadable: what isn't in it may have been written all the same.
  bool Lost(const std::string& path) const;

  // Some value isn't known, so that only what has been reported by now means anything: checks would go by what isn't
  // there.
  void SetIncomplete() { incomplete_ = true; }
  bool incomplete() const { return incomplete_; }

  bool ok() const { return errors_.empty(); }
  // An error was reported at or below this path, or SetBroken.
  bool Broken(const std::string& path) const;

  // OK, or InvalidArgument: one line an error, "file:line:column: message", in the order of the file.
  absl::Status ToStatus() const;

 private:
  struct Entry {
    Position position;
    std::string message;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  std::string file_;
  std::string text_;
  std::map<std::string, Position, std::less<>> positions_;
  std::vector<Entry> errors_;
  std::vector<std::string> broken_;
  bool incomplete_ = false;
};

}  // namespace tidemark
