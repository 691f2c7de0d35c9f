// PostgreSQL's regular expressions in RE2's words. Used by regex.cc, when an expression is compiled.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "src/expr/regex.h"

namespace tidemark::internal {

struct TranslatedRegex {
  std::string pattern;
  Regex::Flags flags;         // with those that stand in the pattern itself, (?i)
  int groups = 0;             // that capture
  bool greedy = false;        // some quantifier wants much
  bool lazy = false;          // some quantifier wants little
  bool alternatives = false;  // some |
  bool lazy_group = false;    // a quantifier that wants little behind a group
};

absl::StatusOr<TranslatedRegex> TranslateRegex(std::string_view pattern, Regex::Flags flags);

}  // namespace tidemark::internal
