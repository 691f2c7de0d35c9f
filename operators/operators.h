// All operators that a step of a topology can have. A new one is a room of its own under operators/, with a spec.h, and
// a line in operators.cc.
#pragma once

#include "src/plan/planner.h"

namespace tidemark {

// For PlanFromYaml; in the order in which messages name them.
const OperatorList& Operators();

}  // namespace tidemark
