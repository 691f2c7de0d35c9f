// The transactional producer of the simulated Kafka. Records wait in its queue and reach the log in part at Produce and
// in full at Flush, so that a death between the two leaves any prefix of them behind.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {

class SimProducer : public Producer {
 public:
  SimProducer(SimCluster* cluster, std::shared_ptr<SimCluster::Process> process, const ProducerOptions& options)
      : cluster_(cluster), process_(std::move(process)), options_(options) {}

  absl::Status InitTransactions() override;
  absl::Status Begin() override;
  absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& records) override;
  absl::Status Flush() override;
  std::optional<std::pair<Offset, Offset>> Written(const TopicPartition& partition) const override;
  absl::Status SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) override;
  CommitOutcome Commit(std::string* error) override;
  absl::Status Abort() override;

 private:
  //   new --InitTransactions--> ready --Begin--> open --(an error)--> broken
  //                               ^---Commit, Abort---+---Abort---------+
  //   dead: fenced, or a commit of unknown outcome
  enum class State { kNew, kReady, kOpen, kBroken, kDead };

  absl::Status Expect(State state, const char* call) const;
  // After an error only Abort helps; after being fenced, nothing.
  absl::Status Failed(absl::Status status);
  absl::Status Send(size_t records);
  absl::Status GiveNumbersAgain();

  SimCluster* const cluster_;
  const std::shared_ptr<SimCluster::Process> process_;
  const ProducerOptions options_;
  State state_ = State::kNew;
  ProducerSession session_;
  std::deque<std::pair<TopicPartition, SimRecord>> queue_;
  bool spent_ = false;                        // aborted with records in the queue
  std::map<TopicPartition, size_t> repeats_;  // records to come that are taken for repeats; a mutation
  std::map<TopicPartition, std::pair<Offset, Offset>> written_;
};

}  // namespace tidemark::sim
