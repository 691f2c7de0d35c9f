// The plan of a topology as one of its generations runs it. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// `base` under the names of another application: its own groups, state, internal topics and views. The real targets.
Plan PlanOfApplication(const Plan& base, const ApplicationId& application);
// `base`, which is planned as generation 1, under the names of another: its own groups, state, internal topics and
// views. The real targets.
Plan PlanOfGeneration(const Plan& base, int32_t generation);

// Where all its sources begin: "earliest", or a time such as 2026-01-01T00:00:00Z; empty: as each says.
// InvalidArgument: it is neither.
absl::Status BeginAt(const std::string& from, Plan* plan);

// InvalidArgument: sources that can't be read twice, all of them, and why. Of targets ShadowPlan says it.
absl::Status CheckReplayable(const Plan& plan);
// Likewise for `next` in the place of `active`: topics that only it writes. Tables and folders simply get their names.
absl::Status CheckSwitchable(const Plan& active, const Plan& next);

}  // namespace tidemark
