// The consumer of the simulated Kafka.
//
// Its membership, where it has a group:
//
//   joining --(the rebalance is over: kAssigned)--> assigned --(answer)--> stable --(kRevoked, kLost)--> revoked
//      ^                                                                                                    |
//      +----------------------------------------------(answer)----------------------------------------------+
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {

class SimGroupMetadata : public GroupMetadata {
 public:
  explicit SimGroupMetadata(MemberIdentity who) : who_(std::move(who)) {}
  bool valid() const override { return who_.generation >= 0 && !who_.member_id.empty(); }
  std::string ToString() const override;
  const MemberIdentity& who() const { return who_; }

 private:
  const MemberIdentity who_;
};

class SimConsumer : public Consumer {
 public:
  SimConsumer(SimCluster* cluster, std::shared_ptr<SimCluster::Process> process, const ConsumerOptions& options);
  ~SimConsumer() override;

  absl::Status Subscribe(const std::vector<std::string>& topics) override;
  absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) override;
  void Wake() override {}  // nothing is decided while a Poll waits
  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override;
  absl::Status AssignPaused(const std::vector<TopicPartition>& partitions) override;
  absl::Status Unassign() override;
  absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) override;
  absl::Status Pause(const std::vector<TopicPartition>& partitions) override;
  absl::Status Resume(const std::vector<TopicPartition>& partitions) override;
  absl::Status Hold(const std::vector<TopicPartition>& partitions) override;
  absl::Status Release(const std::vector<TopicPartition>& partitions) override;
  std::shared_ptr<const GroupMetadata> Group() override;
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(
      const std::vector<TopicPartition>& partitions) override;
  Offset KnownEnd(const TopicPartition& partition) const override;
  absl::Status CommitOffsets(const std::vector<OffsetToCommit>& offsets) override;
  absl::Status Close(bool leave_group) override;

 private:
  // `client` is what librdkafka keeps underneath: where it would go on after a pause. It is right behind records, one
  // too far once the end of the partition was reported.
  struct Part {
    Offset position = -1;  // -1: not chosen yet
    Offset client = -1;
    bool paused = false;
    bool failed = false;            // out of range, said so, waits for a seek
    std::optional<Offset> held_at;  // what lies before was on its way when it was held, and still comes
    std::optional<Offset> end_told;
    Offset end_seen = -1;
  };
  enum class Membership { kNone, kJoining, kAssigned, kStable, kRevoked };

  // The group's events; nothing where there is none to tell.
  absl::StatusOr<std::optional<Rebalance>> PollGroup();
  Rebalance GiveUp(Rebalance::Kind kind);
  absl::Status Read(size_t max_records, PollResult* result);
  absl::Status ReadPartition(const TopicPartition& tp, Part* part, size_t max_records, PollResult* result);
  void SetPosition(const TopicPartition& tp, Part* part, Offset offset);
  absl::Status SetPaused(const std::vector<TopicPartition>& partitions, bool paused);
  void Answered();

  SimCluster* const cluster_;
  const std::shared_ptr<SimCluster::Process> process_;
  const ConsumerOptions options_;
  int64_t last_beat_us_ = 0;
  const int64_t beat_;
  std::vector<std::string> topics_;
  Membership membership_ = Membership::kNone;
  MemberIdentity who_;
  std::vector<TopicPartition> assignment_;
  std::map<TopicPartition, Part> parts_;
  size_t next_part_ = 0;  // partitions are read in turns
  bool closed_ = false;
};

}  // namespace tidemark::sim
