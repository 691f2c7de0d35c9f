// What consumers, producers and the admin client over librdkafka share: how a client instance is configured, started
// and ended, how its errors become Status, and how lists of partitions are built. Only src/kafka includes this.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <librdkafka/rdkafka.h>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_client.h"
#include "src/plan/plan.h"

namespace tidemark::rdkafka {

// Owners of librdkafka's objects.
template <auto kDestroy>
struct Destroy {
  template <typename T>
  void operator()(T* object) const {
    kDestroy(object);
  }
};
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Error = std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;

PartitionList NewPartitionList(const std::vector<TopicPartition>& partitions);
// Internal where an offset is negative: librdkafka would leave it out without a word.
absl::StatusOr<PartitionList> NewOffsetList(const std::vector<OffsetToCommit>& offsets);
TopicPartition ToTopicPartition(const rd_kafka_topic_partition_t& partition);

// One property, as librdkafka names it.
using Property = std::pair<std::string, std::string>;

class RdHandle;

// What an instance reports outside of calls. Called by librdkafka from within the polls of the instance's own thread.
struct HandleEvents {
  std::function<void(rd_kafka_resp_err_t code, const std::string& text)> on_error;  // transport and the like
  std::function<void(rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t* partitions)> on_rebalance;
  std::function<void(const rd_kafka_message_t& message)> on_delivery;
  // A producer that takes reports in another way sets it up here.
  std::function<void(rd_kafka_conf_t* conf)> configure;
};

// A running client instance. Shared by what must not outlive it, such as fetched records: the last owner destroys it.
class RdHandle {
 public:
  // `ours` are Tidemark's properties. The user's may change those among them that are tuning, never those that are
  // owned.
  static absl::StatusOr<std::shared_ptr<RdHandle>> New(rd_kafka_type_t type, const KafkaSettings& settings,
                                                       const std::vector<Property>& ours, KafkaLog log,
                                                       HandleEvents events);
  ~RdHandle();
  RdHandle(const RdHandle&) = delete;
  RdHandle& operator=(const RdHandle&) = delete;

  rd_kafka_t* rk() const { return rk_; }
  const std::string& brokers() const { return brokers_; }
  // No event is delivered after this: their receiver is going away.
  void Detach() { events_ = HandleEvents(); }

 private:
  RdHandle(KafkaLog log, HandleEvents events, std::string brokers)
      : log_(std::move(log)), events_(std::move(events)), brokers_(std::move(brokers)) {}
  void SetCallbacks(rd_kafka_conf_t* conf, rd_kafka_type_t type);

  rd_kafka_t* rk_ = nullptr;
  KafkaLog log_;
  HandleEvents events_;
  std::string brokers_;
};

// InvalidArgument where one of the user's properties is unknown, malformed or Tidemark's own.
absl::Status CheckProperties(const KafkaSettings& settings);

// librdkafka's error as ours; `what` is the thing it happened to ("committing offsets of group 'town-1'").
absl::Status FromError(rd_kafka_resp_err_t code, const std::string& text, const std::string& what);
inline absl::Status FromError(rd_kafka_resp_err_t code, const std::string& what) {
  return FromError(code, rd_kafka_err2str(code), what);
}
// True for errors whose code is the message, whatever the instance or its transaction is to do next: fenced, or would
// recur.
bool SaysMoreThanItsState(const absl::Status& status);
// Asks for the underlying error where `code` says no more than that the instance has failed for good.
absl::Status FromFatal(rd_kafka_t* rk, rd_kafka_resp_err_t code, const std::string& text, const std::string& what);

}  // namespace tidemark::rdkafka
