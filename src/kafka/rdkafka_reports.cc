#include "src/kafka/rdkafka_reports.h"

#include <algorithm>

namespace tidemark::rdkafka {
namespace {

// Stop rings; this only bounds what a ring that came too early could cost.
constexpr int kLongestWaitMs = 100;

rd_kafka_resp_err_t OnAcknowledged(rd_kafka_t*, rd_kafka_message_t* message, void*) {
  if (message->_private != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    static_cast<WrittenOffsets*>(message->_private)->Add(message->partition, message->offset);
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t OnNew(rd_kafka_t* rk, const rd_kafka_conf_t*, void*, char*, size_t) {
  return rd_kafka_interceptor_add_on_acknowledgement(rk, "tidemark", OnAcknowledged, nullptr);
}

}  // namespace

void WrittenOffsets::Clear() {
  const absl::MutexLock lock(&mutex_);
  offsets_.clear();
  complete_ = true;
}

void WrittenOffsets::Add(int32_t partition, Offset offset) {
  const absl::MutexLock lock(&mutex_);
  if (partition < 0 || offset < 0) {
    complete_ = false;
    return;
  }
  auto& [first, behind] = offsets_.try_emplace(partition, offset, offset).first->second;
  first = std::min(first, offset);
  behind = std::max(behind, offset + 1);
}

bool WrittenOffsets::complete() const {
  const absl::MutexLock lock(&mutex_);
  return complete_;
}

std::optional<std::pair<Offset, Offset>> WrittenOffsets::Get(int32_t partition) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = offsets_.find(partition);
  if (found == offsets_.end()) return std::nullopt;
  return found->second;
}

void DeliveryReports::Configure(rd_kafka_conf_t* conf) {
  char text[512];
  rd_kafka_conf_set(conf, "delivery.report.only.error", "true", text, sizeof text);
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
  rd_kafka_conf_interceptor_add_on_new(conf, "tidemark", OnNew, nullptr);
}

void DeliveryReports::Start(rd_kafka_t* rk, Explain explain) {
  queue_.reset(rd_kafka_queue_get_main(rk));
  explain_ = std::move(explain);
  thread_ = std::thread([this] { Run(); });
}

void DeliveryReports::Stop() {
  if (!thread_.joinable()) return;
  {
    const absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  rd_kafka_queue_yield(queue_.get());
  thread_.join();
  queue_.reset();
}

void DeliveryReports::Run() {
  const auto stopped = [this] {
    const absl::MutexLock lock(&mutex_);
    return stopped_;
  };
  while (!stopped()) {
    const Event event(rd_kafka_queue_poll(queue_.get(), kLongestWaitMs));
    if (event == nullptr || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) continue;
    // A flush counts the records of this event until it is destroyed, and so never ends before the error stands here.
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get())) {
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const absl::MutexLock lock(&mutex_);
      if (error_.ok()) error_ = explain_(*message);
    }
  }
}

absl::Status DeliveryReports::error() const {
  const absl::MutexLock lock(&mutex_);
  return error_;
}

absl::Status DeliveryReports::WaitForError(int64_t max_wait_us) const {
  const absl::MutexLock lock(&mutex_);
  const auto failed = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !error_.ok(); };
  mutex_.AwaitWithTimeout(absl::Condition(&failed), absl::Microseconds(max_wait_us));
  return error_;
}

void DeliveryReports::Clear() {
  const absl::MutexLock lock(&mutex_);
  error_ = absl::OkStatus();
}

}  // namespace tidemark::rdkafka
