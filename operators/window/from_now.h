// What aggregates that count from now on (AggregateItem::from_now) read of a step's input.
#pragma once

#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

struct ReadFromNow {
  // By position in the input, ascending. NULL in one of these is as good a value as any: rows in which it stands only
  // because they were written without the column would be counted as if they had said so.
  std::vector<size_t> values;
  // NULL in these is passed over, so rows without the column count as little as those of before.
  std::vector<size_t> passed_over;
};

// Of an operator of any kind. Nothing of the final phase of an aggregation: where partials lack an aggregate, they are
// partials of no rows.
ReadFromNow ColumnsFromNow(const Node& node);

}  // namespace tidemark
