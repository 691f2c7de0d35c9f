// Topic administration of the simulated Kafka.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {

class SimAdmin : public Admin {
 public:
  SimAdmin(SimCluster* cluster, std::shared_ptr<SimCluster::Process> process)
      : cluster_(cluster), process_(std::move(process)) {}

  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) override;
  absl::StatusOr<std::map<std::string, TopicLimits>> Limits(const std::vector<std::string>& topics) override;
  absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string& prefix) override;
  absl::Status CreateTopics(const std::vector<TopicToCreate>& topics) override;
  absl::StatusOr<Offset> LogStart(const TopicPartition& partition) override;
  absl::StatusOr<Offset> LogEnd(const TopicPartition& partition, Isolation isolation) override;
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) override;
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& partitions,
                                                           Isolation isolation) override;
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) override;
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) override;
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(
      const std::string& group, const std::vector<TopicPartition>& partitions) override;
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string& group) override;

 private:
  absl::StatusOr<SimPartition*> Find(const TopicPartition& partition) const;

  SimCluster* const cluster_;
  const std::shared_ptr<SimCluster::Process> process_;
};

}  // namespace tidemark::sim
