// A producer without transactions for filling topics: many small records, each with a timestamp of its own, as fast as
// one thread can hand them over. For the generators of src/cli; nothing that must be exactly-once goes through here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/kafka/rdkafka_client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct BulkRecord {
  int32_t partition = 0;
  int64_t timestamp_ms = 0;
  std::string_view key;
  std::string_view value;
};

// Used by one thread. Idempotent: what the broker's connection loses is sent again, in order, and stored once.
class BulkProducer {
 public:
  virtual ~BulkProducer() = default;

  // Copies the records into the client's queue; waits where that is full. An error of an earlier record may show here.
  virtual absl::Status Produce(const std::string& topic, std::span<const BulkRecord> records) = 0;
  // Waits until all records are acknowledged. DeadlineExceeded where the brokers take none for 30 seconds.
  virtual absl::Status Flush() = 0;
};

absl::StatusOr<std::unique_ptr<BulkProducer>> NewBulkProducer(const KafkaSettings& settings, KafkaLog log);

}  // namespace tidemark
