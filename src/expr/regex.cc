#include "src/expr/regex.h"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/expr/regex_syntax.h"

// Hidden, inline functions too: libarrow_compute exports another version of this library under the same names.
#pragma GCC visibility push(hidden)
#include <re2/re2.h>
#pragma GCC visibility pop

namespace tidemark::internal {

struct __attribute__((visibility("hidden"))) Regex::Program {
  Program(const std::string& pattern, const RE2::Options& options) : re(pattern, options) {}
  RE2 re;
};

namespace {

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Regex::Regex() = default;
Regex::~Regex() = default;

absl::StatusOr<std::shared_ptr<const Regex>> Regex::Compile(std::string_view pattern, Flags flags, bool extents) {
  TM_ASSIGN_OR_RETURN(TranslatedRegex translated, TranslateRegex(pattern, flags));
  // PostgreSQL takes the shortest whole match, RE2 the least of each quantifier in turn. Where every quantifier is of
  // one character and nothing is an alternative these are the same: a part that ends earlier never makes a later one
  // end later.
  if (extents && translated.lazy && (translated.greedy || translated.alternatives || translated.lazy_group)) {
    return absl::InvalidArgumentError(
        "a regular expression that mixes *?, +? or ?? with *, +, ?, | or has one behind a group isn't supported where "
        "it matters what it matches");
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(!translated.flags.newline);
  options.set_case_sensitive(!translated.flags.ignore_case);
  options.set_longest_match(!translated.lazy);
  auto program = std::make_unique<const Program>(translated.pattern, options);
  if (!program->re.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("invalid regular expression: ", program->re.error()));
  }
  std::shared_ptr<Regex> regex(new Regex());
  regex->program_ = std::move(program);
  regex->groups_ = translated.groups;
  return regex;
}

bool Regex::Matches(std::string_view text) const {
  return program_->re.Match(Piece(text), 0, text.size(), RE2::UNANCHORED, nullptr, 0);
}

bool Regex::Find(std::string_view text, size_t from, int wanted, Spans* spans) const {
  std::array<re2::StringPiece, kMostGroups + 1> found;
  if (!program_->re.Match(Piece(text), from, text.size(), RE2::UNANCHORED, found.data(), wanted)) return false;
  for (size_t i = 0; i < static_cast<size_t>(wanted); ++i) (*spans)[i] = {found[i].data(), found[i].size()};
  return true;
}

}  // namespace tidemark::internal
