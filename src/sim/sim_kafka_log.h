// The brokers' side of the simulated Kafka: topics, logs with their control records, transactions, committed offsets.
// Nothing here fails at random; faults are injected above, by the cluster.
//
// A transaction, by its transactional.id:
//
//   empty --(first record or offset)--> ongoing --End--> completing --(a marker in every partition)--> empty
//                                          |
//                                          +--(time-out, or a new owner)--> aborted, its producer fenced
//
// While it is completing, its markers may be in some partitions already and not yet in others, as with real brokers.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/kafka/client.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

struct SimRecord {
  enum class Kind { kData, kCommitMarker, kAbortMarker };

  Kind kind = Kind::kData;
  bool aborted = false;  // of a transaction that was aborted
  Offset offset = 0;
  int64_t producer_id = -1;
  int64_t timestamp_ms = -1;
  std::optional<std::string> key;
  std::optional<std::string> value;
  HeaderList headers;
};

struct SimPartition {
  Offset start = 0;
  Offset end = 0;  // the high watermark
  std::deque<SimRecord> records;
  std::map<int64_t, Offset> open;  // by producer id, the first offset of its open transaction

  Offset last_stable() const;
  Offset End(Isolation isolation) const { return isolation == Isolation::kReadCommitted ? last_stable() : end; }
  // The record at an offset in [start, end).
  const SimRecord& At(Offset offset) const { return records[static_cast<size_t>(offset - start)]; }
  void Append(SimRecord record);
  void Trim(Offset before);
};

// A producer's right to write under a transactional.id: void once another one has a higher epoch.
struct ProducerSession {
  int64_t id = -1;
  int32_t epoch = -1;
};

class SimLog {
 public:
  // `marker_delay_us`: markers are written at a random time within it after the end of a transaction.
  SimLog(SimRandom* random, int64_t transaction_timeout_us, int64_t marker_delay_us, size_t max_record_bytes)
      : random_(random),
        transaction_timeout_us_(transaction_timeout_us),
        marker_delay_us_(marker_delay_us),
        max_record_bytes_(max_record_bytes) {}

  // Brings transactions to the present: time-outs, and markers that are due.
  void Tick(int64_t now_us);

  void CreateTopic(const std::string& topic, int32_t partitions);
  // Deletes it, with the offsets that groups have in it, and makes it again: another topic of the same name.
  void RemakeTopic(const std::string& topic, int32_t partitions);
  // As an operator does to a topic that is in use.
  void AddPartitions(const std::string& topic, int32_t partitions);
  // Empty where there is no such topic.
  std::string TopicId(const std::string& topic) const;
  // Zero where there is no such topic.
  int32_t PartitionCount(const std::string& topic) const;
  // The partition counts of all topics.
  std::map<std::string, int32_t> topics() const {
    std::map<std::string, int32_t> counts;
    for (const auto& [topic, partitions] : topics_) counts[topic] = static_cast<int32_t>(partitions.size());
    return counts;
  }
  SimPartition* Find(const TopicPartition& tp);

  // Aborts or completes what an older owner left, and fences it.
  ProducerSession InitProducer(const std::string& transactional_id, int64_t now_us);
  // Cancelled: fenced. InvalidArgument: no such partition, or too large.
  absl::StatusOr<Offset> Append(const std::string& transactional_id, ProducerSession session, const TopicPartition& tp,
                                SimRecord record, int64_t now_us);
  absl::Status AddOffsets(const std::string& transactional_id, ProducerSession session, const std::string& group,
                          const std::vector<OffsetToCommit>& offsets, int64_t now_us);
  absl::Status CheckSession(const std::string& transactional_id, ProducerSession session) const;
  absl::Status EndTransaction(const std::string& transactional_id, ProducerSession session, bool commit,
                              int64_t now_us);

  // Without regard to transactions, as an external sink commits.
  void CommitOffsets(const std::string& group, const std::vector<OffsetToCommit>& offsets);
  // Unavailable while a transaction holds offsets of one of them.
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Offsets(
      const std::string& group, const std::vector<TopicPartition>& partitions) const;
  // The last one that was committed, whatever is pending; offset -1 where there is none.
  CommittedOffset StableOffset(const std::string& group, const TopicPartition& tp) const;
  // As after seven idle days.
  void ForgetGroupOffsets(const std::string& group) { offsets_.erase(group); }

  // Limits are lowered, or raised.
  void set_max_record_bytes(size_t bytes) { max_record_bytes_ = bytes; }
  size_t max_record_bytes() const { return max_record_bytes_; }

  int64_t transactions_timed_out() const { return transactions_timed_out_; }

 private:
  // Where the record of it stands in the coordinator's own log decides which of two offsets is the newer one, not which
  // of two transactions' markers comes first.
  struct AppendedOffset {
    CommittedOffset committed;
    int64_t appended = 0;
  };
  using GroupOffsets = std::map<TopicPartition, AppendedOffset>;

  struct Transaction {
    ProducerSession session;
    bool ongoing = false;
    int64_t started_us = 0;
    std::set<TopicPartition> partitions;
    std::map<std::string, GroupOffsets> offsets;  // pending, by group
    // Completing: what is left to be marked. Empty offsets and partitions once all is done.
    std::optional<bool> decision;  // true: commit
    std::map<TopicPartition, int64_t> partitions_due_us;
    int64_t offsets_due_us = 0;
  };

  void Start(Transaction* txn, int64_t now_us);
  void Decide(Transaction* txn, bool commit, int64_t now_us);
  // Writes the markers that are due by `now_us`.
  void Mark(Transaction* txn, int64_t now_us);
  void MarkPartition(const Transaction& txn, const TopicPartition& tp, int64_t now_us);

  SimRandom* const random_;
  const int64_t transaction_timeout_us_;
  const int64_t marker_delay_us_;
  size_t max_record_bytes_;
  std::map<std::string, std::vector<SimPartition>> topics_;
  std::map<std::string, int> made_;  // how often a topic of this name was made
  std::map<std::string, Transaction> transactions_;
  std::map<std::string, GroupOffsets> offsets_;
  int64_t next_producer_id_ = 1;
  int64_t offsets_appended_ = 0;
  int64_t transactions_timed_out_ = 0;
};

}  // namespace tidemark::sim
