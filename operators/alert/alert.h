// Alerts as rows: raised when a condition on the rows of a key holds for long enough, or when nothing is heard of a
// key; then reminded of, and cleared. docs/operators.md says what happens when.
//
// The rows are a function of the topics' offsets alone. Which rows are readings is decided by each row's own watermark,
// as in windows. A reading waits (readings.h) until the operator's watermark less the grace, the clock, has passed its
// time: no other one of that time or before can come then. Readings and what is due of their keys (watches.h) are then
// gone through in the order of time, at one time readings first and then what is due: an order of all of them that
// neither batches nor commits nor the steps in which the watermark moves have a part in. What goes out is written to
// state with the same commit as what was said, so a crash repeats or loses nothing.
//
// An alert row carries the time at which it is due, which is never before the clock has been there: the output's
// watermark is the clock, or what comes next where a full commit stops on the way.
//
// Neither readings nor keys need fit in memory. A thousand readings at a time are taken with their keys, and what is
// due before the next one; a commit ends where what it deals with has become much.
//
// State key 't': the clock and the output's watermark, 8 bytes each. The others: readings.h, watches.h.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/alert/spec.h"
#include "operators/operator.h"

namespace tidemark {

// InvalidArgument where a condition doesn't compile.
absl::StatusOr<std::unique_ptr<Operator>> MakeAlert(const Node& node, const AlertSpec& spec);

}  // namespace tidemark
