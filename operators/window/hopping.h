// The phase of an aggregation over hopping windows that has results, where windows share panes (panes.h): over rows
// (single) or over partials after a shuffle (final). A row is added to one group, as in a tumbling window of the length
// of the hop, whatever the length of the windows; a window that closes is the sum of its panes' groups (pane_totals.h,
// pane_reader.h).
//
// Windows are emitted as others are that close (results.h): once the watermark reaches window_end + grace, in the order
// of their end, groups in the order of their key, perhaps over many commits. A pane leaves the state with the last
// window that it is part of.
//
// State: the groups of panes by their number, as state.h and cold_groups.h have those of windows. Key 'h': the start of
// the first window that isn't told yet (8 bytes, in the order of time), and where some of it is told, the last key of
// that; what is longer than a value may be goes on under 'h' and the part's number (2 bytes, big-endian, from 1). What
// is added up besides is derived, and made anew where it is lost, in another order then: sums and averages are kept in
// numbers for which that is the same (InputRows::kShared).
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/window/spec.h"

namespace tidemark {

// Of a spec for which panes::Shared holds.
absl::StatusOr<std::unique_ptr<Operator>> MakeHoppingResults(const Node& node, const WindowSpec& spec);

}  // namespace tidemark
