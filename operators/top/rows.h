// top over rows that stand (closed windows): collects the rows of every group and emits the best k once, in the order
// of their rank, when the watermark reaches the rows' event time, which says that the group is complete. Keeps at most
// k rows a group: in memory those of the commit under way, most of which are out before it ends; what a commit finds
// still waiting goes into rows by key (state/keyed_rows.h), which needn't fit in memory, and comes back when a row of
// the group arrives or its time has come. Groups are emitted in the order of time, then of their key. The output's
// watermark stays before the groups that wait.
//
// State: 'g': a row a group, its time and its rows; 'd': by (time, key) when it is over. 't' is what earlier versions
// wrote, and is read.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/top/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRows(const Node& node, const TopSpec& spec);

}  // namespace tidemark
