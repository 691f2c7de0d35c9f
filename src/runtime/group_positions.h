// How far a group is, by committed positions alone: they are in Kafka, so it doesn't matter which worker owns what. For
// those who wait until something has been read to its end (end_watcher.h, generations/drained.h).
//
// Each look makes requests, which wait where brokers are away. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/time.h"
#include "src/kafka/client.h"
#include "src/runtime/runtime.h"

namespace tidemark {

using PartitionEnds = std::map<TopicPartition, Offset>;

struct GroupPositions {
  bool complete = true;  // every position has reached its end and no task is busy
  EventTime max_time = kMinTime;
  EventTime min_floor = kMaxTime;
  Offset missing = 0;
  int64_t stands_for = 0;  // the switch that all of them stand for at least (OffsetMetadata); 0: not all do

  // What isn't complete; `where`: "of its feed".
  std::string Missing(const std::string& where) const;
};

// Unavailable: of one of them nobody tells it.
absl::StatusOr<PartitionEnds> EndsOf(const Runtime& runtime, const std::vector<TopicPartition>& partitions,
                                     Isolation isolation);
// Of all partitions of these topics.
absl::StatusOr<PartitionEnds> EndsOf(const Runtime& runtime, const std::vector<std::string>& topics,
                                     Isolation isolation);

absl::StatusOr<GroupPositions> LookAtGroup(const Runtime& runtime, const std::string& group, const PartitionEnds& ends);
// Of internal topics, by their high watermarks: upstream's offsets may be committed before the marker of that same
// transaction has reached the topic, and up to that moment the last stable offset knows nothing of its rows. Complete
// only when the markers of all that lies before these ends are there, and confirmed with it.
absl::StatusOr<GroupPositions> LookAtInternal(const Runtime& runtime, const std::string& group,
                                              const PartitionEnds& ends);

// The internal topics that a stage reads.
std::vector<std::string> EdgesInto(const Plan& plan, size_t stage);
// How far a sink has confirmed its feed, which is `edge`. It has nothing to confirm of a partition that never held a
// record.
absl::StatusOr<GroupPositions> LookAtFeed(const Runtime& runtime, const Edge& edge);

}  // namespace tidemark
