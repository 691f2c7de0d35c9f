// `tidemark generations`: what there is, runs over the past as well, how far each is, and giving one up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/generations_log.h"

namespace tidemark {

using PlanOfRecord = std::function<absl::StatusOr<Plan>(const generations::Generation&)>;

// For people. `pause` lies between two looks at the one that is being built, so that its pace is known.
absl::StatusOr<std::string> GenerationsReport(const std::string& application, KafkaClient& kafka,
                                              const PlanOfRecord& plan_of, const std::function<void()>& pause);

// Deletes the internal topics of a generation that isn't active, and its record; the answer names what is left to its
// owner. InvalidArgument: there is none, or it is active. FailedPrecondition: workers of it run, or a switch to it.
absl::StatusOr<std::string> DropGeneration(const Plan& any, int32_t number, KafkaClient& kafka, ResetClient& client,
                                           const PlanOfRecord& plan_of, const std::function<void()>& pause);

// Of the runs over parts of the past, a line each; "": there are none.
absl::StatusOr<std::string> PastRunsReport(const std::string& application, KafkaClient& kafka,
                                           const std::function<void()>& pause);
// Deletes the internal topics of a run, its positions in groups and databases, and its log, so that its name is free.
// What is decided for its lakes is published first. May be done again. InvalidArgument: there is none.
// FailedPrecondition: workers of it run. Unavailable: a broker, a database or a lake is away.
absl::StatusOr<std::string> DropPastRun(const std::string& application, const std::string& run, KafkaClient& kafka,
                                        ResetClient& client, const PlanOfRecord& plan_of,
                                        const std::function<void()>& pause);

}  // namespace tidemark
