#include "src/cli/generations.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "operators/operators.h"
#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/cli/load.h"
#include "src/kafka/rdkafka_client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/planner.h"
#include "src/plan/units.h"
#include "src/registry/formats.h"
#include "src/runtime/generations/comparison.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generation_run.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/generations_report.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/generations/switch.h"

namespace tidemark {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);
constexpr int kDiffersExit = 3;

void Quiet(int, std::string_view) {}
void Pause() { std::this_thread::sleep_for(kBetweenLooks); }

absl::StatusOr<Plan> Load(const std::string& file, GenerationText* text) {
  TopologyText read;
  TM_ASSIGN_OR_RETURN(Plan plan, LoadTopology(file, &read, AskForTopics::kAlways));
  *text = {file, read.yaml};
  return plan;
}

absl::StatusOr<Plan> PlanOf(const generations::Generation& generation) {
  TM_ASSIGN_OR_RETURN(const Plan base, PlanFromYaml(generation.yaml(), absl::StrCat("generation ", generation.number()),
                                                    Operators(), PlanningFormats().list(), ProcessEnvironment(),
                                                    FilesOnDisk(), nullptr, TopicsOfBrokers()));
  Plan plan = PlanOfGeneration(base, generation.number());
  TM_RETURN_IF_ERROR(BeginAt(generation.from(), &plan));
  return plan;
}

absl::StatusOr<int64_t> Duration(const std::string& flag, absl::string_view text) {
  const std::optional<int64_t> us = ParseDuration(std::string_view(text.data(), text.size()));
  if (us && *us > 0) return *us;
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": expected a duration such as 2s, found '", text, "'"));
}

// "lag < 2s".
absl::StatusOr<int64_t> Lag(const std::string& when) {
  absl::string_view rest = absl::StripAsciiWhitespace(when);
  const bool lag = absl::ConsumePrefix(&rest, "lag");
  rest = absl::StripAsciiWhitespace(rest);
  if (!lag || !absl::ConsumePrefix(&rest, "<")) {
    return absl::InvalidArgumentError(absl::StrCat("--when: expected \"lag < 2s\", found '", when, "'"));
  }
  return Duration("when", absl::StripAsciiWhitespace(rest));
}

// The newest values of topics by key as the generation that is left had them, in its shadows: what differs from the
// next one's is written over them, and on the way back the two are compared again.
absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>> KeptTopics(const Plan& from, const StillMine& still_mine,
                                                                    KafkaClient* kafka) {
  const int32_t generation = from.application.generation;
  TM_RETURN_IF_ERROR(MakeShadowTopics(from, generation, kafka->admin()));
  std::vector<std::unique_ptr<TargetSwap>> keeps;
  for (const SinkPlan& sink : from.sinks) {
    const auto* topic = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (topic == nullptr || !topic->upsert || sink.view) continue;
    TopicDifferenceTarget target;
    target.live = ShadowTopic(topic->topic, generation);
    target.shadow = topic->topic;
    target.transactional_id = ApplicationId{from.application.name}.SinkTransactionalId(sink.kept_as(), "keep");
    target.still_mine = still_mine;
    keeps.push_back(MakeTopicDifference(std::move(target), kafka, SystemClock()));
  }
  return keeps;
}

absl::StatusOr<std::optional<generations::Verify>> Verify(const SwitchFlags& flags) {
  if (flags.cancel && flags.verify) {
    return absl::InvalidArgumentError("--verify doesn't go with --cancel, which takes a switch back whatever differs");
  }
  if (!flags.verify && !flags.verify_sinks.empty()) {
    return absl::InvalidArgumentError("--verify_sinks goes with --verify");
  }
  if (!flags.verify) return std::optional<generations::Verify>();
  TM_ASSIGN_OR_RETURN(const VerifyBound bound, ParseVerifyBound(*flags.verify));
  generations::Verify verify;
  verify.set_bound(bound.ToString());
  for (const absl::string_view name : absl::StrSplit(flags.verify_sinks, ',', absl::SkipWhitespace())) {
    verify.add_sinks(std::string(absl::StripAsciiWhitespace(name)));
  }
  return std::optional<generations::Verify>(std::move(verify));
}

struct Clients {
  std::unique_ptr<KafkaClient> kafka;
  std::unique_ptr<ResetClient> reset;
};

absl::StatusOr<Clients> Connect(const Plan& plan) {
  Clients clients;
  TM_ASSIGN_OR_RETURN(clients.kafka, NewRdKafkaClient(plan.kafka, Quiet));
  TM_ASSIGN_OR_RETURN(clients.reset, NewRdResetClient(plan.kafka, Quiet));
  return clients;
}

}  // namespace

absl::Status ReplayCommand(const ReplayFlags& flags, const WorkerOptions& options) {
  GenerationText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, Load(flags.config, &text));
  ReplayOptions replay;
  replay.generation = flags.generation;
  replay.left_by = flags.left_by;
  replay.from = flags.from;
  replay.plan_of = PlanOf;
  if (flags.generation < 0) return absl::InvalidArgumentError("--generation: expected a number from 1 on");
  if (flags.left_by < 0 || (flags.left_by != 0 && flags.generation == 0)) {
    return absl::InvalidArgumentError("--left_by: expected the number of a switch, beside --generation");
  }
  if (flags.generation != 0 && !flags.from.empty()) {
    return absl::InvalidArgumentError("--from doesn't go with --generation, which goes on where it has stopped");
  }
  if (!flags.max_live_lag.empty()) {
    TM_ASSIGN_OR_RETURN(replay.max_live_lag_us, Duration("max_live_lag", flags.max_live_lag));
  }
  std::optional<Plan> active;
  if (!flags.active.empty()) {
    TM_ASSIGN_OR_RETURN(active, Load(flags.active, &replay.active_text));
    replay.active = &*active;
  }
  LOG(INFO) << "replays topology " << plan.application.name << " from " << flags.config;
  return RunReplay(plan, text, replay, options);
}

absl::Status SwitchCommand(const SwitchFlags& flags, std::ostream& out, int* exit_code) {
  GenerationText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, Load(flags.config, &text));
  SwitchOptions options;
  options.dry_run = flags.dry_run;
  TM_ASSIGN_OR_RETURN(options.lag_us, Lag(flags.when));
  TM_ASSIGN_OR_RETURN(options.within_us, Duration("within", flags.within));
  TM_ASSIGN_OR_RETURN(options.verify, Verify(flags));
  TM_ASSIGN_OR_RETURN(const Clients clients, Connect(plan));
  SwitchParts parts;
  parts.kafka = clients.kafka.get();
  parts.client = clients.reset.get();
  parts.clock = SystemClock();
  parts.wait = Pause;
  parts.say = [&out](const std::string& line) { out << line << std::endl; };
  parts.plan_of = PlanOf;
  parts.swaps = [&clients](const GenerationSwap& swap) -> absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>> {
    TM_RETURN_IF_ERROR(CheckSwitchable(*swap.from, *swap.to));
    return SwapsOf(swap, clients.kafka.get(), SystemClock());
  };
  parts.keeps = [&clients](const GenerationSwap& swap) {
    return KeptTopics(*swap.from, swap.still_mine, clients.kafka.get());
  };
  std::optional<TopologyFormats> before_formats, after_formats;  // of the plans that are compared
  parts.comparisons = [&](ComparisonRequest request) {
    before_formats.emplace(request.before->registry);
    after_formats.emplace(request.after->registry);
    request.before_formats = &before_formats->formats();
    request.after_formats = &after_formats->formats();
    return ComparisonsOf(request, clients.kafka.get(), SystemClock());
  };
  if (flags.cancel) return CancelSwitch(plan, parts);
  TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(plan.application.name, *clients.kafka, Pause));
  if (flags.back && state.phase() != generations::State::DECIDED &&
      (state.building() == 0 || state.building() > state.active())) {
    return absl::FailedPreconditionError(
        "--back: no earlier generation is being built. `tidemark replay --generation N --config ITS_FILE` lets it "
        "catch "
        "up from where it was left");
  }
  TM_ASSIGN_OR_RETURN(const SwitchEnd end, SwitchGenerations(plan, options, parts));
  if (end == SwitchEnd::kDiffers) *exit_code = kDiffersExit;
  return absl::OkStatus();
}

absl::Status GenerationsCommand(const std::string& config, const std::vector<std::string>& words, std::ostream& out) {
  const bool list = words.size() == 1 && words[0] == "list";
  if (!list && !(words.size() == 2 && words[0] == "drop")) {
    return absl::InvalidArgumentError(absl::StrCat("tidemark generations takes `list`, `drop N` or `drop RUN`, found '",
                                                   absl::StrJoin(words, " "), "'"));
  }
  GenerationText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, Load(config, &text));
  TM_ASSIGN_OR_RETURN(const Clients clients, Connect(plan));
  const std::string& application = plan.application.name;
  if (list) {
    TM_ASSIGN_OR_RETURN(const std::string told, GenerationsReport(application, *clients.kafka, PlanOf, [] {
                          std::this_thread::sleep_for(std::chrono::seconds(1));
                        }));
    TM_ASSIGN_OR_RETURN(const std::string runs, PastRunsReport(application, *clients.kafka, Pause));
    out << told << runs;
    return absl::OkStatus();
  }
  // No run's name is a number.
  int32_t number = 0;
  TM_ASSIGN_OR_RETURN(const std::string told,
                      absl::SimpleAtoi(words[1], &number)
                          ? DropGeneration(plan, number, *clients.kafka, *clients.reset, PlanOf, Pause)
                          : DropPastRun(application, words[1], *clients.kafka, *clients.reset, PlanOf, Pause));
  out << told;
  return absl::OkStatus();
}

absl::StatusOr<Plan> OfActiveGeneration(const Plan& plan, bool whole) {
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> kafka, NewRdKafkaClient(plan.kafka, Quiet));
  TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(plan.application.name, *kafka, Pause));
  if (whole && state.generations_size() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat(plan.application.name,
                     " has several generations, and a reset concerns one alone: `tidemark generations drop` those that "
                     "aren't active first"));
  }
  return PlanOfGeneration(plan, state.active());
}

}  // namespace tidemark
