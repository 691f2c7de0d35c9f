#include "src/runtime/generations/drained.h"

#include <map>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/runtime/group_positions.h"

namespace tidemark {
namespace {

absl::StatusOr<std::string> OwedBySources(const Runtime& runtime, int64_t switch_number,
                                          const std::map<TopicPartition, Offset>& cut) {
  PartitionEnds ends;
  for (const SourcePlan& source : runtime.plan->sources) {
    for (int32_t p = 0; p < runtime.partitions.at(source.topic); ++p) {
      const TopicPartition partition{source.topic, p};
      const auto found = cut.find(partition);
      ends[partition] = found == cut.end() ? 0 : found->second;
    }
  }
  TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtGroup(runtime, runtime.plan->application.Group(), ends));
  if (positions.missing > 0) return absl::StrCat(positions.missing, " records up to the cut");
  if (!positions.complete) return std::string("the sources' tasks have more to give");
  if (positions.stands_for < switch_number) return std::string("not every source partition stands");
  return std::string();
}

absl::StatusOr<std::string> OwedByStages(const Runtime& runtime) {
  for (size_t stage = 0; stage < runtime.plan->stages.size(); ++stage) {
    TM_ASSIGN_OR_RETURN(const PartitionEnds ends,
                        EndsOf(runtime, EdgesInto(*runtime.plan, stage), Isolation::kReadUncommitted));
    if (ends.empty()) continue;
    TM_ASSIGN_OR_RETURN(const GroupPositions positions,
                        LookAtInternal(runtime, runtime.plan->application.Group(), ends));
    if (positions.complete) continue;
    return absl::StrCat("stage ", runtime.plan->stages[stage].name, ": ", positions.Missing("between stages"));
  }
  return std::string();
}

absl::StatusOr<std::string> OwedBySinks(const Runtime& runtime) {
  for (const Edge& edge : runtime.plan->edges) {
    if (edge.to_sink < 0) continue;
    TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtFeed(runtime, edge));
    if (positions.complete) continue;
    return absl::StrCat("sink ", runtime.plan->sinks[static_cast<size_t>(edge.to_sink)].name, ": ",
                        positions.Missing("of its feed"));
  }
  return std::string();
}

}  // namespace

absl::StatusOr<std::string> StillOwed(const Runtime& runtime, int64_t switch_number,
                                      const std::map<TopicPartition, Offset>& cut) {
  TM_ASSIGN_OR_RETURN(std::string owed, OwedBySources(runtime, switch_number, cut));
  if (!owed.empty()) return owed;
  if (!MutationActive(Mutation::kLeftBeforeStages)) {
    TM_ASSIGN_OR_RETURN(owed, OwedByStages(runtime));
    if (!owed.empty()) return owed;
  }
  runtime.control->flush_sinks = true;
  return OwedBySinks(runtime);
}

}  // namespace tidemark
