// The errors of one topology: collected while its files are read and checked, reported together. Everything is named by
// its path in the topology ("steps/unique/dedup/within"); positions of paths are kept beside, so that the checks never
// see YAML, nor which of the files says something.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace tidemark {

// A place in one of the files, in the order in which they are reported.
struct Position {
  int file = 0;  // of Diagnostics; 0 is the topology's own
  int line = 1;  // this and the column are 1-based
  int column = 1;
  int note = -1;  // Diagnostics::AddNote; -1: what stands here means what it says

  friend auto operator<=>(const Position&, const Position&) = default;
};

class Diagnostics {
 public:
  // The topology's own file.
  Diagnostics(std::string_view file, std::string_view text) { AddFile(file, text); }

  // A further file that the topology consists of; its number in positions.
  int AddFile(std::string_view file, std::string_view text);
  // How what stands somewhere came into the topology, for the end of its errors; `outer`: another note that goes on.
  int AddNote(std::string_view text, int outer = -1);
  // "file:line:column", and its note.
  std::string Place(Position position) const;
  // The same for a message at `from`: "line 3" where it is in the same file and was written there.
  std::string PlaceSeenFrom(Position position, Position from) const;
  // ", at FILE:LINE:COLUMN" where what stands at `path` comes from another file than that at `from`, or from a
  // template; else "".
  std::string Elsewhere(const std::string& path, const std::string& from) const;

  void SetPosition(const std::string& path, Position position) { positions_[path] = position; }
  // Of the path, or of the nearest enclosing one that is known.
  Position At(std::string_view path) const;
  // True where the file has something at this path.
  bool Present(const std::string& path) const { return positions_.contains(path); }

  // An error in what stands at `path`: whatever depends on it should not be checked further, see Broken.
  void Error(const std::string& path, std::string_view message);
  // What stands at `path` can't be checked now, as somebody is away who would have to be asked: later it may be right.
  // SetIncomplete.
  void Away(const std::string& path, std::string_view message);
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
  size_t count() const { return errors_.size(); }
  // An error was reported at or below this path, or SetBroken.
  bool Broken(const std::string& path) const;

  // OK, or InvalidArgument (Unavailable where nothing is wrong but that somebody is away): one line an error,
  // "file:line:column: message (note)", in the order of the files. What is wrong in a template is said once, however
  // often it is used.
  absl::Status ToStatus() const;

 private:
  struct Entry {
    Position position;
    std::string message;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  struct File {
    std::string name, text;
  };

  std::vector<File> files_;
  std::vector<std::string> notes_;
  std::map<std::string, Position, std::less<>> positions_;
  std::vector<Entry> errors_;
  std::vector<std::string> broken_;
  bool incomplete_ = false;
  size_t away_ = 0;  // errors of Away
};

}  // namespace tidemark
