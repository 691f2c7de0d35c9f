// Which intakes (src/runtime/intake.h) bring the rows of a plan's sources in. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

// One or several sources, whose outside is read as one: positions, group and transactions are the intake's, and each
// source has a topic of its own.
struct IntakePlan {
  std::string name;                        // the source's, or that of the replication slot that its sources share
  std::vector<const SourcePlan*> sources;  // by name; at least one
  int32_t splits = 1;
};

// The rows of one transaction of its database become visible together (`atomic: transactions`): its topic, of one
// partition, tells where each ends, and so its stage has one task.
bool KeepsTransactions(const SourcePlan& source);

// In the order of their names. They point into the plan.
std::vector<IntakePlan> IntakesOf(const Plan& plan);

}  // namespace tidemark
