// What is checked before a worker changes or announces anything: whether the topology may go on with what it has
// written under its name before. Everything is read from Kafka, so every worker finds out, also one that would get no
// tasks:
//
//   - the newest commit record of every changelog partition of the application: a step with state whose identity
//     differs (step_identity.h), or that is gone, be it with its whole stage; one that is new, and would take changes
//     whose beginning it can't hear (first_changes.h);
//   - rows that lie unread in an internal topic under a schema that can't become the present one (packed_schema.h), or
//     whose schema is another and was never named, which an earlier version didn't do;
//   - a step in front of which rows have been read, and whose changelog is gone;
//   - rows in front of a step that is gone, and that has never read any, so that no changelog tells of it;
//   - a part that has lost the name under which it is kept (renamed.h);
//   - a topic that was read because a pattern matches it, and that is gone: the plan has those that are there, so
//     nothing else would miss it;
//   - rows of a view that were written with another key, other types or from another step (src/views/records.h).
//
// `tidemark plan` asks the same and tells all of it; a worker refuses what isn't to go on.
//
// Nothing has been created, joined or committed then, so the former version of the topology can go on at any time. A
// task checks its state again when it is opened: this is no lock.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/former.h"
#include "src/runtime/verdict.h"

namespace tidemark {

// What becomes of every step with state, of those that are gone, and of sinks that can't go on. Reads what lies unread
// in internal topics. Unavailable: Kafka doesn't answer.
absl::StatusOr<std::vector<Verdict>> CompareWithRunning(const Plan& plan, const Former& former, KafkaClient& kafka,
                                                        const AllowedDrops& drops = {});

// The same as if rows were waiting wherever they can. Asks nobody.
std::vector<Verdict> CompareStates(const Plan& plan, const Former& former, const AllowedDrops& drops = {});

// InvalidArgument: the user would give up what the topology goes on with. A step that was given up before may be named:
// it begins anew.
absl::Status CheckDrops(const Plan& plan, const Former& former, const AllowedDrops& drops);

// What `drops` names and nothing is kept of, a line each: a step that goes on under the name that it was kept under
// first isn't given up by the one that it has now. No error, as a flag may stay behind what it was for.
std::vector<std::string> IdleDrops(const Plan& plan, const Former& former, const AllowedDrops& drops);

// Topics that a source of a pattern has read, and doesn't any more, as they aren't there or the pattern is another,
// with what to do; but for those whose source goes on without what is lost (`on_data_loss: skip`).
std::vector<std::string> GoneTopics(const Plan& plan, const Former& former);

// FailedPrecondition: what was, what is, and what to do. Unavailable: Kafka doesn't answer.
absl::Status CheckStart(const Plan& plan, KafkaClient& kafka, const AllowedDrops& drops = {});

// Changelogs of stages that the plan no longer has, of which every step with state may be dropped.
std::vector<std::string> ChangelogsGivenUp(const Plan& plan, const Former& former, const AllowedDrops& drops);

}  // namespace tidemark
