// What `tidemark plan` prints: a change of a topology (src/runtime/topology_change.h), for people and for programs.
// Functions without state; any thread.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/runtime/topology_change.h"

namespace tidemark {

// `format`: text or json. InvalidArgument: another one.
absl::StatusOr<std::string> PlanReport(const Plan& plan, const TopologyChange& change, const std::string& format);

// 0 nothing is lost, 3 something needs a decision, 2 a mistake, 1 something couldn't be looked at.
int PlanExitCode(const TopologyChange& change);

}  // namespace tidemark
