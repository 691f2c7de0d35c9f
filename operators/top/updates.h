// top over rows that change (an update step): keeps every row of every group, because a row that is taken back lets the
// next one up, and emits at each commit what changed in the groups' first k, with exactly the rows emitted before. With
// a rank column a change is one of a (group, rank); without, one of an input row.
//
// Where the rows are, and the beginnings of the groups used lately: ranked_rows.h. What was emitted isn't stored: it
// follows from the rows as of the last commit.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/top/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeTopUpdates(const Node& node, const TopSpec& spec);

}  // namespace tidemark
