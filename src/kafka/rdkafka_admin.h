// Topic administration and log positions over librdkafka. Three instances without a group: one for each isolation,
// because librdkafka answers for the end of a log by the isolation of the instance that asks; requests of the admin
// API go through the first.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_handle.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

namespace tidemark::rdkafka {

class RdAdmin : public Admin {
 public:
  // Connects; Unavailable where no broker answers.
  static absl::StatusOr<std::unique_ptr<RdAdmin>> New(const KafkaSettings& settings, KafkaLog log);

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
  RdAdmin() = default;
  // The instance to ask. Nobody polls them otherwise, and what they report of connections would pile up.
  rd_kafka_t* rk(Isolation isolation) const {
    rd_kafka_t* const rk = isolation == Isolation::kReadCommitted ? committed_->rk() : uncommitted_->rk();
    rd_kafka_poll(rk, 0);
    return rk;
  }
  absl::StatusOr<std::pair<Offset, Offset>> Range(const TopicPartition& partition, Isolation isolation);
  absl::StatusOr<std::map<TopicPartition, Offset>> ListOffsets(const std::vector<TopicPartition>& partitions,
                                                               int64_t spec, Isolation isolation,
                                                               const std::string& what);
  absl::Status WaitForLeaders(const std::vector<TopicToCreate>& topics);
  // Waits for the answer to an admin request that was given `queue`.
  absl::StatusOr<Event> Answer(rd_kafka_queue_t* queue, const std::string& what);

  // An instance that carries the group's name and never joins it.
  absl::StatusOr<std::shared_ptr<RdHandle>> GroupHandle(const std::string& group);

  KafkaSettings settings_;
  KafkaLog log_;
  std::shared_ptr<RdHandle> committed_;
  std::shared_ptr<RdHandle> uncommitted_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<RdHandle>> groups_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark::rdkafka
