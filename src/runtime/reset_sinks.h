// What sinks outside Kafka keep beside their rows, and how they let go of it when an application begins anew (reset.h).
// Used by the command's thread.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// A line for people: what stands in a sink, and what becomes of it. InvalidArgument: it can't be begun anew where it
// is, and what to do. `complete`: all that a sink was ever given is computed again.
absl::StatusOr<std::string> SinkAfterReset(const Plan& plan, const SinkPlan& sink, bool complete);

// A Parquet sink: moves the files that its newest manifests name, as its next owner would, and deletes what was staged
// beside them. To be called while the manifests are there; may be done again. FailedPrecondition: the lake isn't there,
// and not all that was decided is computed again.
absl::Status SettleLake(const Plan& plan, const SinkPlan& sink, bool complete, KafkaClient& kafka);

}  // namespace tidemark
