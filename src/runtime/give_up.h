// A user gives up what steps have kept that the topology no longer has (--allow_drop). Where the stage is still there,
// its tasks take it out of their state, a part a commit, under a mark (Task::GiveUp). Where the whole stage is gone
// nobody opens its state any more, and what has to go is its changelog: this deletes it, at a worker's start.
//
// Deleting a topic is one step that is done or not, and what is done already isn't looked for: a worker that is killed
// in the middle starts again with the same flag. Nobody may run meanwhile, as a task whose changelog goes can't commit:
// one that runs would end, and the former topology doesn't go on behind it either way, as its group has read what the
// changelog no longer tells of (TaskOpener::CheckAgainstGroup).
#pragma once

#include <functional>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/plan.h"
#include "src/runtime/verdict.h"

namespace tidemark {

using ResetClientMaker = std::function<absl::StatusOr<std::unique_ptr<ResetClient>>()>;

// Behind CheckStart with the same `drops`. FailedPrecondition: workers run, and nothing has changed; members of those
// that have just stopped are waited for. `make` is asked where there is something to delete.
absl::Status GiveUpStages(const Plan& plan, const AllowedDrops& drops, KafkaClient& kafka,
                          const ResetClientMaker& make);

}  // namespace tidemark
