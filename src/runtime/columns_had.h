// Which columns rows of an internal topic must have had from the beginning. Where a column is added, rows that were
// written without it have NULL there (src/codec/packed_schema.h), and so have those that a worker of the former file
// still writes. An aggregate that counts from now on, which was added with the column, would take that for a value and
// keep it; so such rows aren't given to it. A function over a plan.
#pragma once

#include <string>
#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

// Of the edge with this index, in the order of their names. None: whatever is lacking may be NULL.
std::vector<std::string> ColumnsHad(const Plan& plan, int edge);

}  // namespace tidemark
