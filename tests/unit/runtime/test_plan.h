// A topology's text as the plan that the runtime gets, with the operators and formats that the binary has. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/codec/formats.h"
#include "src/plan/plan.h"
#include "src/plan/planner.h"

namespace tidemark {

// Fails the test, with an empty plan, where it has mistakes.
inline Plan TestPlan(const std::string& yaml) {
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "t.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(plan.ok()) << plan.status() << yaml;
  return plan.ok() ? *std::move(plan) : Plan();
}

}  // namespace tidemark
