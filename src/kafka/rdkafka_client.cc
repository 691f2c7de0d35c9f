#include "src/kafka/rdkafka_client.h"

#include <utility>

#include "src/base/status.h"
#include "src/kafka/rdkafka_admin.h"
#include "src/kafka/rdkafka_consumer.h"
#include "src/kafka/rdkafka_handle.h"
#include "src/kafka/rdkafka_producer.h"

namespace tidemark {
namespace {

class RdKafkaClient : public KafkaClient {
 public:
  RdKafkaClient(KafkaSettings settings, KafkaLog log, std::unique_ptr<Admin> admin)
      : settings_(std::move(settings)), log_(std::move(log)), admin_(std::move(admin)) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    return rdkafka::RdConsumer::New(settings_, options, log_);
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    return rdkafka::RdProducer::New(settings_, options, log_);
  }
  Admin& admin() override { return *admin_; }

 private:
  const KafkaSettings settings_;
  const KafkaLog log_;
  const std::unique_ptr<Admin> admin_;
};

}  // namespace

absl::Status CheckKafkaSettings(const KafkaSettings& settings) { return rdkafka::CheckProperties(settings); }

absl::StatusOr<std::unique_ptr<KafkaClient>> NewRdKafkaClient(const KafkaSettings& settings, KafkaLog log) {
  TM_RETURN_IF_ERROR(rdkafka::CheckProperties(settings));
  TM_ASSIGN_OR_RETURN(auto admin, rdkafka::RdAdmin::New(settings, log));
  return std::make_unique<RdKafkaClient>(settings, std::move(log), std::move(admin));
}

}  // namespace tidemark
