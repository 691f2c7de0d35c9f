// Where a step's values come from: from which fields of which topics, through which expressions. Part of the identity
// of state (step_identity.h): two columns of one name and type may mean different things. Pure functions over a plan.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

// A node of a plan.
struct NodePlace {
  int stage = 0;
  int node = 0;
};

// What the step with state at this place keeps its state by and of: the columns of its keys, those it aggregates or
// orders by, and event time. One line a way from a source to the step, however many unions lie between:
// "route from prices value.route; at from prices value.at". Filters aren't part of it: they decide which rows come, not
// what they mean.
std::set<std::string> StepOrigins(const Plan& plan, NodePlace place);

// Which rows meet in one task of the step: "moved by [route]", "as they lie in prices".
std::string Meeting(const Plan& plan, NodePlace place);

}  // namespace tidemark
