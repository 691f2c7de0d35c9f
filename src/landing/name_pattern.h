// Names with '*' (anything within a name), '?' (one character of it) and '**' (any folders): which files below a folder
// are meant. Plain values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace tidemark {

// A path as the user states it, cut where the first pattern begins: "landing/**/*.csv" is the folder "landing" and the
// pattern "**/*.csv" of names below it. Without a pattern all of the folder is meant, and what lies below it.
struct NamePattern {
  std::string folder;
  std::string names;

  static NamePattern Parse(std::string_view path);
};

// `name`: with '/' between folders.
bool MatchesNames(std::string_view names, std::string_view name);

// "a/rates.csv.gz" of the version 1f3c is "a/rates~1f3c.csv.gz".
std::string VersionedName(const std::string& name, const std::string& version);

}  // namespace tidemark
