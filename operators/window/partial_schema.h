// The rows between the two phases of an aggregation: what the partial phase writes and the final phase reads.
//
//   group_by columns, as in the rows aggregated
//   __partial_window_start   timestamp (absent for all-time aggregates). Where hopping windows share panes (panes.h)
//   the
//                            start of the last window that takes the rows; it may be null then, so that versions which
//                            take it for that of the only one don't read it
//   __partial_windows        int32, how many take them (absent elsewhere); null: one, as earlier versions wrote them
//   __partial_rows           int64, rows behind this partial: those added less those taken back
//   __partial_taken          int64, those taken back (absent where rows stand)
//   for aggregate i:
//     count(*), count(x)     __partial_i_count   int64
//     sum                    __partial_i_sum     decimal(38,0) over integers, decimal(38,s), double; null: no value yet
//                            __partial_i_lost    of doubles: what rounding took from the sum, or why it isn't finite
//     avg                    the same, __partial_i_count
//     min, max, bool_and, bool_or  __partial_i_value   null: no value yet
//     min_by, max_by         __partial_i_value   bytes (operators/window/arguments.h)
//     first, last            __partial_i_value, __partial_i_time, __partial_i_source, __partial_i_partition,
//                            __partial_i_offset  the row's order; time is null: no row yet
//
// Variance, stddev, count(distinct), mode, string_agg, array_agg, approx_count_distinct and approx_percentile, and
// where rows are taken back every aggregate but count, have one column instead,
// __partial_i_change: bytes, what its accumulator saves (operators/window/accumulator.h). Counts, sums and numbers of
// values may be negative there: what a commit takes back may have been added by an earlier one.
//
// Of an aggregate that counts from now on any of them may be null: a partial that was sent before has none, and is that
// of no rows. It is read so for as long as there may be such partials, also where the topology doesn't say it any more.
//
// Users' columns never start with "__", so nothing clashes. The only hidden column of partials is kTime.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "operators/window/spec.h"
#include "src/base/schema.h"
#include "src/codec/row_codec.h"

namespace tidemark {

struct Aggregate;  // src/expr/expression.h

struct PartialLayout {
  Schema schema;
  std::optional<size_t> window_start;  // position; nothing for all-time aggregates
  std::optional<size_t> windows;       // position; nothing where windows share no panes
  size_t rows = 0;                     // position
  std::optional<size_t> taken;         // position; nothing where rows stand
  std::vector<size_t> aggregates;      // position of the first column of each aggregate
};

// Group columns stand at positions 0..group_by.size()-1. The spec's aggregates must compile against spec.rows, which
// the planner has made sure of.
PartialLayout MakePartialLayout(const WindowSpec& spec);
Schema PartialSchema(const WindowSpec& spec);

// The same from types already known, for who has compiled the aggregates anyway.
PartialLayout MakePartialLayout(const WindowSpec& spec, const std::vector<Aggregate>& aggregates);

// What makes keys of groups: of rows (single) or of partials (final).
RowCodec GroupCodec(const WindowSpec& spec, const PartialLayout& layout);

}  // namespace tidemark
