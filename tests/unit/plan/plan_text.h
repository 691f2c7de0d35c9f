// Topologies for the planner's tests: a small one to vary, and what the planner says about a text.
#pragma once

#include <map>
#include <string>

#include <absl/status/statusor.h>

#include "operators/custom/custom_operator.h"
#include "operators/dedup/spec.h"
#include "operators/join/spec.h"
#include "operators/operators.h"
#include "operators/rows/spec.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"
#include "src/base/whole_file.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"

namespace tidemark {

// Plans `yaml` as "t.yaml", with these environment variables and no others.
absl::StatusOr<Plan> PlanOf(const std::string& yaml, const std::map<std::string, std::string>& env = {},
                            TopologyText* read = nullptr);

// The error message for `yaml`; "" where it is a plan.
std::string ErrorsOf(const std::string& yaml, const std::map<std::string, std::string>& env = {});

// Files by path; the topology's own is "t.yaml".
using TestFiles = std::map<std::string, std::string>;

// Plans "t.yaml" and what it includes of `files`, without environment variables.
absl::StatusOr<Plan> PlanOfFiles(const TestFiles& files, TopologyText* read = nullptr);
std::string ErrorsOfFiles(const TestFiles& files);

// A topology with source `clicks` (guid int64, url string null, price double, ms timestamp_ms; event time ms), table
// `users` (guid int64 -> town string), and the steps and sinks given, the steps from line 20 on. A sink
// on `sunk`, if that isn't empty, so that the step counts as read.
std::string Clicks(const std::string& steps, const std::string& sunk = "", const std::string& more_sinks = "");

// Registers the operator "sessions" (by one int64 column; gap, a duration, required; least, a whole number), once.
void RegisterTestOperators();

// The node of that step and kind in any stage; fails the test where there is none.
const Node& NodeOf(const Plan& plan, const std::string& step, Node::Kind kind = Node::Kind::kOperator);

template <typename Spec>
const Spec& SpecOf(const Plan& plan, const std::string& step) {
  return NodeOf(plan, step).spec.As<Spec>();
}

}  // namespace tidemark
