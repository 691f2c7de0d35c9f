#include "src/kafka/appender.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/synchronization/mutex.h>

#include "src/base/status.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark {
namespace {

constexpr int kMaxRecordBytes = 18 << 20;
constexpr int kPollMs = 100;
constexpr auto kLettingGo = std::chrono::milliseconds(500);

std::vector<rdkafka::Property> Properties(const std::string& client_id, int64_t patience_us) {
  return {
      {"client.id", client_id},
      {"enable.idempotence", "true"},
      {"linger.ms", "2"},
      {"message.timeout.ms", absl::StrCat(patience_us / 1'000)},
      {"message.max.bytes", absl::StrCat(kMaxRecordBytes)},
      // A batch of records that are close to the broker's limit each would be refused as a whole.
      {"batch.size", "900000"},
      {"queue.buffering.max.kbytes", "262144"},
      {"compression.codec", "lz4"},
      {"socket.nagle.disable", "true"},
      {"reconnect.backoff.max.ms", "1000"},
  };
}

std::string RandomName() {
  std::random_device device;
  return absl::StrFormat("%08x%08x%08x%08x", device(), device(), device(), device());
}

// Errors of the record itself, which no broker writes before it answers with them.
bool IsRefusal(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return true;
    default:
      return false;
  }
}

// A client instance, and the thread that takes its reports. Append: one thread at a time.
class Instance {
 public:
  static absl::StatusOr<std::unique_ptr<Instance>> New(const KafkaSettings& settings, const std::string& client_id,
                                                       int64_t patience_us, KafkaLog log) {
    std::unique_ptr<Instance> instance(new Instance());
    rdkafka::HandleEvents events;
    events.on_delivery = [self = instance.get()](const rd_kafka_message_t& message) { self->OnDelivery(message); };
    TM_ASSIGN_OR_RETURN(instance->handle_,
                        rdkafka::RdHandle::New(RD_KAFKA_PRODUCER, settings, Properties(client_id, patience_us),
                                               std::move(log), std::move(events)));
    instance->thread_ = std::thread([self = instance.get()] {
      while (!self->stop_) rd_kafka_poll(self->handle_->rk(), kPollMs);
    });
    return instance;
  }

  ~Instance() {
    if (handle_ == nullptr) return;
    Close(0);
    topics_.clear();  // topics end before their instance
  }

  // An idempotent producer that has met what it can't make good, such as a log that lost records, writes no more.
  bool failed() const { return rd_kafka_fatal_error(handle_->rk(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR; }

  void Append(const std::string& topic, int32_t partition, std::string_view value, Appender::Done done) {
    rdkafka::Topic& out = topics_[topic];
    if (out == nullptr) out.reset(rd_kafka_topic_new(handle_->rk(), topic.c_str(), nullptr));
    if (out == nullptr) return done(NotIn(rd_kafka_last_error(), topic));
    const std::string by = absl::StrCat(writer_, ":", ++numbers_[{topic, partition}]);
    void* const ticket = Keep(std::move(done));
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        handle_->rk(), RD_KAFKA_V_RKT(out.get()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
        RD_KAFKA_V_HEADER(kAppendedHeader, by.data(), by.size()), RD_KAFKA_V_OPAQUE(ticket), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) Tell(ticket, NotIn(code, topic));
  }

  void Close(int64_t max_wait_us) {
    if (stop_) return;
    rd_kafka_flush(handle_->rk(), static_cast<int>(max_wait_us / 1'000));
    stop_ = true;
    thread_.join();
    GiveUpTheRest();
  }

 private:
  Instance() = default;

  static Appended NotIn(rd_kafka_resp_err_t code, const std::string& topic) {
    return {Appended::Outcome::kNotIn, -1, rdkafka::FromError(code, "writing to " + topic)};
  }

  // The client calls back for each record once its own threads come to it, which may be busy with brokers.
  void GiveUpTheRest() {
    rd_kafka_purge(handle_->rk(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    const auto until = std::chrono::steady_clock::now() + kLettingGo;
    while (rd_kafka_outq_len(handle_->rk()) > 0 && std::chrono::steady_clock::now() < until) {
      rd_kafka_poll(handle_->rk(), 10);
    }
    std::map<void*, std::unique_ptr<Appender::Done>> left;
    {
      const absl::MutexLock lock(&mutex_);
      left.swap(waiting_);
    }
    for (const auto& [ticket, done] : left) {
      (*done)({Appended::Outcome::kUnknown, -1, absl::UnavailableError("given up when its client was closed")});
    }
  }

  // Its name with the client, which hands that back.
  void* Keep(Appender::Done done) {
    auto kept = std::make_unique<Appender::Done>(std::move(done));
    void* const ticket = kept.get();
    const absl::MutexLock lock(&mutex_);
    waiting_[ticket] = std::move(kept);
    return ticket;
  }

  void Tell(void* ticket, const Appended& what) {
    std::unique_ptr<Appender::Done> done;
    {
      const absl::MutexLock lock(&mutex_);
      const auto found = waiting_.find(ticket);
      if (found == waiting_.end()) return;  // was told that it is given up
      done = std::move(found->second);
      waiting_.erase(found);
    }
    (*done)(what);
  }

  void OnDelivery(const rd_kafka_message_t& message) {
    const rd_kafka_msg_status_t status = rd_kafka_message_status(&message);
    Appended what;
    what.outcome = Appended::Outcome::kUnknown;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      what.status = rdkafka::FromError(message.err, absl::StrCat("writing to ", rd_kafka_topic_name(message.rkt)));
      const bool refused = status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED && IsRefusal(message.err);
      if (refused) what.outcome = Appended::Outcome::kNotIn;
    } else if (status == RD_KAFKA_MSG_STATUS_PERSISTED) {
      what.outcome = Appended::Outcome::kIn;
      what.offset = message.offset;
    }
    Tell(message._private, what);
  }

  absl::Mutex mutex_;
  std::map<void*, std::unique_ptr<Appender::Done>> waiting_ ABSL_GUARDED_BY(mutex_);

  std::shared_ptr<rdkafka::RdHandle> handle_;
  const std::string writer_ = RandomName();
  std::map<std::string, rdkafka::Topic> topics_;
  std::map<TopicPartition, int64_t> numbers_;  // of the last record
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class RdAppender final : public Appender {
 public:
  using Maker = std::function<absl::StatusOr<std::unique_ptr<Instance>>()>;

  RdAppender(Maker make, std::unique_ptr<Instance> first) : make_(std::move(make)), instance_(std::move(first)) {}

  void Append(const std::string& topic, int32_t partition, std::string_view value, Done done) override {
    const absl::MutexLock lock(&mutex_);
    if (instance_ != nullptr && instance_->failed()) {
      instance_->Close(0);
      absl::StatusOr<std::unique_ptr<Instance>> next = make_();
      if (!next.ok()) return done({Appended::Outcome::kNotIn, -1, next.status()});
      instance_ = *std::move(next);
    }
    if (instance_ == nullptr) return done({Appended::Outcome::kNotIn, -1, absl::UnavailableError("the worker stops")});
    instance_->Append(topic, partition, value, std::move(done));
  }

  void Close(int64_t max_wait_us) override {
    const absl::MutexLock lock(&mutex_);
    if (instance_ != nullptr) instance_->Close(max_wait_us);
    instance_.reset();
  }

 private:
  const Maker make_;
  absl::Mutex mutex_;
  std::unique_ptr<Instance> instance_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::optional<AppendedBy> ParseAppendedBy(std::string_view text) {
  const size_t colon = text.rfind(':');
  AppendedBy by;
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  if (!absl::SimpleAtoi({text.data() + colon + 1, text.size() - colon - 1}, &by.number)) return std::nullopt;
  by.writer = std::string(text.substr(0, colon));
  return by;
}

absl::StatusOr<std::unique_ptr<Appender>> NewRdAppender(const KafkaSettings& settings, const std::string& client_id,
                                                        int64_t patience_us, KafkaLog log) {
  RdAppender::Maker make = [settings, client_id, patience_us, log = std::move(log)] {
    return Instance::New(settings, client_id, patience_us, log);
  };
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Instance> first, make());
  return std::make_unique<RdAppender>(std::move(make), std::move(first));
}

}  // namespace tidemark
