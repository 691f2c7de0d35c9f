// top over rows that stand (closed windows): collects the rows of every group and emits the best k once, in the order
// of their rank, when the watermark reaches the rows' event time, which says that the group is complete. Keeps at most
// k rows a group, in memory; in state only those that a commit finds still waiting. Groups are emitted in the order of
// time, then of their key. The output's watermark stays before the groups that wait.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/top/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRows(const Node& node, const TopSpec& spec);

}  // namespace tidemark
