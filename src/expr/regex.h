// Regular expressions: PostgreSQL's syntax (its advanced regular expressions), matched by RE2 in time linear in the
// text. A pattern is translated, never handed on: what RE2 would take to mean something else, or can't do at all, is
// refused by name. Matches are PostgreSQL's: the leftmost, and of those the longest, or the shortest where all
// quantifiers ask for that. Compiled once, when the topology is read; immutable, any thread may match with it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace tidemark::internal {

class Regex {
 public:
  struct Flags {
    bool ignore_case = false;  // i
    bool newline = false;      // n, m: . and [^...] don't match a line's end, ^ and $ match at lines
    bool global = false;       // g: of regexp_replace, not of the pattern
  };
  // The letters of a flags argument; InvalidArgument where one isn't known.
  static absl::StatusOr<Flags> ParseFlags(std::string_view letters);

  static constexpr int kMostGroups = 30;
  // The whole match, and the part that each group took; data() is null where a group took no part.
  using Spans = std::array<std::string_view, kMostGroups + 1>;

  // With `extents` it matters where a match ends, not only whether there is one.
  static absl::StatusOr<std::shared_ptr<const Regex>> Compile(std::string_view pattern, Flags flags, bool extents);
  ~Regex();

  int groups() const { return groups_; }
  bool Matches(std::string_view text) const;
  // The first match that begins at byte `from` of the text or behind; its first `wanted` spans.
  bool Find(std::string_view text, size_t from, int wanted, Spans* spans) const;

 private:
  struct Program;
  Regex();

  std::unique_ptr<const Program> program_;
  int groups_ = 0;
};

}  // namespace tidemark::internal
