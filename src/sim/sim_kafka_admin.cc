#include "src/sim/sim_kafka_admin.h"

#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark::sim {

absl::StatusOr<SimPartition*> SimAdmin::Find(const TopicPartition& partition) const {
  if (SimPartition* found = cluster_->log().Find(partition)) return found;
  return absl::InvalidArgumentError(absl::StrCat("unknown partition ", ToString(partition)));
}

absl::StatusOr<std::map<std::string, TopicInfo>> SimAdmin::Describe(const std::vector<std::string>& topics) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kDescribe, true));
  std::map<std::string, TopicInfo> infos;
  for (const std::string& topic : topics) {
    const int32_t partitions = cluster_->log().PartitionCount(topic);
    if (partitions > 0) infos[topic] = {partitions, cluster_->log().TopicId(topic)};
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kDescribe, true));
  return infos;
}

// Asked at start, right behind Describe, whose failures are those of both.
absl::StatusOr<std::map<std::string, TopicLimits>> SimAdmin::Limits(const std::vector<std::string>& topics) {
  if (!process_->alive()) return process_->Dead();
  std::map<std::string, TopicLimits> limits;
  for (const std::string& topic : topics) {
    if (cluster_->log().PartitionCount(topic) == 0) continue;
    limits[topic] = {static_cast<int64_t>(cluster_->log().max_record_bytes()), "uncompressed"};
  }
  return limits;
}

absl::StatusOr<std::map<std::string, TopicInfo>> SimAdmin::List(const std::string& prefix) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kDescribe, true));
  std::map<std::string, TopicInfo> infos;
  for (const auto& [topic, partitions] : cluster_->log().topics()) {
    if (topic.starts_with(prefix)) infos[topic].partitions = partitions;
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kDescribe, true));
  return infos;
}

absl::Status SimAdmin::CreateTopics(const std::vector<TopicToCreate>& topics) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kCreateTopics, true));
  for (const TopicToCreate& t : topics) {
    if (t.partitions <= 0) return absl::InvalidArgumentError(absl::StrCat("creating topic '", t.topic, "'"));
    cluster_->log().CreateTopic(t.topic, t.partitions);
  }
  return process_->Leave(SimCall::kCreateTopics, true);
}

absl::StatusOr<Offset> SimAdmin::LogStart(const TopicPartition& partition) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kLogStart, true));
  TM_ASSIGN_OR_RETURN(const SimPartition* p, Find(partition));
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kLogStart, true));
  return p->start;
}

absl::StatusOr<Offset> SimAdmin::LogEnd(const TopicPartition& partition, Isolation isolation) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kLogEnd, true));
  TM_ASSIGN_OR_RETURN(const SimPartition* p, Find(partition));
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kLogEnd, true));
  return p->End(isolation);
}

absl::StatusOr<std::map<TopicPartition, Offset>> SimAdmin::LogStarts(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kLogStart, true));
  std::map<TopicPartition, Offset> starts;
  for (const TopicPartition& tp : partitions) {
    if (const SimPartition* p = cluster_->log().Find(tp)) starts[tp] = p->start;
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kLogStart, true));
  if (starts.empty() && !partitions.empty()) return absl::UnavailableError("log starts: nobody answered");
  return starts;
}

absl::StatusOr<std::map<TopicPartition, Offset>> SimAdmin::LogEnds(const std::vector<TopicPartition>& partitions,
                                                                   Isolation isolation) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kLogEnd, true));
  std::map<TopicPartition, Offset> ends;
  for (const TopicPartition& tp : partitions) {
    if (const SimPartition* p = cluster_->log().Find(tp)) ends[tp] = p->End(isolation);
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kLogEnd, true));
  if (ends.empty() && !partitions.empty()) return absl::UnavailableError("log ends: nobody answered");
  return ends;
}

absl::StatusOr<Offset> SimAdmin::OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kOffsetForTime, true));
  TM_ASSIGN_OR_RETURN(const SimPartition* p, Find(partition));
  Offset offset = p->start;
  const Offset end = p->last_stable();
  while (offset < end && (p->At(offset).kind != SimRecord::Kind::kData || p->At(offset).timestamp_ms < timestamp_ms)) {
    ++offset;
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kOffsetForTime, true));
  return offset;
}

absl::Status SimAdmin::DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kDeleteRecords, true));
  for (const auto& [tp, offset] : before) {
    TM_ASSIGN_OR_RETURN(SimPartition* const p, Find(tp));
    if (offset > p->end) return absl::OutOfRangeError(absl::StrCat("trimming ", ToString(tp), " behind its end"));
    p->Trim(offset);
  }
  return process_->Leave(SimCall::kDeleteRecords, true);
}

absl::StatusOr<std::map<TopicPartition, CommittedOffset>> SimAdmin::GroupOffsets(
    const std::string& group, const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kGroupOffsets, true));
  std::map<TopicPartition, CommittedOffset> offsets;
  for (const TopicPartition& tp : partitions) {
    // A partition whose offset is pending shows its last stable one here; only Committed waits.
    offsets[tp] = cluster_->log().StableOffset(group, tp);
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kGroupOffsets, true));
  return offsets;
}

absl::StatusOr<GroupMembers> SimAdmin::GroupAssignments(const std::string& group) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kGroupAssignments, true));
  GroupMembers members = cluster_->groups().Describe(group);
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kGroupAssignments, true));
  return members;
}

}  // namespace tidemark::sim
