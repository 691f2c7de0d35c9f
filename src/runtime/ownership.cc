#include "src/runtime/ownership.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/plan/intakes.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// How often the brokers are asked: while all is read, and while something isn't or isn't known yet.
constexpr int64_t kQuietUs = 5 * kSecond;
constexpr int64_t kAlertUs = kSecond;
constexpr int64_t kTellAgainUs = 60 * kSecond;
// A topic that brokers haven't told of for so long is gone: those that have just started may not know it yet.
constexpr int64_t kGoneUs = 30 * kSecond;
// A worker acts when it has seen the same gap for this long, the next one later by a turn, in which the one before it
// can be seen to have acted.
constexpr int64_t kPatienceUs = kSecond;
constexpr int64_t kTurnUs = 10 * kSecond;
// Between two attempts of one worker; doubles, as what doesn't help must not keep the group from working.
constexpr int64_t kFirstPauseUs = 15 * kSecond;
constexpr int64_t kLongestPauseUs = 300 * kSecond;

std::vector<std::string> Topics(const std::vector<TopicPartition>& partitions) {
  std::vector<std::string> topics;
  for (const TopicPartition& partition : partitions) topics.push_back(partition.topic);
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  return topics;
}

bool Subscribes(const GroupMembers::Member& member, const std::vector<std::string>& topics) {
  return std::all_of(topics.begin(), topics.end(), [&](const std::string& topic) {
    return std::find(member.topics.begin(), member.topics.end(), topic) != member.topics.end();
  });
}

// Of "0001-worker-7", the name of a stream thread's member, and of "worker-7", a sink's: the worker.
std::string_view WorkerOf(std::string_view member, bool streams) {
  return streams && member.size() > 5 ? member.substr(5) : member;
}

}  // namespace

std::vector<std::string> StreamTopics(const Plan& plan) {
  std::vector<TopicPartition> inputs;
  for (const SourcePlan& source : plan.sources) inputs.push_back({source.topic, 0});
  for (const Edge& edge : plan.edges) {
    if (edge.to_stage >= 0) inputs.push_back({edge.topic, 0});
  }
  return Topics(inputs);
}

std::vector<GroupInputs> RequiredInputs(const Plan& plan, const PartitionCounts& partitions) {
  std::vector<GroupInputs> all;
  GroupInputs& streams = all.emplace_back();
  streams.group = plan.application.Group();
  streams.topics = StreamTopics(plan);
  for (const Stage& stage : plan.stages) {
    for (int32_t p = 0; p < partitions.at(plan.application.ChangelogTopic(stage.name)); ++p) {
      std::vector<TopicPartition>& task = streams.tasks.emplace_back();
      for (const std::string& topic : InputTopics(plan, stage)) task.push_back({topic, p});
    }
  }
  for (const Edge& edge : plan.edges) {
    if (edge.to_sink < 0) continue;
    GroupInputs& sink = all.emplace_back();
    sink.group = plan.application.SinkGroup(plan.sinks[static_cast<size_t>(edge.to_sink)].kept_as());
    sink.topics = {edge.topic};
    for (int32_t p = 0; p < partitions.at(edge.topic); ++p) sink.tasks.push_back({{edge.topic, p}});
  }
  for (const IntakePlan& intake : IntakesOf(plan)) {
    const IntakeNames names{plan.application, intake.name};
    GroupInputs& splits = all.emplace_back();
    splits.group = names.Group();
    splits.topics = {names.PositionsTopic()};
    for (int32_t p = 0; p < partitions.at(names.PositionsTopic()); ++p) {
      splits.tasks.push_back({{names.PositionsTopic(), p}});
    }
  }
  return all;
}

std::vector<UnreadInput> FindUnread(const GroupInputs& inputs, const GroupMembers& members) {
  std::map<TopicPartition, const GroupMembers::Member*> owners;
  for (const GroupMembers::Member& member : members.members) {
    for (const TopicPartition& partition : member.partitions) owners[partition] = &member;
  }
  std::vector<UnreadInput> unread;
  for (const std::vector<TopicPartition>& task : inputs.tasks) {
    const std::vector<std::string> topics = Topics(task);
    const GroupMembers::Member* first = nullptr;  // that has a part of the task
    TopicPartition first_part;
    bool together = true, ours = true;
    for (const TopicPartition& input : task) {
      const auto owner = owners.find(input);
      if (owner == owners.end()) {
        unread.push_back({input, absl::StrCat("group ", inputs.group, " has given it to no member"), true});
        continue;
      }
      ours = ours && Subscribes(*owner->second, topics);
      if (first == nullptr) {
        first = owner->second;
        first_part = input;
      } else if (first != owner->second) {
        together = false;
        unread.push_back({input,
                          absl::StrCat("member ", owner->second->name, " of group ", inputs.group, " has it, but ",
                                       ToString(first_part), ", which is read with it, is with ", first->name),
                          true});
      }
    }
    if (together || ours) continue;
    for (UnreadInput& input : unread) {
      if (std::find(task.begin(), task.end(), input.input) != task.end() && owners.count(input.input) > 0) {
        input.curable = false;
      }
    }
  }
  return unread;
}

absl::Status CheckPartitions(const Plan& plan, const PartitionCounts& at_start, const std::string& topic,
                             int32_t partitions_now) {
  const auto known = at_start.find(topic);
  // Fewer are no sign: brokers that have just started don't know all of them.
  if (known == at_start.end() || partitions_now <= known->second) return absl::OkStatus();
  const bool table =
      std::any_of(plan.tables.begin(), plan.tables.end(), [&](const TablePlan& each) { return each.topic == topic; });
  const std::string changed = absl::StrCat("topic '", topic, "' has ", partitions_now, " partitions now, and had ",
                                           known->second, " when this worker started");
  // Tables are read from their beginning at every start.
  if (table) return absl::UnknownError(changed + ": the worker is to be started again, to read all of it");
  return absl::FailedPreconditionError(
      absl::StrCat(changed, ". State and keys are placed by that number, so it can't change under one name: start the ",
                   "topology under a new name (it reads its sources from where `start` says), or put the topic back"));
}

OwnershipWatch::OwnershipWatch(const Runtime& runtime, std::function<void(const std::string& group)> rejoin)
    : runtime_(runtime), rejoin_(std::move(rejoin)) {
  for (GroupInputs& inputs : RequiredInputs(*runtime.plan, runtime.partitions)) {
    groups_.emplace_back().inputs = std::move(inputs);
  }
}

absl::Status OwnershipWatch::Check() {
  const int64_t now = runtime_.clock->MonotonicUs();
  if (now < next_us_) return absl::OkStatus();
  TM_RETURN_IF_ERROR(CheckTopics());
  for (Watched& group : groups_) {
    CheckGroup(&group);
    TM_RETURN_IF_ERROR(CheckGone(group));
  }
  Publish();
  const bool quiet = std::all_of(groups_.begin(), groups_.end(),
                                 [](const Watched& group) { return group.unread && group.unread->empty(); });
  next_us_ = runtime_.clock->MonotonicUs() + (quiet ? kQuietUs : kAlertUs);
  return absl::OkStatus();
}

absl::Status OwnershipWatch::Step() {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return Check();
}

absl::Status OwnershipWatch::CheckTopics() {
  std::vector<std::string> topics;
  for (const Watched& group : groups_) {
    topics.insert(topics.end(), group.inputs.topics.begin(), group.inputs.topics.end());
  }
  for (const TablePlan& table : runtime_.plan->tables) {
    if (!table.topic.empty()) topics.push_back(table.topic);
  }
  const auto described = runtime_.kafka->admin().Describe(topics);
  if (!described.ok()) {
    missing_since_us_.clear();  // of a time in which nobody tells, nothing is known
    return absl::OkStatus();    // away, or going: whoever reads it says so
  }
  for (const auto& [topic, info] : *described) {
    TM_RETURN_IF_ERROR(CheckPartitions(*runtime_.plan, runtime_.partitions, topic, info.partitions));
  }
  for (const std::string& topic : topics) {
    if (described->count(topic) > 0) {
      missing_since_us_.erase(topic);
    } else {
      missing_since_us_.try_emplace(topic, runtime_.clock->MonotonicUs());
    }
  }
  return absl::OkStatus();
}

// Who has an input of such a topic finds out himself, by reading it.
absl::Status OwnershipWatch::CheckGone(const Watched& group) const {
  if (!group.unread) return absl::OkStatus();
  for (const UnreadInput& input : *group.unread) {
    const auto missing = missing_since_us_.find(input.input.topic);
    if (missing == missing_since_us_.end() || runtime_.clock->MonotonicUs() - missing->second < kGoneUs) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("topic '", input.input.topic, "' doesn't exist any more, and ", input.why));
  }
  return absl::OkStatus();
}

void OwnershipWatch::CheckGroup(Watched* group) {
  absl::StatusOr<GroupMembers> members = runtime_.kafka->admin().GroupAssignments(group->inputs.group);
  if (!members.ok()) {
    LOG_EVERY_N(WARNING, 60) << "who reads what of group " << group->inputs.group << ": " << members.status();
    return;
  }
  if (!members->stable) return;  // it is about to change
  const int64_t now = runtime_.clock->MonotonicUs();
  std::vector<UnreadInput> unread = FindUnread(group->inputs, *members);
  const bool same = group->unread && group->members == *members;
  if (!same) group->since_us = now;
  if (!same && group->unread && !group->unread->empty() && unread.empty()) {
    LOG(INFO) << "group " << group->inputs.group << ": all inputs are read again";
  }
  if (!same) group->told_us = 0;
  group->members = *std::move(members);
  group->unread = std::move(unread);
  if (group->unread->empty()) {
    group->rejoin_pause_us = 0;
    return;
  }
  Tell(group, now);
  Cure(group, now);
}

void OwnershipWatch::Tell(Watched* group, int64_t now) {
  if (group->told_us > 0 && now - group->told_us < kTellAgainUs) return;
  group->told_us = now;
  for (const UnreadInput& input : *group->unread) {
    LOG(WARNING) << "nobody reads " << ToString(input.input) << ": " << input.why;
  }
}

void OwnershipWatch::Cure(Watched* group, int64_t now) {
  const bool curable =
      std::any_of(group->unread->begin(), group->unread->end(), [](const UnreadInput& input) { return input.curable; });
  if (!curable || now < group->rejoin_not_before_us) return;
  // The workers whose members know what is missing, in the order of their names: this one waits for those before it.
  const bool streams = group->inputs.group == runtime_.plan->application.Group();
  std::vector<std::string_view> workers;
  for (const GroupMembers::Member& member : group->members.members) {
    if (Subscribes(member, group->inputs.topics)) workers.push_back(WorkerOf(member.name, streams));
  }
  std::sort(workers.begin(), workers.end());
  workers.erase(std::unique(workers.begin(), workers.end()), workers.end());
  const auto self = std::find(workers.begin(), workers.end(), runtime_.options.instance_id);
  if (self == workers.end()) return;
  if (now - group->since_us < kPatienceUs + (self - workers.begin()) * kTurnUs) return;
  group->rejoin_pause_us = std::clamp(2 * group->rejoin_pause_us, kFirstPauseUs, kLongestPauseUs);
  group->rejoin_not_before_us = now + group->rejoin_pause_us;
  LOG(WARNING) << "group " << group->inputs.group << ": a member of this worker leaves and joins again, so that "
               << group->unread->size() << " unread inputs are given to somebody";
  rejoin_(group->inputs.group);
}

void OwnershipWatch::Publish() {
  OwnershipStatus next;
  next.known = true;
  for (const Watched& group : groups_) {
    next.known = next.known && group.unread.has_value();
    next.unread[group.inputs.group] = group.unread.value_or(std::vector<UnreadInput>());
  }
  const absl::MutexLock lock(&mutex_);
  status_ = std::move(next);
}

OwnershipStatus OwnershipWatch::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
