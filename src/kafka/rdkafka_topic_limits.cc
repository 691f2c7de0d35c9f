// How large a record a topic takes, by DescribeConfigs.
#include <algorithm>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/kafka/rdkafka_admin.h"

namespace tidemark::rdkafka {
namespace {

constexpr int kRequestTimeoutMs = 10'000;

TopicLimits LimitsOf(const rd_kafka_ConfigResource_t* resource) {
  TopicLimits limits;
  size_t count = 0;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view name = rd_kafka_ConfigEntry_name(entries[i]);
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value == nullptr) continue;
    if (name == "compression.type") limits.compression = value;
    // A batch must fit a segment as well.
    int64_t bytes = 0;
    if ((name == "max.message.bytes" || name == "segment.bytes") && absl::SimpleAtoi(value, &bytes)) {
      limits.batch_bytes = limits.batch_bytes == 0 ? bytes : std::min(limits.batch_bytes, bytes);
    }
  }
  return limits;
}

}  // namespace

absl::StatusOr<std::map<std::string, TopicLimits>> RdAdmin::Limits(const std::vector<std::string>& topics) {
  std::map<std::string, TopicLimits> limits;
  if (topics.empty()) return limits;
  rd_kafka_t* client = rk(Isolation::kReadCommitted);
  std::vector<rd_kafka_ConfigResource_t*> requests;
  const auto destroy = absl::MakeCleanup([&requests] {
    for (rd_kafka_ConfigResource_t* request : requests) rd_kafka_ConfigResource_destroy(request);
  });
  for (const std::string& topic : topics) {
    requests.push_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  }
  char text[256];
  const std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kRequestTimeoutMs, text, sizeof text);
  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_DescribeConfigs(client, requests.data(), requests.size(), options.get(), queue.get());
  TM_ASSIGN_OR_RETURN(const Event event, Answer(queue.get(), "reading the configuration of topics"));
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const std::string topic = rd_kafka_ConfigResource_name(resources[i]);
    if (rd_kafka_ConfigResource_error(resources[i]) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      limits[topic] = LimitsOf(resources[i]);
    } else if (log_) {
      const char* why = rd_kafka_ConfigResource_error_string(resources[i]);
      log_(4, absl::StrCat("how large a record topic '", topic, "' takes isn't known: ", why != nullptr ? why : ""));
    }
  }
  return limits;
}

}  // namespace tidemark::rdkafka
