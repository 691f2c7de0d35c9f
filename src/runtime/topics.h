// The topics of a plan: which must exist, which are made, how many partitions each has. Everything here happens before
// any member subscribes, so that no rebalance sees half of a stage's topics.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/runtime.h"

namespace tidemark {

struct FoundTopics {
  PartitionCounts counts;              // with those that are missing as they would be made
  std::vector<TopicToCreate> missing;  // that a run makes
  std::vector<std::string> wrong;      // what a run ends with: topics, both counts and what to do
};
// Describes all topics of the plan and changes nothing.
absl::StatusOr<FoundTopics> FindTopics(const Plan& plan, Admin& admin);

// Describes all topics of the plan, creates those that may be created, and checks that what exists fits together: the
// inputs of a stage have equal partition counts, as have internal topics and their changelogs, and a count that the
// user states is the one that is there. InvalidArgument names everything that is wrong, a line each: topics, both
// counts and what to do. `create` false: checks only (validate --online); what would be created counts as there.
absl::StatusOr<PartitionCounts> ResolveTopics(const Plan& plan, Admin& admin, bool create);

// Where joins and windows send unmatched and late rows.
std::set<std::string> SideTopics(const Plan& plan);
// The topics of dead letters: that of the topology, then those of batches that are rejected.
std::vector<std::string> LetterTopics(const Plan& plan);
// The users' topics that alarms and audit records are written to.
std::set<std::string> NoticeTopics(const Plan& plan);

// Configuration of internal topics: nothing but DeleteRecords ever removes from them, and their records carry append
// time, so that a broker's retention never judges them by event time.
std::map<std::string, std::string> InternalTopicConfig(const Plan& plan);

// Of the topics in which intakes keep their notes: compacted, as of the notes of one key the last stands.
std::map<std::string, std::string> NotesTopicConfig(const Plan& plan);
// Of the topics of views, likewise.
std::map<std::string, std::string> ViewTopicConfig(const Plan& plan);

// The topics that a task of the stage reads, each in the task's own partition.
std::vector<std::string> InputTopics(const Plan& plan, const Stage& stage);

}  // namespace tidemark
