// The transactional producer over librdkafka.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_handle.h"
#include "src/kafka/rdkafka_reports.h"

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
  // A topic written to.
  struct Out {
    Topic topic;
    int32_t partitions = 0;
    WrittenOffsets* written = nullptr;  // where its offsets are asked for
  };

  explicit RdProducer(const ProducerOptions& options);

  // The topic's entry; asks the brokers for its partitions at first use.
  absl::StatusOr<Out*> Open(const std::string& topic);
  absl::StatusOr<int32_t> CountPartitions(rd_kafka_topic_t* topic) const;
  absl::Status CheckPartitions(Out* out, const std::string& topic, const std::vector<OutRecord>& records);
  // Records without headers, in the order of each partition.
  absl::Status ProducePlain(const Out& out, const std::string& topic, const OutRecord* records, size_t count);
  absl::Status ProduceBatch(const Out& out, const std::string& topic, int32_t partition, rd_kafka_message_t* batch,
                            size_t count);
  absl::Status ProduceWithHeaders(const Out& out, const std::string& topic, const OutRecord& record);
  // The error for a record that was not taken. A transaction that has failed meanwhile, by the answer to an earlier
  // record, takes none until it is aborted: librdkafka calls that an erroneous state.
  absl::Status Refused(rd_kafka_resp_err_t code, size_t bytes, const std::string& topic, int32_t partition);
  // Waits for room in a full queue; DeadlineExceeded when the transaction's time has passed without any.
  absl::Status WaitForRoom(int64_t since_us);
  absl::Status FromTransaction(Error error, const std::string& action);
  std::string What(const std::string& action) const;

  const ProducerOptions options_;
  // Called by the instance's threads until it has ended.
  std::map<std::string, WrittenOffsets> written_;
  DeliveryReports reports_;
  std::shared_ptr<RdHandle> handle_;
  std::map<std::string, Out> outs_;
  // Of one call of ProducePlain: the records by partition, and by partition their number, then where the next one goes.
  std::vector<rd_kafka_message_t> batch_;
  std::vector<uint32_t> places_;
  std::vector<int32_t> targets_;  // those with records
};

}  // namespace tidemark::rdkafka
