// Values that the planner knows: of a column that a constant stands in, or the name of the topic that its source reads.
// A union of update steps tells its inputs apart by them (unions.h). Internal to src/plan and the checks of operators.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/expr/expression.h"
#include "src/plan/plan.h"

namespace tidemark {

struct LogicalStep;  // src/plan/logical.h

// The only values that a column ever has, as texts, two of which are equal where the values are; NULL is none of them.
// Nothing: any value.
using KnownValues = std::optional<std::set<std::string>>;

// The value that an expression has on every row. Nothing: it reads a column, may fail, is NULL, or is of a type of
// which equal values may have several texts (double, bytes, json).
std::optional<std::string> ConstantOf(const Expression& expression);

// By column of the rows that steps read: a source's own.
std::vector<KnownValues> KnownOf(const Plan& plan, const SourcePlan& source);
// The step has the columns of its only port where it changes nothing of them: what is known of these goes on with them,
// and so does the place of event time. What the step has said itself stays.
void CarryKnown(LogicalStep* step);

}  // namespace tidemark
