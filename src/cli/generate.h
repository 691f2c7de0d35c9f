// `tidemark generate htx`: creates and fills the topics of the HTX example. The flags are main's; here is what they
// mean.
#pragma once

#include <atomic>
#include <cstdint>
#include <ostream>
#include <string>

#include <absl/status/status.h>

#include "src/cli/generate_data.h"
#include "src/kafka/rdkafka_client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct GenerateHtxOptions {
  KafkaSettings kafka;
  int64_t records = 5'000'000;
  int64_t skip = 0;                 // records left out at the front: a second call goes on where the first one ended
  double rate = 0;                  // records a second by the wall clock; 0: as fast as possible
  bool live = false;                // event time is the wall clock's, not the shape's
  int32_t partitions = 4;           // of the detections
  int32_t replication_factor = -1;  // -1: the broker's default
  int32_t idle_partition = -1;      // this one gets no records ...
  double idle_from = 0;             // ... from this share of `records` on
  std::string topic = "detections";
  std::string table_topic = "locations";
  HtxShape shape;
};

// Topics that are missing are created: the detections without time limit, as event times of the past would be deleted
// at once, and the locations compacted. The locations are written where their topic is empty. InvalidArgument: an
// option is out of range, or the topic has another partition count. Ends early, with OK, when `stop` becomes true. One
// line about each topic goes to `out`.
absl::Status GenerateHtx(const GenerateHtxOptions& options, KafkaLog log, const std::atomic<bool>& stop,
                         std::ostream& out);

}  // namespace tidemark
