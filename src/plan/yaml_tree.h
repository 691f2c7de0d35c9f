// A YAML file as a tree of values, each with its place. All that is known of yaml-cpp ends behind ReadYaml: what comes
// after (includes, templates, merge keys in compose.h; the reader of fields in yaml_reader.h) works on these trees.
//
// Nodes are immutable once built and shared: an alias is another pointer to what its anchor names, so that a file of
// many aliases takes no more memory than its text. How much the nodes of a file stand for together is bounded here, of
// all files with what their templates make by the composer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/diagnostics.h"

namespace tidemark {

struct YamlNode;
using YamlPtr = std::shared_ptr<const YamlNode>;

// A key and its value in a mapping.
struct YamlEntry {
  std::string key;
  Position at;
  bool merge = false;  // the key is a bare <<
  YamlPtr value;

  // Where errors of the entry belong: a scalar has a place of its own, what is larger begins at its name.
  Position place() const;
};

struct YamlNode {
  enum class Kind { kNothing, kScalar, kList, kMapping };

  Kind kind = Kind::kNothing;
  Position at;
  std::string text;                // kScalar
  std::vector<YamlPtr> items;      // kList
  std::vector<YamlEntry> entries;  // kMapping; no key stands twice
  int64_t values = 1;              // it and all within it, aliases followed
  int depth = 1;
  bool merges = false;  // there is a merge key within it

  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMapping() const { return kind == Kind::kMapping; }
  const YamlEntry* Find(std::string_view key) const;

  void Add(YamlPtr item);
  void Add(YamlEntry entry);
};

// Values that a topology may have, aliases and uses of templates followed; a text that templates make counts as one for
// every so many bytes.
inline constexpr int64_t kMostValues = 300'000;
inline constexpr size_t kBytesOfAValue = 256;

// "x-...": a field that is passed over wherever fields stand.
bool IsExtension(std::string_view key);

// "a mapping", "a list", "nothing" or the text in quotes.
std::string What(const YamlNode& node);

// The file of this number in `diagnostics`. Null where it can't be read, which is reported.
YamlPtr ReadYaml(int file, std::string_view text, Diagnostics* diagnostics);

}  // namespace tidemark
