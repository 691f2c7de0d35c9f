// The Kafka client of src/kafka/client.h over librdkafka. This header names no type of librdkafka's, so that whoever
// wires the process needs nothing else.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Receives what librdkafka logs; `level` is a syslog level (3 error, 4 warning, 6 info). Called from threads of
// librdkafka's, several at a time, and never with a secret: values of passwords are masked.
using KafkaLog = std::function<void(int level, std::string_view text)>;

// Asks nobody. InvalidArgument: a property is unknown (with the nearest that there is), malformed, or one that Tidemark
// sets itself.
absl::Status CheckKafkaSettings(const KafkaSettings& settings);

// Connects. InvalidArgument: a property is unknown, malformed, or one that Tidemark sets itself. Unavailable: no broker
// answered within 10 seconds; the text names the brokers and the last error.
absl::StatusOr<std::unique_ptr<KafkaClient>> NewRdKafkaClient(const KafkaSettings& settings, KafkaLog log);

}  // namespace tidemark
