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

// The topic that a sink appends to or keeps by key, which are two things to readers; "": it has none of its own.
std::string TopicOf(const SinkPlan& sink) {
  const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
  if (kafka == nullptr || sink.view) return "";
  return absl::StrCat(kafka->upsert ? "topic (by key) " : "topic ", kafka->topic);
}

}  // namespace

Plan PlanOfApplication(const Plan& base, const ApplicationId& application) {
  Plan plan = base;
  plan.application = application;
  for (Edge& edge : plan.edges) {
    edge.topic = edge.to_sink >= 0 ? plan.application.FeedTopic(edge.kept_as)
                                   : plan.application.RepartitionTopic(edge.kept_as, edge.port);
  }
  for (SinkPlan& sink : plan.sinks) {
    if (sink.view) std::get<KafkaSinkSpec>(sink.spec).topic = plan.application.ViewTopic(sink.kept_as());
  }
  return plan;
}

Plan PlanOfGeneration(const Plan& base, int32_t generation) {
  return PlanOfApplication(base, {base.application.name, generation});
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
  for (const TopicPatternPlan& pattern : plan.patterns) {
    wrong.push_back(absl::StrCat("source ", pattern.source, " reads the topics that '", pattern.pattern,
                                 "' matches, and which these are may change while generations run beside each other: "
                                 "name one with `topic`"));
  }
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
    const std::string topic = TopicOf(sink);
    if (topic.empty()) continue;
    const bool shared = std::any_of(active.sinks.begin(), active.sinks.end(),
                                    [&](const SinkPlan& each) { return TopicOf(each) == topic; });
    if (!shared) {
      wrong.push_back(
          absl::StrCat("sink ", sink.name, " writes to ", topic,
                       ", which no sink of the active generation does: what it makes of the past would stay "
                       "in the shadow. Leave it out, switch, and add it then"));
    }
  }
  return Refuse(wrong);
}

}  // namespace tidemark
