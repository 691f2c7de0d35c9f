// What an accumulator gets of each row: one value. Mostly that of the argument as it is; where an aggregate looks at
// more than that, the value is made here, in the phase that has the rows:
//
//   min_by, max_by      packed: what is ordered by and the argument, as bytes whose order is that of the result, so
//   array_agg,          that the first of them, or the first so many, are what is looked for. Without ORDER BY,
//   string_agg by ...   array_agg's are ordered by their rows, as string_agg's texts are
//   approx_count_distinct   a hash of the argument, 64 bits, the same on every machine and in every version
//
// Part of the format of state and partials. Any thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "src/expr/expression.h"

namespace tidemark {

bool IsPacked(const Aggregate& aggregate);

// The type of what EvaluateArgument gives; of aggregates with an argument.
Type ArgumentType(const Aggregate& aggregate);

// One value a row, null where the row has none for the aggregate; null for count(*). Errors: ascending, at most one a
// row, as Expression::Evaluate has them.
absl::StatusOr<std::shared_ptr<arrow::Array>> EvaluateArgument(const Aggregate& aggregate,
                                                               const arrow::RecordBatch& rows,
                                                               std::vector<RowError>* errors);

// The argument's cell (RowCodec::Rows) of a packed value. Nothing but what EvaluateArgument made may be asked.
std::string_view ArgumentCell(std::string_view packed);

}  // namespace tidemark
