// Edits of one topology, and what becomes of each: which verdicts `plan` gives, and what the rows that come behind it
// mean. For edits_test.cc, which plays them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/runtime/verdict.h"

namespace tidemark::sim {

// As it is before each of them, in YAML.
extern const char kEditedTopology[];

using Kinds = std::map<std::string, Verdict::Kind>;  // by subject, of those that aren't unchanged
using Replacements = std::vector<std::pair<std::string, std::string>>;

// What a version of the file does with rows that come while it runs.
struct Meaning {
  int64_t limit = 100;     // of cents, from which on rows aren't summed
  bool once = true;        // each id counts once
  bool counts = true;      // there are sums
  bool lake_cents = true;  // and cents in the lake
  bool most = false;       // of a window also the most cents, and how many rows, that came while it was so
};

struct Edit {
  const char* what;
  Replacements now;
  Kinds kinds = {};
  Meaning meaning = {};
  Kinds waiting = {};        // more of them, where rows wait in feeds
  Kinds back = {};           // with the former file behind it
  Replacements before = {};  // of both versions
  AllowedDrops drops = {};
  AllowedDrops back_drops = {};
  Meaning first = {};  // of the former file, with `before`
};

std::vector<Edit> Edits();

}  // namespace tidemark::sim
