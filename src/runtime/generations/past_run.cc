#include "src/runtime/generations/past_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "operators/changes/spec.h"
#include "operators/join/tables_spec.h"
#include "operators/join/versioned_spec.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"
#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/base/value_text.h"
#include "src/kafka/rdkafka_client.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/lake_client.h"

namespace tidemark {
namespace {

constexpr char kEarliest[] = "earliest";
constexpr size_t kMostNameBytes = 40;
constexpr int kTries = 5;  // of writing the log, while others write it

absl::Status Refuse(const std::vector<std::string>& wrong) {
  return wrong.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
}

absl::StatusOr<int64_t> TimeOf(const char* flag, const std::string& text) {
  int64_t us = 0;
  if (ParseRfc3339(text, &us) == Fit::kOk) return us;
  return absl::InvalidArgumentError(absl::StrCat(flag, ": expected ",
                                                 std::string(flag) == "--from" ? "earliest or " : "",
                                                 "a time such as 2026-03-01T00:00:00Z, found '", text, "'"));
}

// "20260301", or with the time of day where it isn't midnight.
std::string Digits(int64_t us) {
  const std::string text = absl::FormatTime("%Y%m%d%H%M%E*S", absl::FromUnixMicros(us), absl::UTCTimeZone());
  std::string digits;
  for (const char c : text) digits += c == '.' ? '_' : c;
  return digits.substr(8) == "000000" ? digits.substr(0, 8) : digits;
}

// What stands in names of topics and tables without quotes; not a number, as generations are called so.
bool IsRunName(const std::string& name) {
  const bool number = std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return !number && name.size() <= kMostNameBytes && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// ---- What can't be right -------------------------------------------------------------------------------------------

// Its state is of a table: what a row is now follows from all that was told of it before.
bool KeepsTable(const Node& node) {
  return node.spec.Is<ChangesSpec>() || node.spec.Is<TableJoinSpec>() || node.spec.Is<VersionedJoinSpec>();
}

// Its results are of all rows that there ever were.
bool CountsForEver(const Node& node) {
  if (node.spec.Is<WindowSpec>()) {
    const auto& window = node.spec.As<WindowSpec>();
    return window.size_us == 0 && window.gap_us == 0 && window.cumulative_us == 0 && window.calendar == nullptr;
  }
  if (node.spec.Is<TopSpec>()) return node.spec.As<TopSpec>().on_update && !node.in().mode.update;
  return KeepsTable(node);
}

// Its rows are deleted once they are old, and all that a part of the past has is old.
bool DeletesOldRows(const Node& node) { return node.spec.Is<WindowSpec>() && node.spec.As<WindowSpec>().keep_us > 0; }

// By sink, a step of that kind that its rows come through.
std::map<int, std::string> SinksBehind(const Plan& plan, bool (*is_such)(const Node&)) {
  std::map<int, std::string> sinks, edges;  // sinks by position; what passes through an internal topic
  for (const Stage& stage : plan.stages) {  // upstream first
    std::vector<std::string> steps(stage.nodes.size());
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      const Node& node = stage.nodes[n];
      std::string& step = steps[n];
      if (node.kind == Node::Kind::kInternal) step = edges[node.edge];
      if (node.kind == Node::Kind::kOperator && is_such(node)) step = node.step;
      for (const int from : node.upstream()) {
        if (step.empty()) step = steps[static_cast<size_t>(from)];
      }
      if (step.empty()) continue;
      if (node.kind == Node::Kind::kRepartition) edges[node.edge] = step;
      if (node.sink >= 0) sinks[node.sink] = step;
    }
  }
  return sinks;
}

void CheckTargets(const Plan& base, std::vector<std::string>* wrong) {
  const std::map<int, std::string> of_all_time = SinksBehind(base, CountsForEver);
  const std::map<int, std::string> of_kept = SinksBehind(base, DeletesOldRows);
  for (size_t s = 0; s < base.sinks.size(); ++s) {
    const SinkPlan& sink = base.sinks[s];
    const std::string who = absl::StrCat(sink.view ? "view " : "sink ", sink.name, ": ");
    const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec);
    if (const auto all = of_all_time.find(static_cast<int>(s)); all != of_all_time.end()) {
      wrong->push_back(absl::StrCat(who, "step ", all->second,
                                    " counts over all time, and what it makes of a part of the ",
                                    "rows would stand in the place of what it has made of all: run into shadows"));
    } else if (const auto kept = of_kept.find(static_cast<int>(s)); kept != of_kept.end()) {
      wrong->push_back(absl::StrCat(
          who, "step ", kept->second, " deletes the rows of its windows once they are older than `keep`, as all that ",
          "the run counts would be, and the application's own rows would go with them: run ", "into shadows"));
    } else if (sink.view) {
      wrong->push_back(absl::StrCat(who,
                                    "the application's view is its own, and the run's would end with it: run into ",
                                    "shadows, or leave it out"));
    } else if (std::holds_alternative<WebhookSpec>(sink.spec)) {
      wrong->push_back(absl::StrCat(who, "what is computed again would be posted again: leave it out"));
    } else if (lake != nullptr && lake->changes) {
      wrong->push_back(absl::StrCat(
          who, "whoever adds up the changes of the lake would count the run's, too: run into ", "shadows"));
    }
  }
}

// ---- The part ------------------------------------------------------------------------------------------------------

// From where on a partition is read, or why it can't be.
absl::StatusOr<Offset> StartOf(const SourcePlan& source, const TopicPartition& partition, const PastRun& past,
                               Admin& admin, std::vector<std::string>* wrong) {
  TM_ASSIGN_OR_RETURN(const Offset log_start, admin.LogStart(partition));
  if (past.from == kEarliest) return log_start;
  TM_ASSIGN_OR_RETURN(const int64_t from_us, TimeOf("--from", past.from));
  // Of less than a millisecond nothing is known of a record.
  TM_ASSIGN_OR_RETURN(const Offset start, admin.OffsetForTime(partition, (from_us + kMillisecond - 1) / kMillisecond));
  if (start > log_start || log_start == 0) return start;
  wrong->push_back(
      absl::StrCat("source ", source.name, ": ", ToString(partition), " begins at offset ", log_start,
                   ", with a record that isn't older than ", past.from,
                   ": whether what retention has taken was, nobody knows. Begin later, name a raw lake that ",
                   "has it (`replay` of the source, or --lakes), or say --from earliest, which takes what there is"));
  return start;
}

absl::Status FindPart(const Plan& base, const PastRun& past, KafkaClient& kafka, generations::Run* run) {
  TM_ASSIGN_OR_RETURN(const int64_t to_us, TimeOf("--to", past.to));
  std::vector<std::string> topics, wrong;
  for (const SourcePlan& source : base.sources) topics.push_back(source.topic);
  Admin& admin = kafka.admin();
  TM_ASSIGN_OR_RETURN(const auto found, admin.Describe(topics));
  for (const SourcePlan& source : base.sources) {
    const auto topic = found.find(source.topic);
    if (topic == found.end()) {
      wrong.push_back(absl::StrCat("source ", source.name, ": topic '", source.topic, "' doesn't exist"));
      continue;
    }
    for (int32_t p = 0; p < topic->second.partitions; ++p) {
      const TopicPartition partition{source.topic, p};
      TM_ASSIGN_OR_RETURN(const Offset start, StartOf(source, partition, past, admin, &wrong));
      TM_ASSIGN_OR_RETURN(Offset end, admin.OffsetForTime(partition, (to_us + kMillisecond - 1) / kMillisecond));
      // What isn't committed when the run begins comes later than it.
      TM_ASSIGN_OR_RETURN(const Offset committed, admin.LogEnd(partition, Isolation::kReadCommitted));
      end = std::max(start, std::min(end, committed));
      const auto add = [&](generations::Position* at, Offset offset) {
        at->set_topic(source.topic);
        at->set_partition(p);
        at->set_offset(offset);
      };
      add(run->add_starts(), start);
      add(run->add_ends(), end);
    }
  }
  return Refuse(wrong);
}

std::vector<std::string> LinesOf(const LakeSpecs& lakes) {
  std::vector<std::string> lines;
  for (const auto& [topic, lake] : lakes) {
    lines.push_back(absl::StrCat(topic, " from ", lake.path, lake.pass_holes ? ", holes passed" : ""));
  }
  return lines;
}

absl::Status CheckSame(const generations::Run& run, const GenerationText& text, const PastRun& past,
                       const std::string& name) {
  const auto other = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("run ", name, " was begun ", what, ": go on with it so, give this one ",
                     "another name by --name, or `tidemark generations drop ", name, "`"));
  };
  if (run.fingerprint() != TopologyFingerprint(text.yaml)) return other("from another text than " + text.file);
  if (run.from() != past.from || run.to() != past.to) {
    return other(absl::StrCat("with --from ", run.from(), " --to ", run.to()));
  }
  if (run.into_targets() != past.into_targets) return other(run.into_targets() ? "--into targets" : "--into shadows");
  const std::vector<std::string> lakes(run.lakes().begin(), run.lakes().end());
  if (lakes != LinesOf(past.lakes)) {
    return other(lakes.empty() ? "without --lakes" : absl::StrCat("with lakes: ", absl::StrJoin(lakes, "; ")));
  }
  return absl::OkStatus();
}

absl::Status CheckNoSwitch(const Plan& base, KafkaClient& kafka, const std::function<void()>& wait) {
  TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(base.application.name, kafka, wait));
  if (state.building() == 0 && state.phase() == generations::State::STEADY) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "--into targets: another generation is being built, and a switch would take the targets away under the run: "
      "`tidemark switch` first, or run into shadows");
}

ShadowName NameOf(const std::string& run) { return ShadowName::OfRun(run); }

// Makes what is to be there before anybody writes, and says what the run will do.
absl::Status Prepare(const Plan& base, const std::string& name, const PastRun& past, KafkaClient& kafka,
                     const std::function<void()>& wait) {
  if (past.into_targets) return CheckNoSwitch(base, kafka, wait);
  TM_RETURN_IF_ERROR(CheckShadowsNew(base, NameOf(name), kafka.admin()));
  return MakeShadowTopics(base, NameOf(name), kafka.admin());
}

using Parts = std::map<TopicPartition, std::pair<Offset, Offset>>;

Parts PartsOf(const generations::Run& run) {
  Parts parts;
  for (const auto& at : run.starts()) parts[{at.topic(), at.partition()}].first = at.offset();
  for (const auto& at : run.ends()) parts[{at.topic(), at.partition()}].second = at.offset();
  return parts;
}

void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

void LogKafka(int level, std::string_view text) {
  if (level > 3) return;
  LOG_EVERY_T(ERROR, 10) << "kafka: " << text;
}

// What `write` makes of the log's run, as one committed record; nothing: it stays as it is.
absl::StatusOr<generations::Run> Update(
    const Plan& own, KafkaClient& kafka, const std::function<void()>& wait,
    const std::function<absl::StatusOr<std::optional<generations::Run>>(const generations::State&)>& write) {
  for (int tries = 0;; ++tries) {
    TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(own, &kafka, wait));
    TM_ASSIGN_OR_RETURN(auto next, write(log->state()));
    if (!next) return log->state().run();
    generations::State state = log->state();
    *state.mutable_run() = *std::move(next);
    const absl::Status written = log->Write(state);
    if (written.ok()) return state.run();
    // Another worker of the run writes, and most likely the same.
    if (!absl::IsCancelled(written) || tries == kTries) return written;
    wait();
  }
}

}  // namespace

absl::StatusOr<std::string> NameOfPastRun(const PastRun& past, int64_t now_us) {
  TM_ASSIGN_OR_RETURN(const int64_t to_us, TimeOf("--to", past.to));
  std::string begin = kEarliest;
  if (past.from != kEarliest) {
    TM_ASSIGN_OR_RETURN(const int64_t from_us, TimeOf("--from", past.from));
    if (from_us >= to_us) return absl::InvalidArgumentError("--to has to lie behind --from");
    begin = Digits(from_us);
  }
  if (to_us > now_us) {
    return absl::InvalidArgumentError(
        absl::StrCat("--to ", past.to, " lies ahead: records of that time are still to come. Run it then"));
  }
  if (past.name.empty()) return absl::StrCat(begin, "_", Digits(to_us));
  if (IsRunName(past.name)) return past.name;
  return absl::InvalidArgumentError(
      absl::StrCat("--name: small letters, digits and _ are expected, not digits alone, at most ", kMostNameBytes,
                   ", found '", past.name, "'"));
}

absl::Status CheckPastRun(const Plan& base, const PastRun& past) {
  TM_RETURN_IF_ERROR(CheckReplayable(base));
  std::vector<std::string> wrong;
  for (const Stage& stage : base.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind != Node::Kind::kOperator || !KeepsTable(node) || past.from == kEarliest) continue;
      wrong.push_back(absl::StrCat("step ", node.step,
                                   " goes by what a table's rows have been since it began, and a run ",
                                   "that begins at ", past.from, " would know of a part of them: say --from earliest"));
    }
  }
  if (past.into_targets) CheckTargets(base, &wrong);
  return Refuse(wrong);
}

absl::StatusOr<Plan> PlanOfPastRun(const Plan& base, const std::string& name, const generations::Run& run) {
  Plan plan = PlanOfApplication(base, GenerationNames{base.application.name}.Run(name));
  // A record that can't be read is put aside for this run, as the application has put it aside for itself.
  if (run.into_targets()) {
    plan.dead_letter_topic = ShadowTopic(base.dead_letter_topic, NameOf(name));
    plan.notify = NotifySpec();
  } else {
    TM_ASSIGN_OR_RETURN(plan, ShadowPlan(plan, NameOf(name)));
  }
  for (SourcePlan& source : plan.sources) {
    source.start = StartPosition();  // where its part begins (bounded_client.h)
    source.skip_lost = false;        // its part is stated: what of it is gone stops the run
  }
  for (SinkPlan& sink : plan.sinks) sink.freshness.reset();  // old rows are what it is about
  return plan;
}

absl::StatusOr<generations::Run> BeginPastRun(const Plan& base, const GenerationText& text, const PastRun& past,
                                              KafkaClient& kafka, int64_t now_us, const std::function<void()>& wait) {
  TM_ASSIGN_OR_RETURN(const std::string name, NameOfPastRun(past, now_us));
  TM_RETURN_IF_ERROR(CheckPastRun(base, past));
  const Plan own = PlanOfApplication(base, GenerationNames{base.application.name}.Run(name));
  TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(own.application.name, kafka, wait));
  generations::Run run = state.run();
  if (!state.has_run()) {
    generations::Run next;
    next.set_yaml(text.yaml);
    next.set_fingerprint(TopologyFingerprint(text.yaml));
    next.set_from(past.from);
    next.set_to(past.to);
    next.set_into_targets(past.into_targets);
    for (std::string& lake : LinesOf(past.lakes)) *next.add_lakes() = std::move(lake);
    next.set_begun_us(now_us);
    TM_RETURN_IF_ERROR(PlanOfPastRun(base, name, next).status());
    // Before anything is made.
    TM_RETURN_IF_ERROR(FindPart(base, past, kafka, &next));
    TM_ASSIGN_OR_RETURN(
        run, Update(own, kafka, wait,
                    [&](const generations::State& stands) -> absl::StatusOr<std::optional<generations::Run>> {
                      if (stands.has_run()) return std::nullopt;
                      TM_RETURN_IF_ERROR(Prepare(base, name, past, kafka, wait));
                      TM_RETURN_IF_ERROR(Failpoint("past_run.prepared"));
                      return next;
                    }));
  }
  TM_RETURN_IF_ERROR(CheckSame(run, text, past, name));
  if (MutationActive(Mutation::kBoundsTakenAnew)) {
    run.clear_starts();
    run.clear_ends();
    TM_RETURN_IF_ERROR(FindPart(base, past, kafka, &run));
  }
  return run;
}

absl::StatusOr<std::vector<std::string>> NamesOfPastRuns(const std::string& application, KafkaClient& kafka) {
  const std::string prefix = GenerationNames{application}.RunPrefix(), end = GenerationNames().Topic();
  TM_ASSIGN_OR_RETURN(const auto topics, kafka.admin().List(prefix));
  std::vector<std::string> runs;
  for (const auto& [topic, info] : topics) {
    std::string_view name = std::string_view(topic).substr(prefix.size());
    if (!name.ends_with(end)) continue;
    name.remove_suffix(end.size());
    runs.emplace_back(name);
  }
  return runs;
}

absl::Status CheckNoRunIntoTargets(const std::string& application, KafkaClient& kafka,
                                   const std::function<void()>& wait) {
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOfPastRuns(application, kafka));
  for (const std::string& name : names) {
    TM_ASSIGN_OR_RETURN(const generations::State state,
                        ReadGenerations(GenerationNames{application}.Run(name).name, kafka, wait));
    if (!state.run().into_targets() || state.run().done_us() > 0) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "run ", name, " into the targets isn't done, and what it writes into a target that is about to be ",
        "left would be left with it: let it end, or `tidemark generations drop ", name, "`"));
  }
  return absl::OkStatus();
}

absl::Status EndPastRun(const Plan& base, const std::string& name, KafkaClient& kafka, int64_t now_us,
                        const std::function<void()>& wait) {
  const Plan own = PlanOfApplication(base, GenerationNames{base.application.name}.Run(name));
  return Update(own, kafka, wait,
                [&](const generations::State& state) -> absl::StatusOr<std::optional<generations::Run>> {
                  if (!state.has_run()) return absl::NotFoundError(absl::StrCat("run ", name, " has been dropped"));
                  if (state.run().done_us() > 0) return std::nullopt;
                  generations::Run run = state.run();
                  run.set_done_us(now_us);
                  return run;
                })
      .status();
}

absl::Status RunPast(const Plan& base, const GenerationText& text, const PastRun& asked, const WorkerOptions& given) {
  PastRun past = asked;
  past.lakes = given.lakes;
  const int64_t now_us = SystemClock()->WallUs();
  TM_ASSIGN_OR_RETURN(const std::string name, NameOfPastRun(past, now_us));
  TM_RETURN_IF_ERROR(CheckPastRun(base, past));
  TM_ASSIGN_OR_RETURN(auto client, NewRdKafkaClient(base.kafka, LogKafka));
  const std::unique_ptr<KafkaClient> kafka = WithLakes(std::move(client), given.lakes);
  TM_ASSIGN_OR_RETURN(const generations::Run run, BeginPastRun(base, text, past, *kafka, now_us, Pause));
  if (run.done_us() > 0) {
    given.report(absl::StrCat("run ", name, " is done, since ", TimestampText(run.done_us(), TimestampForm::kRfc3339),
                              ": nothing was changed"));
    return absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(const Plan plan, PlanOfPastRun(base, name, run));
  WorkerOptions options = given;
  options.parts = PartsOf(run);
  options.lineage = {};  // events are the application's, of what it does itself
  options.state_dir = absl::StrCat(given.state_dir, "/run_", name);
  options.until_end = options.close_windows = true;
  Offset records = 0;
  for (const auto& [partition, part] : options.parts) records += part.second - part.first;
  LOG(INFO) << "run " << name << " of " << base.application.name << ": " << records << " offsets from " << past.from
            << " to " << past.to << ", into " << (past.into_targets ? "the targets" : "shadows");
  TM_RETURN_IF_ERROR(RunWorker(plan, options));
  TM_RETURN_IF_ERROR(Failpoint("past_run.before_done"));
  TM_RETURN_IF_ERROR(EndPastRun(base, name, *kafka, SystemClock()->WallUs(), Pause));
  given.report(absl::StrCat("run ", name, " is done"));
  // Nobody will go on with it.
  std::error_code ignored;
  std::filesystem::remove_all(options.state_dir, ignored);
  return absl::OkStatus();
}

}  // namespace tidemark
