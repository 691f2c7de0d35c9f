// The consumer over librdkafka. Records come through a private queue, to which the queues of all assigned partitions
// are forwarded; rebalances and errors come through librdkafka's consumer queue. Both ring one event descriptor, on
// which Poll waits, so that neither the first record nor a rebalance waits for a time-out.
//
// librdkafka waits in the middle of a rebalance until its assign function is called. The callback here only notes the
// event; Poll hands it out; Assign, AssignPaused and Unassign make that call.
//
// Where a partition is read is known here alone (Part::position). librdkafka keeps a position too, of what it has
// handed out, and it isn't the same: one too far after the end of a partition was reported, ahead of ours behind
// control records. So nothing of librdkafka's that goes by it is used: no pause (its resume goes on from there), no
// seek of running fetchers. A paused partition is taken out of librdkafka's assignment, and whatever starts fetchers,
// be it an assignment, a resume or a seek, starts each with an explicit offset of ours. That starts all of them, so a
// partition that only has to be held back for a while keeps its fetcher: its queue isn't forwarded meanwhile, and the
// fetcher stands still when it is full.
//
// A static member that was cut off for longer than its session joins again as a new one, and what it sent as the old
// one may be answered afterwards: fenced. librdkafka 2.0.2 makes that final for the instance, so Poll goes on with a
// new one and reports the assignment lost. Only soon after a lost connection, and once for each: of two processes with
// one name the older one still gives up, unless it was cut off itself; then it is the one that joined last, and the
// other gives up.
#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark::rdkafka {

class RdConsumer : public Consumer {
 public:
  static absl::StatusOr<std::unique_ptr<Consumer>> New(const KafkaSettings& settings, const ConsumerOptions& options,
                                                       KafkaLog log);
  ~RdConsumer() override;

  absl::Status Subscribe(const std::vector<std::string>& topics) override;
  absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) override;
  void Wake() override;
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

  std::string Trouble() const override;

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // A partition of the assignment.
  struct Part {
    Offset position = -1;           // of the next record wanted; -2 the log's beginning, -1 not chosen yet
    bool paused = false;            // unknown to librdkafka: nothing is fetched
    bool held = false;              // its queue isn't forwarded ...
    bool detached = false;          // ... and meanwhile fetchers were started without it
    bool reading = false;           // a record has come since the fetcher was started
    Offset doubted = -1;            // where the client said the log doesn't reach, though our position was another
    Offset end_told = -1;           // the end that was reported last; -1: none since the position was chosen
    std::string failure;            // why it couldn't be read last
    int64_t failing_since_us = -1;  // monotonic; no record and no end has come since; -1: it is read
    int64_t restart_at_us = -1;     // it stands still until then; -1: it doesn't
    bool taken() const { return !paused && restart_at_us < 0; }
  };

  RdConsumer(const KafkaSettings& settings, const ConsumerOptions& options, KafkaLog log)
      : settings_(settings), options_(options), log_(std::move(log)) {}

  absl::Status StartInstance();
  void DropInstance();
  bool FencedByItself() const;
  absl::Status Revive();
  void OnRebalance(rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t* partitions);
  void OnError(rd_kafka_resp_err_t code, const std::string& text);
  // Rebalances and errors that are not about one partition.
  void ServeEvents();
  // Takes what lies in the private queue; true if that gave `result` something.
  bool TakeRecords(size_t max_records, PollResult* result);
  void TakeRun(rd_kafka_message_t** messages, size_t count, PollResult* result);
  void OnPartitionError(const TopicPartition& source, Part* part, rd_kafka_resp_err_t code, const std::string& text);
  void TakeMessageError(const rd_kafka_message_t& message, PollResult* result);
  void WaitForEvent(int64_t wait_us);
  // Makes librdkafka's assignment the partitions that aren't paused, each fetched anew from our own position.
  absl::Status StartFetchers();
  absl::Status ForwardQueues();
  void LearnLeaders(const std::string& topic);
  absl::Status SetPaused(const std::vector<TopicPartition>& partitions, bool paused);
  absl::Status LeaveGroup();
  std::string What(const std::string& action) const;

  const KafkaSettings settings_;
  const ConsumerOptions options_;
  const KafkaLog log_;
  std::vector<std::string> subscription_;
  std::shared_ptr<RdHandle> handle_;
  Queue records_;
  int event_fd_ = -1;
  std::atomic<bool> woken_ = false;

  std::map<TopicPartition, Part> parts_;
  int64_t next_restart_us_ = kNever;  // the first of the parts'
  bool troubled_ = false;             // a part has been failing
  std::set<std::string> known_topics_;
  std::optional<Rebalance> rebalance_;  // noted, not yet handed out
  // The kind of a rebalance, noted or handed out, that no assignment has answered yet.
  rd_kafka_resp_err_t unanswered_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  bool closing_ = false;  // rebalances are answered on the spot
  bool closed_ = false;
  absl::Status pending_error_;  // for the next Poll
  absl::Status fatal_;          // for every Poll from now on
  std::vector<rd_kafka_message_t*> messages_;
  int64_t cut_off_us_ = -1;  // monotonic; when a connection was last missing; -1: never, or revived since
};

// What an error of one partition is where it has lasted longer than ConsumerOptions::patience_us.
absl::Status LastingPartitionError(rd_kafka_resp_err_t code, const std::string& message);

}  // namespace tidemark::rdkafka
