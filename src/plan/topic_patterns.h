// Sources that read all topics whose names match a pattern (`topics`): each topic becomes a source of its own,
// NAME[TOPIC], of the same columns, and behind them stands a step NAME that has the rows of all. So a topic has what
// every source's has: partitions with positions, watermarks and an order of their own, and its state goes on where
// another topic comes beside it, as behind a union that gets one input more.
//
// Which topics there are somebody else has to ask (TopicNames, planner.h). The pattern is a regular expression as SQL
// functions have it (src/expr/regex.h) and must match the whole name. It never matches what the topology writes or
// names otherwise, nor what is Tidemark's or Kafka's own.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/plan.h"

namespace tidemark {

// Topics that the topology names: of its sinks, side topics, tables and other sources, of dead letters and notices.
std::set<std::string> NamedTopics(const topology::Topology& topology);

// InvalidArgument: it is no regular expression. Sorted.
absl::StatusOr<std::vector<std::string>> TopicsThatMatch(const Plan& plan, const std::string& pattern,
                                                         const std::vector<std::string>& names);

// A topic that a pattern of the plan matches and that the plan doesn't read.
struct UnreadTopic {
  std::string source;  // as the YAML names it
  std::string topic;
};
std::vector<UnreadTopic> UnreadTopics(const Plan& plan, const std::vector<std::string>& names);
// The source stands for the topics of a pattern, as nobody has looked which there are: what that says; null: it
// doesn't.
const TopicPatternPlan* UnresolvedPattern(const Plan& plan, const SourcePlan& source);
// Of a source of the YAML that states `topics`; null: it doesn't.
const TopicPatternPlan* PatternOf(const Plan& plan, const std::string& declared);

// Of CheckSources: what can't go with `topics`.
void CheckTopicsOf(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics);
// Of CheckSources: the sources of the topics among `names`; where nobody has looked (null), the one that stands for
// them. None where no topic matches: that is reported.
std::vector<SourcePlan> SourcesOfPattern(SourcePlan source, const std::string& pattern, const Plan& plan,
                                         const std::vector<std::string>* names, const std::string& path,
                                         Diagnostics* diagnostics);

}  // namespace tidemark
