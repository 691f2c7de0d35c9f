// The phase of an aggregation that has results: over rows (single) or over partials after a shuffle (final). Groups
// live in memory; what changed in a commit is written to logs of the window (state.h), from which the next Open
// rebuilds them. Where memory is short those that haven't changed for long leave it (cold_groups.h).
//
// emit: on_close   a window is emitted once the watermark reaches window_end + grace, windows in the order of their
//                  end, groups in the order of their key; with its groups it leaves the state.
// emit: on_update  a commit emits every group that changed in it, with the row it replaces: at its end, or when the
//                  window is over, which then leaves the state silently.
//
// emit: every_record  each row that comes in emits its group at once, in the order of the rows, with the result before
//                  it, whether that differs or not; nothing more at the commit.
//
// Where rows of the input are taken back, a group of which none is left at a commit leaves memory and state, with a
// delete of what was emitted of it; it has no result when its window closes. FailedPrecondition where more is taken
// back than was there.
//
// A window that is over stays over, also where a topology with more grace goes on with its state.
//
// The output's watermark stays before the results (time window_end - 1 ms) of every window that is, or may yet be,
// open.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/window/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeWindowResults(const Node& node, const WindowSpec& spec);

}  // namespace tidemark
