// top over rows that stand, with emit: on_update: the list as it is, from row to row. Keeps at most k rows a group,
// since nothing ever takes one back, and emits at each commit what changed, by (group, rank), with exactly the rows
// emitted before.
//
// The rows stand in memory and, by a log (state_log.h), in state. What was emitted isn't stored: it is the rows as of
// the last commit. Where memory is short, groups that no row has come for in a while leave it, into sorted runs
// (state/keyed_runs.h), and come back with a row of theirs; that one's list in the runs is void until it leaves again.
//
// State: 'n': the log of rows; 'c': runs, a list by key of the group.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/top/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeTopRunning(const Node& node, const TopSpec& spec);

}  // namespace tidemark
