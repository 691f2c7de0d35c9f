#include "src/cli/validate.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/many.h"
#include "src/plan/intakes.h"
#include "src/plan/topic_patterns.h"

namespace tidemark {
namespace {

// What a transaction of a database does to each table is shown whole, and what it does to several isn't: where that may
// be expected, it is said. "": nowhere.
std::string TableByTable(const Plan& plan) {
  std::map<std::string, std::vector<std::string>> tables;  // by database
  for (const SourcePlan& source : plan.sources) {
    if (source.postgres && KeepsTransactions(source)) tables[source.postgres->url].push_back(source.name);
  }
  std::string out;
  for (const auto& [url, sources] : tables) {
    if (sources.size() < 2) continue;
    absl::StrAppend(&out,
                    "note: atomic: transactions keeps together what a transaction does to one table; of one that ",
                    "changes several of ", absl::StrJoin(sources, ", "), ", each table is shown by itself\n");
  }
  return out;
}

}  // namespace

std::string ValidationReport(const Plan& plan, const TopologyText& text) {
  std::set<std::string> steps;
  size_t repartitions = 0;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind == Node::Kind::kOperator) steps.insert(node.step);
      if (node.kind == Node::Kind::kRepartition) ++repartitions;
    }
  }
  std::string out = absl::StrCat("ok: ", Many(plan.sources.size(), "source"), ", ", Many(plan.tables.size(), "table"),
                                 ", ", Many(steps.size(), "step"), ", ", Many(plan.sinks.size(), "sink"), ", ",
                                 Many(plan.stages.size(), "stage"), ", ", Many(repartitions, "repartition"), "\n");
  if (text.files.size() > 1) absl::StrAppend(&out, "note: read ", absl::StrJoin(text.files, ", "), "\n");
  for (const SourcePlan& source : plan.sources) {
    if (const TopicPatternPlan* const pattern = UnresolvedPattern(plan, source)) {
      absl::StrAppend(&out, "note: which topics source ", source.name,
                      " reads isn't known without a broker: those that ", "'", pattern->pattern,
                      "' matches; see --online\n");
    } else if (source.of_pattern()) {
      absl::StrAppend(&out, "note: source ", source.declared(), " reads topic ", source.topic, "\n");
    }
    if (source.partitioned_by.empty() || source.verify_partitioning) continue;
    if (!source.key.empty()) {
      absl::StrAppend(&out, "note: that source ", source.name,
                      " keeps the changes of a key in one partition is taken on trust (partitioner: any)\n");
      continue;
    }
    absl::StrAppend(&out, "note: partitioned_by of source ", source.name,
                    " is taken on trust; with key_format it is checked against the record keys\n");
  }
  return out + TableByTable(plan);
}

}  // namespace tidemark
