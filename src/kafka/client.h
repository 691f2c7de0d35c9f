// The seam to Kafka: consumers, transactional producers and topic administration, as small interfaces with two
// implementations: librdkafka (src/kafka/rdkafka_*.cc) and the simulator's log (tests/sim). A conformance suite runs
// the same scripts on both.
//
// Status codes follow src/base/action.h. Nothing here retries beyond what the client library does by itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"

namespace tidemark {

enum class Isolation { kReadCommitted, kReadUncommitted };

// A committed position and the text that was committed with it.
struct CommittedOffset {
  Offset offset = -1;
  std::string metadata;
};

struct OffsetToCommit {
  TopicPartition partition;
  Offset offset = 0;  // of the next record to process; never negative
  std::string metadata;
};

// The member's identity in its group at the moment an assignment arrived. A value: copied once when the assignment
// arrives, sent with every transaction under that assignment, so that a transaction can't span two generations.
class GroupMetadata {
 public:
  virtual ~GroupMetadata() = default;
  // False for a copy without member id or with a negative generation: counts as an assignment lost.
  virtual bool valid() const = 0;
  virtual std::string ToString() const = 0;
};

// A change of assignment, delivered by Poll and not yet acted upon: the group waits until the consumer answers it
// with Assign (kAssigned) or Unassign (kRevoked, kLost).
struct Rebalance {
  enum class Kind { kAssigned, kRevoked, kLost };
  Kind kind = Kind::kAssigned;
  std::vector<TopicPartition> partitions;
};

struct PollResult {
  std::vector<std::unique_ptr<Fetch>> fetches;
  // Partitions whose end has been reached after the records in `fetches`: the position is the offset of the end, past
  // control records. Reported once per arrival at the end.
  std::vector<std::pair<TopicPartition, Offset>> ends;
  std::optional<Rebalance> rebalance;  // with it, fetches and ends are empty
};

// Used by one thread. With a group (Subscribe) or without (Assign only: changelogs, tables).
class Consumer {
 public:
  virtual ~Consumer() = default;

  virtual absl::Status Subscribe(const std::vector<std::string>& topics) = 0;
  // Waits at most `max_wait_us` for the first record or event; returns what is there, at most about `max_records`.
  // PermissionDenied: fenced, another process uses this group.instance.id. Unavailable: all brokers are away, or a
  // partition can't be read (the client keeps trying; poll again). OutOfRange: a position lies outside the log
  // (auto.offset.reset is `error`). What a partition can't be read for and doesn't pass within
  // ConsumerOptions::patience_us is told as what it is: DataLoss where records are damaged, FailedPrecondition where
  // the topic was deleted or its records have an unknown format. Nothing behind such a place is ever handed out.
  virtual absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) = 0;
  // Any thread may call: a Poll that waits, or else the next one, doesn't wait any longer, and may return nothing.
  virtual void Wake() = 0;

  // Reads these partitions from these offsets from now on: answers an assignment, or starts a group-less reader. The
  // offset -2 means the log's beginning.
  virtual absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) = 0;
  // Like Assign, but keeps the partitions paused until Resume: the group gets its answer before state is restored.
  virtual absl::Status AssignPaused(const std::vector<TopicPartition>& partitions) = 0;
  virtual absl::Status Unassign() = 0;
  // Moves positions of assigned partitions; records already fetched from elsewhere never show up again.
  virtual absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) = 0;
  virtual absl::Status Pause(const std::vector<TopicPartition>& partitions) = 0;
  virtual absl::Status Resume(const std::vector<TopicPartition>& partitions) = 0;
  // Like Pause and Resume, but what is on its way may still come, as the others are read on without a break: for
  // partitions whose reader keeps what comes until it can go on.
  virtual absl::Status Hold(const std::vector<TopicPartition>& partitions) { return Pause(partitions); }
  virtual absl::Status Release(const std::vector<TopicPartition>& partitions) { return Resume(partitions); }

  // A copy of the member's identity now.
  virtual std::shared_ptr<const GroupMetadata> Group() = 0;
  // The group's committed positions, waiting for pending transactional ones (KIP-447 require_stable). Partitions
  // without one have offset -1. Unavailable on a time-out.
  virtual absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(
      const std::vector<TopicPartition>& partitions) = 0;
  // The end of a partition that is read (its high watermark) as the last answer to a fetch told it; -1: none has. Asks
  // nobody.
  virtual Offset KnownEnd(const TopicPartition& partition) const = 0;
  // Non-transactional commit, synchronous (external sinks).
  virtual absl::Status CommitOffsets(const std::vector<OffsetToCommit>& offsets) = 0;

  // Which partition can't be read now, why and since when; empty where all can. For people to read.
  virtual std::string Trouble() const { return ""; }

  // Bytes and records waiting in the client's queues may be dropped. With `leave_group` the static membership is given
  // up (scale-in); without, the member comes back under the same id (rolling restart).
  virtual absl::Status Close(bool leave_group) = 0;
};

enum class CommitOutcome {
  kCommitted,
  kAborted,  // certainly not committed; the producer can go on after Abort
  kUnknown,  // time-out or the like: this producer must be replaced, the log tells at the next opening
  kFenced,   // another producer with the same transactional.id has taken over
};

// A transactional producer. Used by one thread. Any error from Produce, Flush or SendOffsets means: Abort. Cancelled:
// fenced, or timed out. Aborted: retry after an abort. InvalidArgument: would recur (record too large, see
// record_too_large.h, not authorized, unknown topic): stop, naming the cause. Unavailable, DeadlineExceeded: abort,
// pause, retry.
class Producer {
 public:
  virtual ~Producer() = default;

  // Fences older producers of this transactional.id and waits until their transactions are resolved. Once, first.
  // Unavailable also where ProducerOptions::give_up has ended the wait.
  virtual absl::Status InitTransactions() = 0;
  virtual absl::Status Begin() = 0;
  // Copies the records into the client's queue; waits where that is full. `compression` is per producer, see options.
  virtual absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& records) = 0;
  // Waits until all records are acknowledged. Aborted also where they are, but Written couldn't tell where some stand.
  virtual absl::Status Flush() = 0;
  // Offsets (first, behind the last) of the records that this transaction wrote to a partition with Produce, known
  // after Flush; nothing where it wrote none, or where ProducerOptions::written_topics doesn't name the topic.
  virtual std::optional<std::pair<Offset, Offset>> Written(const TopicPartition& partition) const = 0;
  // PermissionDenied: the group's member is fenced. Cancelled: this producer is.
  virtual absl::Status SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) = 0;
  virtual CommitOutcome Commit(std::string* error) = 0;
  // Any error: this producer must be replaced, the next init_transactions of its transactional.id ends the transaction.
  // Unavailable also where records of it aren't acknowledged within a moment: it isn't known which of them the log has.
  virtual absl::Status Abort() = 0;
};

struct TopicInfo {
  int32_t partitions = 0;
  std::string id;  // a topic that was deleted and made again has another one; empty: the brokers tell none
};

// What a topic's brokers take.
struct TopicLimits {
  int64_t batch_bytes = 0;               // of records together, as they come; 0: not told
  std::string compression = "producer";  // how the topic keeps them: as they come, or by this codec
};

struct TopicToCreate {
  std::string topic;
  int32_t partitions = 1;
  int32_t replication_factor = -1;
  std::map<std::string, std::string> config;
};

// Who of a consumer group was given what, as its coordinator has it.
struct GroupMembers {
  struct Member {
    std::string name;                        // group.instance.id; of a dynamic member its client.id
    std::vector<std::string> topics;         // its subscription
    std::vector<TopicPartition> partitions;  // its assignment
    bool operator==(const Member&) const = default;
  };
  bool stable = false;  // it has members, and no rebalance is under way; else `members` is empty
  std::vector<Member> members;
  bool operator==(const GroupMembers&) const = default;
};

// Thread-safe.
class Admin {
 public:
  virtual ~Admin() = default;

  // Topics that don't exist are missing from the answer. Never creates one.
  virtual absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) = 0;
  // Topics whose configuration may not be read are missing from the answer: all of them where it isn't known how.
  virtual absl::StatusOr<std::map<std::string, TopicLimits>> Limits(const std::vector<std::string>& /*topics*/) {
    return std::map<std::string, TopicLimits>();
  }
  // All topics whose names begin so, as far as this user may see them.
  virtual absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string& prefix) = 0;
  // Creates and waits until all partitions have a leader; a topic that exists is left alone.
  virtual absl::Status CreateTopics(const std::vector<TopicToCreate>& topics) = 0;
  virtual absl::StatusOr<Offset> LogStart(const TopicPartition& partition) = 0;
  // The end: the high watermark (read_uncommitted) or the last stable offset (read_committed).
  virtual absl::StatusOr<Offset> LogEnd(const TopicPartition& partition, Isolation isolation) = 0;
  // The same of many partitions, by one request to each of their leaders. Those that can't be answered for now, as
  // without a leader, and those that don't exist are missing from the answer. Unavailable where nobody answered.
  virtual absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) = 0;
  virtual absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>& partitions,
                                                                   Isolation isolation) = 0;
  // The first offset whose record is not older; LogEnd where there is none.
  virtual absl::StatusOr<Offset> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) = 0;
  // Trims the log before the offset.
  virtual absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) = 0;
  // Committed positions of any group, e.g. to find the slowest follower; -1 where there is none.
  virtual absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(
      const std::string& group, const std::vector<TopicPartition>& partitions) = 0;
  // A group that nobody has made has no members.
  virtual absl::StatusOr<GroupMembers> GroupAssignments(const std::string& group) = 0;
};

struct ConsumerOptions {
  std::string group;        // empty: no group
  std::string instance_id;  // group.instance.id; empty: dynamic member
  Isolation isolation = Isolation::kReadCommitted;
  std::string client_id;
  int64_t queue_bytes = int64_t{32} << 20;  // what the client may prefetch
  int64_t patience_us = 60'000'000;         // how long an error of one partition may last before it is final
};

struct ProducerOptions {
  std::string transactional_id;
  std::string client_id;
  // compression.codec by topic; others get lz4.
  std::map<std::string, std::string> compression;
  // Topics for which Written knows the offsets.
  std::vector<std::string> written_topics;
  int64_t queue_bytes = int64_t{64} << 20;
  int64_t batch_bytes = 1'000'000;  // of records sent as one, before compression; one record alone may be larger
  int64_t linger_us = 5'000;        // how long a record waits for others of its partition, where no Flush sends it
  // After so long the broker aborts a transaction; nothing that takes longer can succeed. It holds back those who read
  // what is committed behind it, so only what is written once and nobody waits for may take longer than this.
  int64_t transaction_timeout_us = 10'000'000;
  // Looked at while InitTransactions waits for brokers, by its thread: true ends the wait. Null: nobody asks.
  std::function<bool()> give_up;
};

// One cluster. Thread-safe.
class KafkaClient {
 public:
  virtual ~KafkaClient() = default;
  virtual absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) = 0;
  virtual absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) = 0;
  virtual Admin& admin() = 0;
};

}  // namespace tidemark
