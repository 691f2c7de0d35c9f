// From the syntax tree to the typed tree: names resolved against a schema, types checked, conversions inserted.
#pragma once

#include <absl/status/statusor.h>

#include "src/expr/bound.h"
#include "src/expr/parse.h"

namespace tidemark::internal {

absl::StatusOr<BoundPtr> Bind(const Node& node, const Schema& input);

// True for count, sum, min, max, avg, first and last.
bool IsAggregateName(std::string_view name);

}  // namespace tidemark::internal
