// A Fetch over librdkafka's messages, which it keeps until it is destroyed, and the group metadata over librdkafka's.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark::rdkafka {

class RdFetch : public Fetch {
 public:
  // Takes the messages over; all are of one partition, in offset order, without errors.
  RdFetch(std::shared_ptr<RdHandle> handle, TopicPartition source, rd_kafka_message_t** messages, size_t count);
  ~RdFetch() override;

  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t i) const override;

 private:
  const std::shared_ptr<RdHandle> handle_;  // a message must not outlive the instance it came from
  const TopicPartition source_;
  std::vector<rd_kafka_message_t*> messages_;
  std::vector<RecordView> records_;
};

class RdGroupMetadata : public GroupMetadata {
 public:
  // Takes `metadata` over; null counts as an assignment lost.
  explicit RdGroupMetadata(rd_kafka_consumer_group_metadata_t* metadata);

  bool valid() const override { return generation_ >= 0 && !member_id_.empty(); }
  std::string ToString() const override {
    return absl::StrCat("group '", group_, "' generation ", generation_, " member '", member_id_, "'");
  }
  const rd_kafka_consumer_group_metadata_t* get() const { return metadata_.get(); }

 private:
  std::unique_ptr<rd_kafka_consumer_group_metadata_t, Destroy<rd_kafka_consumer_group_metadata_destroy>> metadata_;
  std::string group_;
  std::string member_id_;
  int32_t generation_ = -1;
};

}  // namespace tidemark::rdkafka
