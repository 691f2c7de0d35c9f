// The part of a stream thread that follows the group: which tasks it has, how they come and go.
#include <algorithm>
#include <set>
#include <utility>

#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/runtime/ownership.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// How long one turn of the loop may restore before the consumer is polled again.
constexpr int64_t kOpeningSliceUs = kSecond / 20;

}  // namespace

absl::Status StreamThread::OnRebalance(const Rebalance& rebalance) {
  LOG(INFO) << transactional_id_ << ": "
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
  for (const auto& [topic, partition] : partitions) {
    if (partition < runtime_.partitions.at(topic)) continue;
    TM_RETURN_IF_ERROR(CheckPartitions(*runtime_.plan, runtime_.partitions, topic, partition + 1));
  }
  group_ = consumer_->Group();
  if (!group_->valid()) {
    LOG(WARNING) << transactional_id_ << ": an assignment without a valid group generation is ignored";
    state_ = State::kUnassigned;
    return consumer_->Unassign();
  }
  TM_RETURN_IF_ERROR(consumer_->AssignPaused(partitions));
  assigned_ = partitions;
  state_ = State::kOpening;
  openers_.reset();
  Publish(true);
  return absl::OkStatus();
}

// Gives the membership up and takes another: the group assigns anew, by what its members subscribe to now.
absl::Status StreamThread::Rejoin() {
  LOG(INFO) << transactional_id_ << ": leaves the group to join it again";
  TM_RETURN_IF_ERROR(LeaveTasks(true));
  state_ = State::kUnassigned;
  assigned_.clear();
  group_.reset();
  const absl::Status closed = std::exchange(consumer_, nullptr)->Close(/*leave_group=*/true);
  if (!closed.ok()) LOG(WARNING) << transactional_id_ << ": leaving the group: " << closed;
  return Join();
}

// Commits what is open, or ends it, and lets go of the tasks; their stores stay open for the next owner in this
// process.
absl::Status StreamThread::LeaveTasks(bool commit) {
  absl::Status status;
  if (commit && state_ == State::kRunning) {
    status = BeginCommit();
    if (status.ok()) status = FinishCommit(Decider::kForever).status();
    if (!status.ok()) LOG(WARNING) << transactional_id_ << ": the commit before the rebalance failed: " << status;
  }
  EndTransaction(status);
  kept_.clear();
  Publish(true);
  return Recoverable(status) ? absl::OkStatus() : status;
}

absl::Status StreamThread::BeginOpening() {
  std::vector<std::pair<int, int32_t>> wanted;
  std::vector<TopicPartition> inputs;
  const std::set<TopicPartition> mine(assigned_.begin(), assigned_.end());
  const Plan& plan = *runtime_.plan;
  for (size_t stage = 0; stage < plan.stages.size(); ++stage) {
    const std::vector<std::string> topics = InputTopics(plan, plan.stages[stage]);
    const int32_t count = runtime_.partitions.at(ChangelogTopic(plan, plan.stages[stage]));
    for (int32_t p = 0; p < count; ++p) {
      // A task runs only on a member that has all its partitions; ownership.h names those that run nowhere.
      if (!std::all_of(topics.begin(), topics.end(), [&](const auto& topic) { return mine.contains({topic, p}); })) {
        continue;
      }
      wanted.emplace_back(static_cast<int>(stage), p);
      for (const std::string& topic : topics) inputs.push_back({topic, p});
    }
  }
  std::map<TopicPartition, CommittedOffset> committed;
  if (!inputs.empty()) {
    TM_ASSIGN_OR_RETURN(committed, consumer_->Committed(inputs));
  }
  openers_.emplace();
  for (const auto& [stage, partition] : wanted) {
    openers_->push_back(std::make_unique<TaskOpener>(runtime_, stage, partition, committed, pipeline_.transaction()));
    if (distrust_disk_) openers_->back()->DistrustDisk();
    const auto kept = kept_.find(openers_->back()->id());
    if (kept != kept_.end()) openers_->back()->Use(std::move(kept->second));
  }
  return absl::OkStatus();
}

absl::Status StreamThread::ContinueOpening() {
  const int64_t start = runtime_.clock->MonotonicUs();
  if (start < retry_at_us_) return absl::OkStatus();
  if (!pipeline_.opened()) TM_RETURN_IF_ERROR(pipeline_.Open());
  if (!openers_) TM_RETURN_IF_ERROR(BeginOpening());
  while (!openers_->empty()) {
    TM_ASSIGN_OR_RETURN(std::unique_ptr<Task> task, openers_->back()->Step());
    if (task != nullptr) {
      tasks_.push_back(std::move(task));
      openers_->pop_back();
    }
    if (runtime_.clock->MonotonicUs() - start >= kOpeningSliceUs) break;
  }
  Publish(true);
  kept_.clear();
  return openers_->empty() ? BeginRunning() : absl::OkStatus();
}

absl::Status StreamThread::BeginRunning() {
  // A new task's start is its commit 1, before its first row: from then on every input has a committed offset.
  std::vector<Task*> fresh;
  for (const auto& task : tasks_) {
    if (task->HasRecord()) continue;
    TM_RETURN_IF_ERROR(task->Advance());
    fresh.push_back(task.get());
  }
  if (!fresh.empty()) {
    TM_RETURN_IF_ERROR(pipeline_.Begin(fresh, group_, consumer_.get()));
    TM_RETURN_IF_ERROR(pipeline_.Finish(Decider::kForever).status());
  }
  std::vector<std::pair<TopicPartition, Offset>> positions;
  const auto is_source = [&](const TopicPartition& input) {
    const std::vector<SourcePlan>& sources = runtime_.plan->sources;
    return std::any_of(sources.begin(), sources.end(), [&](const SourcePlan& s) { return s.topic == input.topic; });
  };
  for (const auto& task : tasks_) {
    for (const TopicPartition& input : task->inputs()) {
      positions.emplace_back(input, task->position(input.topic));
      task_of_[input] = task.get();
      if (is_source(input)) sources_.push_back(input);
    }
  }
  TM_RETURN_IF_ERROR(consumer_->Assign(positions));
  openers_.reset();
  state_ = State::kRunning;
  failures_ = 0;
  distrust_disk_ = false;
  dirty_since_us_ = moved_since_us_ = -1;
  Publish(true);
  return AdvanceAll();
}

}  // namespace tidemark
