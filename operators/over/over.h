// The operator `over` (operators/over/spec.h): one row out for each row in, with aggregates of its key's rows before
// it.
//
// Rows wait (operators/waiting_rows.h) until the watermark less the grace has passed their time: then all that have
// that time or an earlier one are here, but for those that are late. They are taken in the order of (time, source,
// partition, offset), of rows without such an order and of one record by their columns, and so what a row sees is a
// function of offsets alone, whatever came when. A row is late iff its time + grace < its own watermark; or, of a
// partition that comes back from idle, if rows of its time have gone out.
//
// What is kept of a key (operators/over/history.h) are the columns that aggregates read, of the rows that a row to come
// may see. Accumulators (operators/window/accumulator.h) are of rows that change: a row that leaves the frame is taken
// back, exactly, so a row costs what comes and what goes, and not what the frame holds. They are in memory only, made
// of the rows that are kept.
//
// State keys: "t": times and counts; "q": the rows that wait; "h": history.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/over/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeOver(const Node& node, const OverSpec& spec);

}  // namespace tidemark
