#include "src/kafka/bulk_producer.h"

#include <map>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark {
namespace {

constexpr int64_t kStalledUs = 30'000'000;

std::vector<rdkafka::Property> Properties() {
  return {
      {"client.id", "tidemark-generate"},
      {"enable.idempotence", "true"},
      {"linger.ms", "20"},
      {"batch.num.messages", "100000"},
      {"batch.size", "900000"},  // brokers take batches of 1 MB by default
      {"queue.buffering.max.messages", "1000000"},
      {"queue.buffering.max.kbytes", "131072"},
      {"compression.codec", "lz4"},
      // One report a failed record, none for the others.
      {"delivery.report.only.error", "true"},
  };
}

class RdBulkProducer : public BulkProducer {
 public:
  static absl::StatusOr<std::unique_ptr<BulkProducer>> New(const KafkaSettings& settings, KafkaLog log) {
    std::unique_ptr<RdBulkProducer> producer(new RdBulkProducer());
    RdBulkProducer* self = producer.get();
    rdkafka::HandleEvents events;
    events.on_delivery = [self](const rd_kafka_message_t& message) { self->OnDelivery(message); };
    TM_ASSIGN_OR_RETURN(producer->handle_, rdkafka::RdHandle::New(RD_KAFKA_PRODUCER, settings, Properties(),
                                                                  std::move(log), std::move(events)));
    return producer;
  }

  ~RdBulkProducer() override {
    if (handle_ == nullptr) return;
    handle_->Detach();
    rd_kafka_purge(handle_->rk(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    topics_.clear();  // topics end before their instance
  }

  absl::Status Produce(const std::string& topic, std::span<const BulkRecord> records) override {
    rd_kafka_topic_t* out = Open(topic);
    if (out == nullptr) return rdkafka::FromError(rd_kafka_last_error(), absl::StrCat("topic '", topic, "'"));
    for (const BulkRecord& record : records) TM_RETURN_IF_ERROR(ProduceOne(out, topic, record));
    rd_kafka_poll(handle_->rk(), 0);
    return delivery_error_;
  }

  absl::Status Flush() override {
    return WaitUntil([this] { return rd_kafka_flush(handle_->rk(), 100) == RD_KAFKA_RESP_ERR_NO_ERROR; });
  }

 private:
  RdBulkProducer() = default;

  rd_kafka_topic_t* Open(const std::string& topic) {
    rdkafka::Topic& handle = topics_[topic];
    if (handle == nullptr) handle.reset(rd_kafka_topic_new(handle_->rk(), topic.c_str(), nullptr));
    return handle.get();
  }

  absl::Status ProduceOne(rd_kafka_topic_t* out, const std::string& topic, const BulkRecord& record) {
    // The array form: parsing variable arguments costs as much again as queueing a record.
    rd_kafka_vu_t vus[6];
    vus[0].vtype = RD_KAFKA_VTYPE_RKT;
    vus[0].u.rkt = out;
    vus[1].vtype = RD_KAFKA_VTYPE_PARTITION;
    vus[1].u.i32 = record.partition;
    vus[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    vus[2].u.i = RD_KAFKA_MSG_F_COPY;
    vus[3].vtype = RD_KAFKA_VTYPE_KEY;
    vus[3].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
    vus[4].vtype = RD_KAFKA_VTYPE_VALUE;
    vus[4].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
    vus[5].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    vus[5].u.i64 = record.timestamp_ms;
    const auto produced = [&] {
      code_ = Code(rd_kafka_produceva(handle_->rk(), vus, 6));
      return code_ != RD_KAFKA_RESP_ERR__QUEUE_FULL;
    };
    if (!produced()) [[unlikely]]
      TM_RETURN_IF_ERROR(WaitUntil(produced));
    if (code_ == RD_KAFKA_RESP_ERR_NO_ERROR) [[likely]]
      return absl::OkStatus();
    return rdkafka::FromFatal(handle_->rk(), code_, rd_kafka_err2str(code_), absl::StrCat("writing to ", topic));
  }

  static rd_kafka_resp_err_t Code(rd_kafka_error_t* raw) {
    if (raw == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
    const rdkafka::Error error(raw);
    return rd_kafka_error_code(error.get());
  }

  // Serves the client until `done`, an error, or a queue that stands still for too long.
  template <typename Done>
  absl::Status WaitUntil(Done done) {
    int64_t last_change_us = SystemClock()->MonotonicUs();
    int last = rd_kafka_outq_len(handle_->rk());
    while (!done()) {
      rd_kafka_poll(handle_->rk(), 5);
      TM_RETURN_IF_ERROR(delivery_error_);
      const int now = rd_kafka_outq_len(handle_->rk());
      const int64_t now_us = SystemClock()->MonotonicUs();
      if (now != last) last = now, last_change_us = now_us;
      if (now_us - last_change_us > kStalledUs) {
        return absl::DeadlineExceededError(
            absl::StrCat("the brokers ", handle_->brokers(), " take no records; ", now, " are waiting"));
      }
    }
    return delivery_error_;
  }

  void OnDelivery(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR || !delivery_error_.ok()) return;
    delivery_error_ = rdkafka::FromFatal(handle_->rk(), message.err, rd_kafka_message_errstr(&message),
                                         absl::StrCat("writing to ", rd_kafka_topic_name(message.rkt)));
  }

  std::shared_ptr<rdkafka::RdHandle> handle_;
  std::map<std::string, rdkafka::Topic> topics_;
  rd_kafka_resp_err_t code_ = RD_KAFKA_RESP_ERR_NO_ERROR;  // of the last record
  absl::Status delivery_error_;                            // the first
};

}  // namespace

absl::StatusOr<std::unique_ptr<BulkProducer>> NewBulkProducer(const KafkaSettings& settings, KafkaLog log) {
  return RdBulkProducer::New(settings, std::move(log));
}

}  // namespace tidemark
