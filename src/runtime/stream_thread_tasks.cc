// The part of a stream thread that follows the group: which tasks it has, how they come and go.
#include <algorithm>
#include <utility>

#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/runtime/ownership.h"
#include "src/runtime/stream_thread.h"

namespace tidemark {
namespace {

// How long one turn of the loop may restore before the consumer is polled again.
constexpr int64_t kOpeningSliceUs = kSecond / 20;

}  // namespace

absl::Status StreamThread::OnRebalance(const Rebalance& rebalance) {
  LOG(INFO) << thread_id_ << ": "
            << (rebalance.kind == Rebalance::Kind::kAssigned  ? "assigned "
                : rebalance.kind == Rebalance::Kind::kRevoked ? "revoked "
                                                              : "lost ")
            << rebalance.partitions.size() << " partitions";
  if (rebalance.kind == Rebalance::Kind::kAssigned) return OnAssigned(rebalance.partitions);
  const absl::Status left = LeaveTasks(rebalance.kind == Rebalance::Kind::kRevoked);
  assigned_.clear();
  group_.reset();
  state_ = State::kUnassigned;
  TM_RETURN_IF_ERROR(consumer_->Unassign());
  return left;
}

absl::Status StreamThread::OnAssigned(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(LeaveTasks(false));
  // A static member that comes back within its session is given what it had, also of topics that the plan no longer
  // reads: no task wants those.
  for (const auto& [topic, partition] : partitions) {
    TM_RETURN_IF_ERROR(CheckPartitions(*runtime_.plan, runtime_.partitions, topic, partition + 1));
  }
  group_ = consumer_->Group();
  if (!group_->valid()) {
    LOG(WARNING) << thread_id_ << ": an assignment without a valid group generation is ignored";
    state_ = State::kUnassigned;
    return consumer_->Unassign();
  }
  TM_RETURN_IF_ERROR(consumer_->AssignPaused(partitions));
  assigned_ = partitions;
  state_ = State::kOpening;
  Publish(true);
  return absl::OkStatus();
}

// Gives the membership up and takes another: the group assigns anew, by what its members subscribe to now.
absl::Status StreamThread::Rejoin() {
  LOG(INFO) << thread_id_ << ": leaves the group to join it again";
  TM_RETURN_IF_ERROR(LeaveTasks(true));
  state_ = State::kUnassigned;
  assigned_.clear();
  group_.reset();
  const absl::Status closed = std::exchange(consumer_, nullptr)->Close(/*leave_group=*/true);
  if (!closed.ok()) LOG(WARNING) << thread_id_ << ": leaving the group: " << closed;
  return Join();
}

// Commits what is open, or ends it, and lets go of the tasks; their stores stay open for the next owner in this
// process.
absl::Status StreamThread::LeaveTasks(bool commit) {
  absl::Status status;
  if (commit && state_ == State::kRunning) {
    status = BeginCommit();
    if (status.ok()) status = FinishCommit(Decider::kForever).status();
    if (!status.ok()) LOG(WARNING) << thread_id_ << ": the commit before the rebalance failed: " << status;
  }
  status = pipeline_.Explain(status);
  EndTransaction(status);
  tasks_.ForgetKeptStates();
  Publish(true);
  return Recoverable(status) ? absl::OkStatus() : status;
}

absl::Status StreamThread::ContinueOpening() {
  if (runtime_.clock->MonotonicUs() < retry_at_us_) return absl::OkStatus();
  if (!pipeline_.opened()) TM_RETURN_IF_ERROR(pipeline_.Open());
  if (!tasks_.begun()) TM_RETURN_IF_ERROR(tasks_.Begin(assigned_, consumer_.get(), pipeline_.transaction()));
  TM_ASSIGN_OR_RETURN(const bool all_open, tasks_.Open(kOpeningSliceUs));
  Publish(true);
  tasks_.ForgetKeptStates();
  return all_open ? BeginRunning() : absl::OkStatus();
}

absl::Status StreamThread::BeginRunning() {
  // A start is committed before the first row that is read from there (a new task's is its commit 1): from then on
  // every input has a committed offset, and what is read behind an abort can't begin elsewhere.
  std::vector<Task*> fresh;
  for (const auto& task : tasks_.tasks()) {
    if (!task->StartIsNew()) continue;
    TM_RETURN_IF_ERROR(task->Advance());
    fresh.push_back(task.get());
  }
  if (!fresh.empty()) {
    TM_RETURN_IF_ERROR(pipeline_.Begin(fresh, group_, consumer_.get()));
    TM_RETURN_IF_ERROR(pipeline_.Finish(Decider::kForever).status());
  }
  TM_RETURN_IF_ERROR(consumer_->Assign(tasks_.Run()));
  state_ = State::kRunning;
  failures_ = 0;
  dirty_since_us_ = moved_since_us_ = -1;
  Publish(true);
  return AdvanceAll();
}

}  // namespace tidemark
