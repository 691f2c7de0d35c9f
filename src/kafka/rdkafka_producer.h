// The transactional producer over librdkafka.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark::rdkafka {

class RdProducer : public Producer {
 public:
  static absl::StatusOr<std::unique_ptr<Producer>> New(const KafkaSettings& settings, const ProducerOptions& options,
                                                       KafkaLog log);
  ~RdProducer() override;

  absl::Status InitTransactions() override;
  absl::Status Begin() override;
  absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& records) override;
  absl::Status Flush() override;
  std::optional<std::pair<Offset, Offset>> Written(const TopicPartition& partition) const override;
  absl::Status SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) override;
  CommitOutcome Commit(std::string* error) override;
  absl::Status Abort() override;

 private:
  // A topic written to, and by partition the offsets that the open transaction wrote: first, behind the last.
  struct Out {
    Topic topic;
    int32_t partitions = 0;
    std::vector<std::pair<Offset, Offset>> written;
  };

  explicit RdProducer(const ProducerOptions& options) : options_(options) {}

  void OnDelivery(const rd_kafka_message_t& message);
  // The topic's entry; asks the brokers for its partitions at first use.
  absl::StatusOr<Out*> Open(const std::string& topic);
  absl::StatusOr<int32_t> CountPartitions(rd_kafka_topic_t* topic) const;
  absl::Status CheckPartitions(Out* out, const std::string& topic, const std::vector<OutRecord>& records);
  absl::Status ProduceBatch(const Out& out, const std::string& topic, const OutRecord* records, size_t count);
  absl::Status ProduceWithHeaders(const Out& out, const std::string& topic, const OutRecord& record);
  // Makes room in a full queue; DeadlineExceeded when the transaction's time has passed without any.
  // The error for a record that was not taken. A transaction that has failed meanwhile, by the answer to an earlier record,
  // takes none until it is aborted: librdkafka calls that an erroneous state.
  absl::Status Refused(rd_kafka_resp_err_t code, const std::string& what);
  absl::Status WaitForRoom(int64_t since_us);
  absl::Status FromTransaction(Error error, const std::string& action);
  std::string What(const std::string& action) const;

  const ProducerOptions options_;
  std::shared_ptr<Handle> handle_;
  std::map<std::string, Out> outs_;
  absl::flat_hash_map<const rd_kafka_topic_t*, Out*> by_handle_;  // of outs_, as delivery reports name them
  absl::Status delivery_error_;                                   // the first of the open transaction
  std::vector<rd_kafka_message_t> batch_;
};

}  // namespace tidemark::rdkafka
