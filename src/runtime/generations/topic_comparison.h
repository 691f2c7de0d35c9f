// Two topics of one sink, compared (comparison.h): of a topic by key the newest value of each key, a partition
// at a time where both have as many; of one that appends all rows of all partitions. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "src/base/compared_columns.h"
#include "src/runtime/generations/comparison.h"

namespace tidemark {

struct TopicComparisonTarget {
  struct Side {
    std::string topic;
    KafkaSinkSpec spec;
    Schema schema;  // of what is written there
    const Formats* formats = &OwnFormats();
  };
  std::string sink;  // "sink latest"
  Side before, after;
  ComparedColumns columns;
  bool by_key = true;
  bool with_keys = false;                        // of one that appends: a row is its record's key, too
  size_t most_entries = (size_t{1} << 30) / 82;  // in memory (row_tally.h)
};

// Up to where a log is compared. Of what stands at the cut all of it: Unavailable while a transaction is open there.
absl::StatusOr<Offset> ComparedEnd(KafkaClient& kafka, const TopicPartition& log, bool at_cut);

std::unique_ptr<TargetComparison> MakeTopicComparison(TopicComparisonTarget target, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
