#include "src/runtime/generations/generation_plan.h"

#include <algorithm>
#include <variant>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/value_text.h"

namespace tidemark {
namespace {

absl::Status Refuse(const std::vector<std::string>& wrong) {
  return wrong.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
}

// What a sink writes to, with its kind: two sinks of one target are one to readers.
std::string TargetOf(const SinkPlan& sink) {
  if (sink.view) return "view " + sink.name;
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
    return absl::StrCat(kafka->upsert ? "upsert topic " : "topic ", kafka->topic);
  }
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    return absl::StrCat("table ", postgres->schema, ".", postgres->table);
  }
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec)) return "folder " + parquet->path;
  return "webhook " + sink.name;
}

}  // namespace

Plan PlanOfGeneration(const Plan& base, int32_t generation) {
  Plan plan = base;
  plan.application.generation = generation;
  for (Edge& edge : plan.edges) {
    edge.topic = edge.to_sink >= 0 ? plan.application.FeedTopic(plan.sinks[static_cast<size_t>(edge.to_sink)].name)
                                   : plan.application.RepartitionTopic(edge.step, edge.port);
  }
  for (SinkPlan& sink : plan.sinks) {
    if (sink.view) std::get<KafkaSinkSpec>(sink.spec).topic = plan.application.ViewTopic(sink.name);
  }
  return plan;
}

absl::Status BeginAt(const std::string& from, Plan* plan) {
  if (from.empty()) return absl::OkStatus();
  StartPosition start;
  if (from != "earliest") {
    int64_t us = 0;
    if (ParseRfc3339(from, &us) != Fit::kOk) {
      return absl::InvalidArgumentError(
          absl::StrCat("--from: expected earliest or a time such as 2026-01-01T00:00:00Z, found '", from, "'"));
    }
    start = {StartPosition::At::kTimestamp, us / kMillisecond};
  }
  for (SourcePlan& source : plan->sources) source.start = start;
  return absl::OkStatus();
}

absl::Status CheckReplayable(const Plan& plan) {
  std::vector<std::string> wrong;
  for (const SourcePlan& source : plan.sources) {
    if (!source.intake()) continue;
    wrong.push_back(absl::StrCat("source ", source.name, " reads ",
                                 source.files  ? "files"
                                 : source.http ? "what is posted"
                                               : "a table",
                                 ": two generations can't share it, and only sources that are topics can be replayed"));
  }
  return Refuse(wrong);
}

absl::Status CheckSwitchable(const Plan& active, const Plan& next) {
  std::vector<std::string> wrong;
  for (const SinkPlan& sink : next.sinks) {
    const std::string target = TargetOf(sink);
    if (sink.view) continue;
    const bool shared = std::any_of(active.sinks.begin(), active.sinks.end(),
                                    [&](const SinkPlan& each) { return TargetOf(each) == target; });
    if (!shared) {
      wrong.push_back(
          absl::StrCat("sink ", sink.name, " writes to ", target,
                       ", which no sink of the active generation does: leave it out, switch, and add it then"));
    }
  }
  return Refuse(wrong);
}

}  // namespace tidemark
