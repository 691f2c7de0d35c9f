#include "src/plan/kafka_properties.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

constexpr std::string_view kOwn[] = {
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "client.id",
    "compression.codec",
    "compression.type",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "message.timeout.ms",
    "offset.store.method",
    "partition.assignment.strategy",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queued.max.messages.kbytes",
    "request.required.acks",
    "transactional.id",
};

}  // namespace

std::string WhyOwnProperty(std::string_view name) {
  if (name == "bootstrap.servers" || name == "metadata.broker.list") return "write the brokers as kafka.brokers";
  if (std::find(std::begin(kOwn), std::end(kOwn), name) == std::end(kOwn)) return "";
  return absl::StrCat("'", std::string(name), "' is set by Tidemark: exactly-once or another setting rests on it");
}

}  // namespace tidemark
