// An aggregation by sessions: rows in, results out. What a session is, which rows are late and why results depend on
// offsets alone stand in open_sessions.h.
//
// emit: on_close   a session is emitted once the watermark reaches its end + grace, in the order of ends, then of keys.
// emit: on_update  a commit emits what has become of each group whose sessions changed in it, by (group, window_start):
//                  a session that has become longer behind replaces itself; one whose start has moved, or that is part
//                  of another now, is deleted as it was emitted. A session that is over leaves the state silently.
//
// The output's watermark stays before the results (time window_end - 1 ms) of every session that is, or may yet be,
// open, and before those that may still be taken back.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/window/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeSessionResults(const Node& node, const WindowSpec& spec);

}  // namespace tidemark
