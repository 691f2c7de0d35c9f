#include "src/runtime/task_set.h"

#include <algorithm>
#include <set>
#include <string>

#include "src/base/status.h"
#include "src/runtime/topics.h"

namespace tidemark {

absl::Status TaskSet::Begin(const std::vector<TopicPartition>& assigned, Consumer* consumer, Transaction* transaction) {
  std::vector<std::pair<int, int32_t>> wanted;
  std::vector<TopicPartition> inputs;
  const std::set<TopicPartition> mine(assigned.begin(), assigned.end());
  const Plan& plan = *runtime_.plan;
  for (size_t stage = 0; stage < plan.stages.size(); ++stage) {
    const std::vector<std::string> topics = InputTopics(plan, plan.stages[stage]);
    const int32_t count = runtime_.partitions.at(plan.application.ChangelogTopic(plan.stages[stage].name));
    for (int32_t p = 0; p < count; ++p) {
      if (!std::all_of(topics.begin(), topics.end(), [&](const auto& topic) { return mine.contains({topic, p}); })) {
        continue;
      }
      wanted.emplace_back(static_cast<int>(stage), p);
      for (const std::string& topic : topics) inputs.push_back({topic, p});
    }
  }
  std::map<TopicPartition, CommittedOffset> committed;
  InputLogs logs;
  topics_changed_ = runtime_.control->topics_changed.load(std::memory_order_relaxed);
  if (!inputs.empty()) {
    TM_ASSIGN_OR_RETURN(committed, consumer->Committed(inputs));
    TM_ASSIGN_OR_RETURN(logs, AskInputLogs(runtime_.kafka->admin(), inputs));
  }
  topic_ids_.clear();
  for (const auto& [input, log] : logs) topic_ids_[input.topic] = log.topic_id;
  openers_.emplace();
  for (const auto& [stage, partition] : wanted) {
    openers_->push_back(std::make_unique<TaskOpener>(runtime_, stage, partition, committed, logs, transaction));
    if (distrust_disks_) openers_->back()->DistrustDisk();
    const auto kept = kept_.find(openers_->back()->id());
    if (kept != kept_.end()) openers_->back()->Use(std::move(kept->second));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TaskSet::Open(int64_t slice_us) {
  const int64_t start = runtime_.clock->MonotonicUs();
  while (!openers_->empty()) {
    TM_ASSIGN_OR_RETURN(std::unique_ptr<Task> task, openers_->back()->Step());
    if (task != nullptr) {
      tasks_.push_back(std::move(task));
      openers_->pop_back();
    }
    if (runtime_.clock->MonotonicUs() - start >= slice_us) break;
  }
  return openers_->empty();
}

std::vector<std::pair<TopicPartition, Offset>> TaskSet::Run() {
  const auto is_source = [&](const TopicPartition& input) {
    const std::vector<SourcePlan>& sources = runtime_.plan->sources;
    return std::any_of(sources.begin(), sources.end(), [&](const SourcePlan& s) { return s.topic == input.topic; });
  };
  std::vector<std::pair<TopicPartition, Offset>> positions;
  for (const auto& task : tasks_) {
    for (const TopicPartition& input : task->inputs()) {
      positions.emplace_back(input, task->position(input.topic));
      reading_[input] = task.get();
      if (is_source(input)) sources_.push_back(input);
    }
  }
  openers_.reset();
  distrust_disks_ = false;
  return positions;
}

void TaskSet::Drop() {
  reading_.clear();
  sources_.clear();
  tasks_.clear();
  openers_.reset();
}

void TaskSet::KeepStates() {
  for (const auto& task : tasks_) kept_[task->id()] = task->ReleaseState();
}

Task* TaskSet::Reading(const TopicPartition& input) const {
  const auto it = reading_.find(input);
  return it == reading_.end() ? nullptr : it->second;
}

std::vector<TaskId> TaskSet::Opening() const {
  std::vector<TaskId> opening;
  if (!openers_) return opening;
  for (const auto& opener : *openers_) opening.push_back(opener->id());
  return opening;
}

std::pair<Offset, Offset> TaskSet::RestoreProgress() const {
  std::pair<Offset, Offset> progress;
  if (!openers_) return progress;
  for (const auto& opener : *openers_) {
    progress.first += opener->position();
    progress.second += opener->target();
  }
  return progress;
}

}  // namespace tidemark
