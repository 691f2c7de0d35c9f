#include "src/runtime/group_positions.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/runtime/offset_metadata.h"

namespace tidemark {

std::string GroupPositions::Missing(const std::string& where) const {
  if (missing == 0) return "the last transactions to show " + where;
  return absl::StrCat(missing, " records ", where);
}

absl::StatusOr<PartitionEnds> EndsOf(const Runtime& runtime, const std::vector<TopicPartition>& partitions,
                                     Isolation isolation) {
  TM_ASSIGN_OR_RETURN(auto ends, runtime.kafka->admin().LogEnds(partitions, isolation));
  for (const TopicPartition& partition : partitions) {
    if (ends.count(partition) == 0) return absl::UnavailableError("nobody tells the end of " + ToString(partition));
  }
  return ends;
}

absl::StatusOr<PartitionEnds> EndsOf(const Runtime& runtime, const std::vector<std::string>& topics,
                                     Isolation isolation) {
  std::vector<TopicPartition> partitions;
  for (const std::string& topic : topics) {
    for (int32_t p = 0; p < runtime.partitions.at(topic); ++p) partitions.push_back({topic, p});
  }
  return EndsOf(runtime, partitions, isolation);
}

absl::StatusOr<GroupPositions> LookAtGroup(const Runtime& runtime, const std::string& group,
                                           const PartitionEnds& ends) {
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, end] : ends) partitions.push_back(partition);
  TM_ASSIGN_OR_RETURN(const auto committed, runtime.kafka->admin().GroupOffsets(group, partitions));
  GroupPositions positions;
  positions.stands_for = ends.empty() ? 0 : std::numeric_limits<int64_t>::max();
  for (const auto& [partition, end] : ends) {
    const auto it = committed.find(partition);
    const CommittedOffset offset = it == committed.end() ? CommittedOffset{} : it->second;
    if (offset.offset < end) {
      positions.complete = false;
      positions.missing += end - std::max<Offset>(offset.offset, 0);
    }
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(offset.metadata);
    positions.stands_for = std::min(positions.stands_for, metadata ? metadata->stands_for : 0);
    if (!metadata) continue;
    if (metadata->busy) positions.complete = false;
    positions.max_time = std::max(positions.max_time, metadata->max_time);
    positions.min_floor = std::min(positions.min_floor, metadata->floor);
  }
  return positions;
}

absl::StatusOr<GroupPositions> LookAtInternal(const Runtime& runtime, const std::string& group,
                                              const PartitionEnds& ends) {
  TM_ASSIGN_OR_RETURN(GroupPositions positions, LookAtGroup(runtime, group, ends));
  if (!positions.complete) return positions;
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, end] : ends) partitions.push_back(partition);
  TM_ASSIGN_OR_RETURN(const PartitionEnds stable, EndsOf(runtime, partitions, Isolation::kReadCommitted));
  positions.complete =
      std::all_of(ends.begin(), ends.end(), [&](const auto& end) { return stable.at(end.first) >= end.second; });
  if (!positions.complete || stable == ends) return positions;
  return LookAtGroup(runtime, group, stable);
}

std::vector<std::string> EdgesInto(const Plan& plan, size_t stage) {
  std::vector<std::string> topics;
  for (const Edge& edge : plan.edges) {
    if (edge.to_stage == static_cast<int>(stage)) topics.push_back(edge.topic);
  }
  return topics;
}

absl::StatusOr<GroupPositions> LookAtFeed(const Runtime& runtime, const Edge& edge) {
  const SinkPlan& sink = runtime.plan->sinks[static_cast<size_t>(edge.to_sink)];
  const std::vector<std::string> topics = {edge.topic};
  TM_ASSIGN_OR_RETURN(PartitionEnds ends, EndsOf(runtime, topics, Isolation::kReadUncommitted));
  std::erase_if(ends, [](const auto& end) { return end.second == 0; });
  return LookAtInternal(runtime, runtime.plan->application.SinkGroup(sink.kept_as()), ends);
}

}  // namespace tidemark
