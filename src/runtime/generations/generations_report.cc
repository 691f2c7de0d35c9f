#include "src/runtime/generations/generations_report.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/base/status_topic.h"
#include "src/base/time.h"
#include "src/codec/column_text.h"
#include "src/runtime/generations/fence.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/past_run.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/reset_sinks.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

using generations::State;

const char* PhaseText(const State& state) {
  switch (state.phase()) {
    case State::DRAINING:
      return "a switch is under way: the active one is being drained\n";
    case State::CUT:
      return "a switch is under way: the cut is taken, and the next one reads up to it\n";
    case State::DECIDED:
      return "a switch is decided, and sinks are being exchanged: `tidemark switch` completes it\n";
    default:
      return "";
  }
}

std::string Role(const State& state, const generations::Generation& each) {
  if (each.number() == state.active()) return "active";
  if (each.number() == state.building()) return "being built";
  return absl::StrCat("left at ", TimestampText(each.left_us(), TimestampForm::kRfc3339),
                      each.left_by() > 0 ? absl::StrCat(" by switch ", each.left_by()) : "", ", kept");
}

// Records of its sources that it hasn't committed.
absl::StatusOr<Offset> Behind(const Plan& plan, KafkaClient& kafka) {
  std::vector<std::string> topics;
  for (const SourcePlan& source : plan.sources) topics.push_back(source.topic);
  TM_ASSIGN_OR_RETURN(const auto found, kafka.admin().Describe(topics));
  std::vector<TopicPartition> partitions;
  for (const auto& [topic, info] : found) {
    for (int32_t p = 0; p < info.partitions; ++p) partitions.push_back({topic, p});
  }
  TM_ASSIGN_OR_RETURN(const auto ends, kafka.admin().LogEnds(partitions, Isolation::kReadCommitted));
  TM_ASSIGN_OR_RETURN(const auto starts, kafka.admin().LogStarts(partitions));
  TM_ASSIGN_OR_RETURN(const auto committed, kafka.admin().GroupOffsets(plan.application.Group(), partitions));
  Offset behind = 0;
  for (const auto& [partition, end] : ends) {
    const auto at = committed.find(partition);
    const auto start = starts.find(partition);
    const Offset from =
        std::max(at == committed.end() ? -1 : at->second.offset, start == starts.end() ? Offset{0} : start->second);
    behind += std::max<Offset>(0, end - from);
  }
  return behind;
}

// Exactly what a generation's plan names: the names of generation 1 are a beginning of those of others.
std::set<std::string> InternalTopicsOf(const Plan& plan) {
  std::set<std::string> topics = {StatusTopic(plan.application), plan.application.AlarmsTopic()};
  for (const Stage& stage : plan.stages) topics.insert(plan.application.ChangelogTopic(stage.name));
  for (const Edge& edge : plan.edges) topics.insert(edge.topic);
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view) topics.insert(plan.application.ViewTopic(sink.kept_as()));
    if (std::holds_alternative<ParquetSinkSpec>(sink.spec))
      topics.insert(plan.application.ManifestTopic(sink.kept_as()));
  }
  return topics;
}

// What readers could know of: it is its owner's, and stays.
std::string OutputsOf(const Plan& shadow) {
  std::string text;
  for (const SinkPlan& sink : shadow.sinks) {
    if (sink.view) continue;
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec))
      absl::StrAppend(&text, "  topic ", kafka->topic, "\n");
    if (const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      absl::StrAppend(&text, "  table ", table->schema, ".", table->table, "\n");
    }
    if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec))
      absl::StrAppend(&text, "  folder ", lake->path, "\n");
  }
  for (const std::string& topic : SideTopics(shadow)) absl::StrAppend(&text, "  topic ", topic, "\n");
  return absl::StrCat(text, "  topic ", shadow.dead_letter_topic, "\n");
}

std::string ShadowsOf(const Plan& plan) {
  const absl::StatusOr<Plan> shadow = ShadowPlan(plan, plan.application.generation);
  return shadow.ok() ? OutputsOf(*shadow) : "";
}

// Of the generation, where it may be dropped; else why not.
absl::StatusOr<Plan> PlanToDrop(const State& state, int32_t number, ResetClient& client, const PlanOfRecord& plan_of) {
  const generations::Generation* const known = FindGeneration(state, number);
  if (known == nullptr) return absl::InvalidArgumentError(absl::StrCat("there is no generation ", number));
  if (number == state.active()) {
    return absl::InvalidArgumentError(absl::StrCat("generation ", number, " is active: switch to another first"));
  }
  if (state.phase() != State::STEADY) {
    return absl::FailedPreconditionError("a switch is under way: complete it, or `tidemark switch --cancel`");
  }
  TM_ASSIGN_OR_RETURN(Plan plan, plan_of(*known));
  TM_ASSIGN_OR_RETURN(const std::string busy, BusyGroup(plan, client));
  if (busy.empty()) return plan;
  return absl::FailedPreconditionError(
      absl::StrCat("group ", busy, " has members: stop the workers of generation ", number, ", and run this again"));
}

}  // namespace

absl::StatusOr<std::string> GenerationsReport(const std::string& application, KafkaClient& kafka,
                                              const PlanOfRecord& plan_of, const std::function<void()>& pause) {
  TM_ASSIGN_OR_RETURN(const State state, ReadGenerations(application, kafka, pause));
  if (state.generations().empty()) {
    return absl::StrCat(application, " has one generation: it has never been replayed\n");
  }
  std::string text;
  for (const generations::Generation& each : state.generations()) {
    absl::StrAppendFormat(&text, "%3d  %-12s %s", each.number(), Role(state, each), each.fingerprint());
    if (each.begun_us() > 0) {
      absl::StrAppend(&text, ", since ", TimestampText(each.begun_us(), TimestampForm::kRfc3339),
                      each.from().empty() ? "" : " from ", each.from());
    }
    if (each.number() == state.active() || each.number() == state.building()) {
      TM_ASSIGN_OR_RETURN(const Plan plan, plan_of(each));
      TM_ASSIGN_OR_RETURN(const Offset behind, Behind(plan, kafka));
      absl::StrAppend(&text, ", ", behind, " records behind");
      if (each.number() == state.building() && behind > 0) {
        const int64_t began = SystemClock()->MonotonicUs();
        pause();
        TM_ASSIGN_OR_RETURN(const Offset later, Behind(plan, kafka));
        const double seconds = static_cast<double>(SystemClock()->MonotonicUs() - began) / kSecond;
        const double pace = static_cast<double>(behind - later) / seconds;
        if (pace > 0) absl::StrAppendFormat(&text, ", caught up in about %.0f s", static_cast<double>(later) / pace);
      }
    }
    text += "\n";
  }
  return text + PhaseText(state);
}

absl::StatusOr<std::string> DropGeneration(const Plan& any, int32_t number, KafkaClient& kafka, ResetClient& client,
                                           const PlanOfRecord& plan_of, const std::function<void()>& pause) {
  // Who has to refuse takes nothing over from a command that is at work.
  TM_ASSIGN_OR_RETURN(const State stands, ReadGenerations(any.application.name, kafka, pause));
  TM_RETURN_IF_ERROR(PlanToDrop(stands, number, client, plan_of).status());
  TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(any, &kafka, pause));
  State state = log->state();
  TM_ASSIGN_OR_RETURN(const Plan plan, PlanToDrop(state, number, client, plan_of));
  for (const std::string& topic : InternalTopicsOf(plan)) {
    TM_RETURN_IF_ERROR(client.DeleteTopic(topic));
    TM_RETURN_IF_ERROR(Failpoint("generations.topic_deleted"));
  }
  state.set_newest(NewestGeneration(state));
  if (number == state.building()) state.set_building(0);
  auto* const all = state.mutable_generations();
  all->erase(std::remove_if(all->begin(), all->end(), [&](const auto& each) { return each.number() == number; }),
             all->end());
  TM_RETURN_IF_ERROR(log->Write(state));
  return absl::StrCat("generation ", number, " is dropped, with its state. What it has written stays, and is yours:\n",
                      ShadowsOf(plan));
}

namespace {

// Offsets of its part that are committed, and all of them.
absl::StatusOr<std::pair<Offset, Offset>> ProgressOf(const generations::Run& run, const ApplicationId& id,
                                                     KafkaClient& kafka) {
  std::map<TopicPartition, std::pair<Offset, Offset>> parts;
  for (const auto& at : run.starts()) parts[{at.topic(), at.partition()}].first = at.offset();
  for (const auto& at : run.ends()) parts[{at.topic(), at.partition()}].second = at.offset();
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, part] : parts) partitions.push_back(partition);
  TM_ASSIGN_OR_RETURN(const auto committed, kafka.admin().GroupOffsets(id.Group(), partitions));
  Offset done = 0, all = 0;
  for (const auto& [partition, part] : parts) {
    const auto at = committed.find(partition);
    all += part.second - part.first;
    if (at != committed.end()) done += std::clamp(at->second.offset, part.first, part.second) - part.first;
  }
  return std::pair(done, all);
}

// What is decided is published, while its manifests say it.
absl::Status SettleLakes(const Plan& plan, KafkaClient& kafka) {
  for (const SinkPlan& sink : plan.sinks) {
    if (!std::holds_alternative<ParquetSinkSpec>(sink.spec)) continue;
    // Whoever runs the same command again computes all of it.
    TM_RETURN_IF_ERROR(SettleLake(plan, sink, /*complete=*/true, kafka));
  }
  return absl::OkStatus();
}

// Else another run of that name would go on in databases where this one stood, and its state be missed.
absl::Status ForgetPositions(const Plan& plan, ResetClient& client) {
  for (const SinkPlan& sink : plan.sinks) {
    const auto* table = std::get_if<PostgresSinkSpec>(&sink.spec);
    if (table != nullptr) TM_RETURN_IF_ERROR(RewindPostgres(*table, plan.application.Key(), sink.kept_as()));
  }
  for (const std::string& group : GroupsOf(plan)) TM_RETURN_IF_ERROR(client.DeleteGroup(group));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> PastRunsReport(const std::string& application, KafkaClient& kafka,
                                           const std::function<void()>& pause) {
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOfPastRuns(application, kafka));
  std::string text;
  for (const std::string& name : names) {
    const ApplicationId id = GenerationNames{application}.Run(name);
    TM_ASSIGN_OR_RETURN(const State state, ReadGenerations(id.name, kafka, pause));
    if (!state.has_run()) continue;  // it has never begun
    const generations::Run& run = state.run();
    absl::StrAppend(&text, "run ", name, "  ", run.from(), " to ", run.to(), ", into ",
                    run.into_targets() ? "targets" : "shadows");
    if (run.done_us() > 0) {
      absl::StrAppend(&text, ", done ", TimestampText(run.done_us(), TimestampForm::kRfc3339), "\n");
      continue;
    }
    TM_ASSIGN_OR_RETURN(const auto progress, ProgressOf(run, id, kafka));
    absl::StrAppend(&text, ", ", progress.first, " of ", progress.second, " offsets\n");
  }
  return text;
}

absl::StatusOr<std::string> DropPastRun(const std::string& application, const std::string& run, KafkaClient& kafka,
                                        ResetClient& client, const PlanOfRecord& plan_of,
                                        const std::function<void()>& pause) {
  const ApplicationId id = GenerationNames{application}.Run(run);
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOfPastRuns(application, kafka));
  if (std::find(names.begin(), names.end(), run) == names.end()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no run ", run));
  }
  TM_ASSIGN_OR_RETURN(const State state, ReadGenerations(id.name, kafka, pause));
  std::optional<Plan> plan;
  if (state.has_run()) {
    generations::Generation begun;
    begun.set_number(1);
    begun.set_yaml(state.run().yaml());
    TM_ASSIGN_OR_RETURN(const Plan base, plan_of(begun));
    TM_ASSIGN_OR_RETURN(plan, PlanOfPastRun(base, run, state.run()));
    TM_ASSIGN_OR_RETURN(const std::string busy, BusyGroup(*plan, client));
    if (!busy.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("group ", busy, " has members: stop the workers of run ", run, ", and run this again"));
    }
    TM_RETURN_IF_ERROR(SettleLakes(*plan, kafka));
  }
  // The log last: what has it can be dropped again.
  TM_ASSIGN_OR_RETURN(const auto topics, kafka.admin().List(id.TopicPrefix()));
  for (const auto& [topic, info] : topics) {
    if (topic != GenerationNames{id.name}.Topic()) TM_RETURN_IF_ERROR(client.DeleteTopic(topic));
  }
  if (plan) TM_RETURN_IF_ERROR(ForgetPositions(*plan, client));
  TM_RETURN_IF_ERROR(client.DeleteTopic(GenerationNames{id.name}.Topic()));
  const bool shadows = plan && !state.run().into_targets();
  return absl::StrCat("run ", run, " is dropped, with its state. What it has written stays, and is yours; the same ",
                      "command would compute all of it once more",
                      shadows ? absl::StrCat(", once what stands there is gone:\n", OutputsOf(*plan)) : "\n");
}

}  // namespace tidemark
