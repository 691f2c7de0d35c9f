// `tidemark test --record N`: a test file out of real topics. The newest records of every source, and all of every
// table that is a topic, as they are: value, key, partition, timestamp, and the headers that columns come from. What
// is expected of each sink is left empty, for UpdatedFiles to fill. Reads, and changes nothing.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark::trial {

// Of a table there may be so many records; a test of more is none that a person reads.
inline constexpr int64_t kMostTableRecords = 10'000;

// The text of the file, which is to stand at `path`; `yaml` is the topology as one text, for the variables in it.
// `records`: of each source, together from all its partitions. InvalidArgument: a record isn't text, or the topology's
// topics have different numbers of partitions.
absl::StatusOr<std::string> RecordTest(const Plan& plan, const std::string& topology, const std::string& path,
                                       const std::string& yaml, int64_t records, KafkaClient& kafka, Clock& clock);

}  // namespace tidemark::trial
