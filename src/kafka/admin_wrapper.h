// An Admin that asks another one: for clients that stand in front of a client and answer some of its questions
// otherwise. As thread-safe as what it asks, which outlives it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"

namespace tidemark {

class AdminWrapper : public Admin {
 public:
  explicit AdminWrapper(Admin* inner) : inner_(*inner) {}

  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) override {
    return inner_.Describe(topics);
  }
  absl::StatusOr<std::map<std::string, TopicLimits>> Limits(const std::vector<std::string>& topics) override {
    return inner_.Limits(topics);
  }
  absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string& prefix) override {
    return inner_.List(prefix);
  }
  absl::Status CreateTopics(const std::vector<TopicToCreate>& topics) override { return inner_.CreateTopics(topics); }
  absl::StatusOr<Offset> LogStart(const TopicPartition& partition) override { return inner_.LogStart(partition); }
  absl::StatusOr<Offset> LogEnd(const TopicPartition& partition, Isolation isolation) override {
    return inner_.LogEnd(partition, isolation);
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) override {
    return inner_.LogStarts(partitions);
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& partitions,
                                                           Isolation isolation) override {
    return inner_.LogEnds(partitions, isolation);
  }
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) override {
    return inner_.OffsetForTime(partition, timestamp_ms);
  }
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) override {
    return inner_.DeleteRecords(before);
  }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(
      const std::string& group, const std::vector<TopicPartition>& partitions) override {
    return inner_.GroupOffsets(group, partitions);
  }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string& group) override {
    return inner_.GroupAssignments(group);
  }

 protected:
  Admin& inner_;
};

}  // namespace tidemark
