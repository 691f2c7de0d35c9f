#include "src/runtime/commit.h"

#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

absl::Status Decide(Producer* producer) {
  std::string error;
  switch (producer->Commit(&error)) {
    case CommitOutcome::kCommitted: return absl::OkStatus();
    case CommitOutcome::kAborted: return absl::AbortedError("commit: " + error);
    case CommitOutcome::kUnknown: return absl::UnknownError("commit: " + error);
    case CommitOutcome::kFenced: return absl::CancelledError("commit: " + error);
  }
  return absl::InternalError("commit: no outcome");
}

absl::Status Apply(const std::vector<Task*>& tasks, const Producer& producer) {
  for (Task* task : tasks) TM_RETURN_IF_ERROR(Annotate(task->Applied(producer), task->id().ToString()));
  return absl::OkStatus();
}

}  // namespace

absl::Status CommitTasks(const std::vector<Task*>& tasks, const GroupMetadata& group, Consumer* fresh_group,
                         Transaction* transaction) {
  Producer* const producer = transaction->producer();
  TM_RETURN_IF_ERROR(Failpoint("commit.before_prepare"));
  for (Task* task : tasks) TM_RETURN_IF_ERROR(Annotate(task->PrepareCommit(), task->id().ToString()));
  TM_RETURN_IF_ERROR(Failpoint("commit.before_flush"));
  TM_RETURN_IF_ERROR(FencedAsCancelled(producer->Flush()));
  TM_RETURN_IF_ERROR(Failpoint("commit.after_flush"));
  std::vector<OffsetToCommit> offsets;
  for (const Task* task : tasks) task->AppendOffsets(&offsets);
  if (MutationActive(Mutation::kGroupMetadataFetchedFresh)) {
    TM_RETURN_IF_ERROR(producer->SendOffsets(offsets, *fresh_group->Group()));
  } else {
    TM_RETURN_IF_ERROR(producer->SendOffsets(offsets, group));
  }
  TM_RETURN_IF_ERROR(Failpoint("commit.before_decision"));
  if (MutationActive(Mutation::kApplyBeforeCommit)) TM_RETURN_IF_ERROR(Apply(tasks, *producer));
  TM_RETURN_IF_ERROR(Decide(producer));
  transaction->Reset();
  TM_RETURN_IF_ERROR(Failpoint("commit.after_decision"));
  if (MutationActive(Mutation::kApplyBeforeCommit)) return absl::OkStatus();
  return Apply(tasks, *producer);
}

}  // namespace tidemark
