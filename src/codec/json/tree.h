// A small JSON document as a tree: schemas and what registries answer, not records. Read by the strict scanner of
// src/base/json_text.h, so that numbers keep every digit. Plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/value_text.h"

namespace tidemark {

struct JsonTree {
  using Kind = ScalarText::Kind;

  Kind kind = Kind::kNull;
  std::string text;                                       // a string without quotes and escapes, a number as written
  std::vector<std::pair<std::string, JsonTree>> members;  // of an object, in order
  std::vector<JsonTree> items;                            // of an array

  // The member of that name, of several the last one; null: there is none, or this is no object.
  const JsonTree* Find(std::string_view name) const;
  // Its text where it is a string, else "".
  std::string_view Text(std::string_view name) const;
  bool is(Kind k) const { return kind == k; }
};

// InvalidArgument: it isn't JSON, says where.
absl::StatusOr<JsonTree> ParseJson(std::string_view text);

// As JSON again.
std::string ToJson(const JsonTree& tree);

}  // namespace tidemark
