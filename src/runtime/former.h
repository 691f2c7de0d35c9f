// What the runs of an application have left in Kafka: its internal topics, and of every changelog partition the newest
// commit record, which says where the task stood and whose state it keeps. Read without a group, without a transaction
// and without changing anything, also while workers run.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "proto/packed.pb.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct Former {
  std::map<std::string, TopicInfo> topics;  // the application's internal ones
  // With the standing filled in, where an earlier record says it.
  std::map<TopicPartition, packed::CommitRecord> newest;

  // Of the tasks of a stage.
  std::vector<const packed::CommitRecord*> RecordsOf(const ApplicationId& application, const std::string& stage) const;
};

// Unavailable: Kafka doesn't answer, or what was to be read is trimmed by a worker that runs: ask again.
// FailedPrecondition: a reset has begun and isn't done. InvalidArgument: a newer version has written what this one
// doesn't know (kept_check.h).
absl::StatusOr<Former> ReadFormer(const Plan& plan, KafkaClient& kafka);

// The same question alone, whatever else stands there.
absl::Status CheckKnown(const Plan& plan, KafkaClient& kafka);

// Rows of `input` have been read by a task whose changelog has no commit: what to tell of it.
std::string ReadWithoutState(const ApplicationId& application, const std::string& stage, const TopicPartition& input,
                             Offset position);

// FailedPrecondition: a reset has begun and isn't done.
absl::Status CheckNoReset(const Plan& plan, Admin& admin);

// What a topology would leave that has run on one partition and has kept something in every step.
Former FormerOf(const Plan& plan);

// First offset and the one behind the last.
using LogRanges = std::map<TopicPartition, std::pair<Offset, Offset>>;
absl::StatusOr<std::pair<Offset, Offset>> CommittedRange(Admin& admin, const TopicPartition& partition);
// Committed records of these partitions, in order. `seen` returns false where it needs no more of a partition.
absl::Status ReadRanges(KafkaClient& kafka, const LogRanges& ranges,
                        const std::function<bool(const TopicPartition&, const RecordView&)>& seen);

}  // namespace tidemark
