// What is checked before a worker changes or announces anything: whether the topology may go on with what it has
// written under its name before. Everything is read from Kafka, so every worker finds out, also one that would get no
// tasks:
//
//   - the newest commit record of every changelog partition of the application: a step with state whose identity
//     differs (step_identity.h), or that is gone, be it with its whole stage; one that is new, and would take changes
//     whose beginning it can't hear (first_changes.h);
//   - rows that lie unread in an internal topic under a schema that can't become the present one (packed_schema.h), or
//     whose schema is another and was never named, which an earlier version didn't do;
//   - rows of a view that were written with another key, other types or from another step (src/views/records.h).
//
// Nothing has been created, joined or committed then, so the former version of the topology can go on at any time. A
// task checks its state again when it is opened: this is no lock.
#pragma once

#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// FailedPrecondition: what was, what is, and what to do. Unavailable: Kafka doesn't answer.
absl::Status CheckStart(const Plan& plan, KafkaClient& kafka);

}  // namespace tidemark
