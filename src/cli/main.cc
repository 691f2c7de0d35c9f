// Each command is a function of src/cli or src/runtime; this file reads flags, wires and turns a Status into an exit
// code.
#include "src/cli/main.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <arrow/compute/initialize.h>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include "operators/operators.h"
#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/cli/dead_letters.h"
#include "src/cli/describe.h"
#include "src/cli/flags.h"
#include "src/cli/generate.h"
#include "src/cli/generations.h"
#include "src/cli/init.h"
#include "src/cli/lineage.h"
#include "src/cli/load.h"
#include "src/cli/logging.h"
#include "src/cli/malloc_conf.h"
#include "src/cli/plan_report.h"
#include "src/cli/reset_flags.h"
#include "src/cli/validate.h"
#include "src/codec/formats.h"
#include "src/kafka/rdkafka_client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/lake_spec.h"
#include "src/plan/planner.h"
#include "src/plan/units.h"
#include "src/registry/formats.h"
#include "src/runtime/generations/generation_run.h"
#include "src/runtime/generations/past_run.h"
#include "src/runtime/online_check.h"
#include "src/runtime/reset.h"
#include "src/runtime/resnapshot.h"
#include "src/runtime/status_reader.h"
#include "src/runtime/version.h"
#include "src/runtime/worker.h"
#include "src/status/dashboards.h"
#include "src/status/told.h"
#include "src/storage/object_store.h"
#include "src/trial/record.h"
#include "src/trial/suite.h"

extern "C" {
const char* malloc_conf = tidemark::kMallocConf;
}

DECLARE_string(config);
DECLARE_string(state_dir);
DECLARE_int32(threads);
DECLARE_string(instance_id);
DECLARE_string(http_address);
DECLARE_string(http_certificate);
DECLARE_string(http_key);
DECLARE_bool(leave_on_stop);
DECLARE_string(stop_within);
DECLARE_bool(until_end);
DECLARE_bool(close_windows);
DECLARE_string(log_format);
DECLARE_bool(online);
DECLARE_string(format);
DECLARE_string(against);
DECLARE_string(allow_drop);
DECLARE_bool(to_earliest);
DECLARE_bool(to_latest);
DECLARE_string(to_timestamp);
DECLARE_string(to_offsets);
DECLARE_string(shift_by);
DECLARE_bool(execute);
DECLARE_string(brokers);
DECLARE_int64(records);
DECLARE_uint64(seed);
DECLARE_uint64(seeds);
DECLARE_bool(update);
DECLARE_int64(record);
DECLARE_double(rate);
DECLARE_double(duplicates);
DECLARE_double(hot_location);
DECLARE_double(late);
DECLARE_int32(partitions);
DECLARE_int32(idle_partition);
DECLARE_double(idle_from);
DECLARE_int64(skip);
DECLARE_bool(live);
DECLARE_double(events_per_second);
DECLARE_int64(out_of_orderness_ms);
DECLARE_int64(locations);
DECLARE_int64(cameras);
DECLARE_int64(items);
DECLARE_int32(replication_factor);
DECLARE_string(topic);
DECLARE_string(table_topic);
DECLARE_string(output);
DECLARE_string(where);
DECLARE_string(set);
DECLARE_int64(limit);
DECLARE_bool(dry_run);
DECLARE_string(accept_edit);
DECLARE_string(to);
DECLARE_string(into);
DECLARE_string(lakes);
DECLARE_string(holes);
DECLARE_string(name);
DECLARE_string(active);
DECLARE_string(from);
DECLARE_int32(generation);
DECLARE_int64(left_by);
DECLARE_string(max_live_lag);
DECLARE_string(when);
DECLARE_string(within);
DECLARE_string(verify);
DECLARE_string(verify_sinks);
DECLARE_bool(back);
DECLARE_bool(cancel);

namespace tidemark {
namespace {

// Written to by the signal handler only: lock-free, so allowed there.
std::atomic<int> stop_requests{0};
std::atomic<bool> stop_generating{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void OnSignal(int) {
  stop_generating = true;
  // The second one ends the process at once: what is open is left to the broker's fencing, as after a crash.
  if (++stop_requests >= 2) std::_Exit(1);
}

// Only for commands that end well when they are told to; the others end at once.
void HandleSignals() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
}

// Each has a consumer and two producers with threads of their own.
constexpr int kMostThreads = 256;

absl::Status NeedConfig() {
  if (!FLAGS_config.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("--config is missing: name the topology's YAML file (`tidemark init` writes one)");
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "tidemark";
  return name;
}

void SayOnStderr(int level, std::string_view text) {
  if (level <= 4) std::cerr << text << "\n";
}

absl::Status ArmFailpoints() {
  const char* failpoints = std::getenv("TIDEMARK_FAILPOINTS");
  return failpoints == nullptr ? absl::OkStatus() : tidemark::ArmFailpoints(failpoints);
}

// Names with commas between.
AllowedDrops AllowedDropsOf(const std::string& flag) {
  AllowedDrops names;
  for (const absl::string_view name : absl::StrSplit(flag, ',', absl::SkipWhitespace())) {
    names.emplace(absl::StripAsciiWhitespace(name));
  }
  return names;
}

// `tidemark dead-letters` for who asks a worker.
absl::StatusOr<std::string> CarryLettersOf(const Plan& plan, const LetterOrder& order) {
  TM_ASSIGN_OR_RETURN(const auto kafka, NewRdKafkaClient(plan.kafka, SayOnStderr));
  std::ostringstream said;
  const absl::Status status = DeadLettersCommand(order.command, plan, *kafka,
                                                 {order.where, order.set, order.limit, order.dry_run, false}, said);
  // What is in stays in, whatever came after it.
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(said.str(), status.message()));
  return said.str();
}

absl::Status CheckWorkerFlags() {
  TM_RETURN_IF_ERROR(NeedConfig());
  if (FLAGS_close_windows && !FLAGS_until_end) {
    return absl::InvalidArgumentError("--close_windows only goes with --until_end");
  }
  if (FLAGS_threads < 0 || FLAGS_threads > kMostThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads: expected a number from 0 to ", kMostThreads, ", found ", FLAGS_threads));
  }
  if (const int64_t within = ParseDuration(FLAGS_stop_within).value_or(0);
      within < 3 * kSecond || within > 3'600 * kSecond) {
    return absl::InvalidArgumentError(
        absl::StrCat("--stop_within: expected a duration from 3s to 1h, found '", FLAGS_stop_within, "'"));
  }
  if (FLAGS_state_dir.empty()) return absl::InvalidArgumentError("--state_dir can't be empty: name a folder");
  TM_RETURN_IF_ERROR(StartLogging(FLAGS_log_format));
  return ArmFailpoints();
}

WorkerOptions WorkerFlags(const Plan& plan, const TopologyText& text) {
  WorkerOptions options;
  options.state_dir = FLAGS_state_dir;
  options.threads = FLAGS_threads;
  options.instance_id = FLAGS_instance_id.empty() ? HostName() : FLAGS_instance_id;
  options.http_address = FLAGS_http_address;
  options.http_certificate = FLAGS_http_certificate;
  options.http_key = FLAGS_http_key;
  options.texts = TextsOfBoxes(plan, text);
  options.dashboards = DashboardsAsJson(plan.application.name, text.dashboards);
  options.letters = [&plan](const LetterOrder& order) { return CarryLettersOf(plan, order); };
  options.catalogue = DescribeAsJson(plan, text);
  options.personal = PersonalColumnsOf(plan, text.about);
  options.lineage = text.lineage;
  if (!text.lineage.empty()) options.lineage_text = RunEventsOf(plan, text);
  options.leave_on_stop = FLAGS_leave_on_stop;
  options.stop_within_us = *ParseDuration(FLAGS_stop_within);
  options.until_end = FLAGS_until_end;
  options.close_windows = FLAGS_close_windows;
  options.allow_drop = AllowedDropsOf(FLAGS_allow_drop);
  options.stop_requests = &stop_requests;
  // Lines may come from several threads of the worker.
  options.report = [mutex = std::make_shared<std::mutex>()](const std::string& line) {
    const std::lock_guard lock(*mutex);
    std::cout << line << std::endl;
  };
  return options;
}

// A run over a part of the past is another command under the same name: flags of the one say nothing to the other.
absl::StatusOr<bool> RunsOverThePast() {
  if (FLAGS_to.empty()) {
    if (!FLAGS_from.empty()) return absl::InvalidArgumentError("--from goes with --to: up to which time?");
    if (!FLAGS_into.empty()) return absl::InvalidArgumentError("--into goes with --from and --to");
    if (!FLAGS_lakes.empty() || !FLAGS_holes.empty()) {
      return absl::InvalidArgumentError(
          "--lakes and --holes go with --from and --to: what goes on reads its topics alone");
    }
    if (!FLAGS_name.empty()) return absl::InvalidArgumentError("--name goes with --from and --to");
    return false;
  }
  if (FLAGS_from.empty()) return absl::InvalidArgumentError("--to goes with --from: earliest, or a time");
  if (FLAGS_until_end || FLAGS_close_windows) {
    return absl::InvalidArgumentError(
        "--until_end and --close_windows are what a run with --to does anyway: leave them out");
  }
  if (!FLAGS_allow_drop.empty() || !FLAGS_accept_edit.empty()) {
    return absl::InvalidArgumentError(
        "--allow_drop and --accept_edit don't go with --to: such a run has state of its own");
  }
  if (FLAGS_into.empty() || FLAGS_into == "shadows" || FLAGS_into == "targets") return true;
  return absl::InvalidArgumentError(absl::StrCat("--into: expected shadows or targets, found '", FLAGS_into, "'",
                                                 DidYouMean(FLAGS_into, {"shadows", "targets"})));
}

// Where topics have come that the topology reads by a pattern, a run begins anew with them, of the same text.
absl::Status Run() {
  TM_RETURN_IF_ERROR(CheckWorkerFlags());
  TM_ASSIGN_OR_RETURN(const bool past, RunsOverThePast());
  HandleSignals();
  const auto stopped = [] { return stop_requests.load() > 0; };
  const FilesAsFirstRead files;
  while (true) {
    TopologyText text;
    const absl::StatusOr<Plan> read = LoadTopology(FLAGS_config, &text, AskForTopics::kAlways, stopped, files);
    if (!read.ok() && stopped() && !FLAGS_until_end) return absl::OkStatus();
    TM_RETURN_IF_ERROR(read.status());
    const Plan& plan = *read;
    LOG(INFO) << "topology " << plan.application.name << " from " << absl::StrJoin(text.files, ", ");
    std::atomic<bool> more_topics = false;
    WorkerOptions options = WorkerFlags(plan, text);
    if (past) {
      TM_ASSIGN_OR_RETURN(options.lakes, LakesOf(plan, text.lakes, FLAGS_lakes, FLAGS_holes));
      return RunPast(plan, {FLAGS_config, text.yaml}, {FLAGS_from, FLAGS_to, FLAGS_name, FLAGS_into == "targets"},
                     options);
    }
    options.more_topics = &more_topics;
    TM_RETURN_IF_ERROR(RunActive(plan, {FLAGS_config, text.yaml}, FLAGS_accept_edit, options));
    if (!more_topics || stopped()) return absl::OkStatus();
  }
}

absl::Status Replay() {
  TM_RETURN_IF_ERROR(CheckWorkerFlags());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  WorkerOptions options = WorkerFlags(plan, text);
  TM_ASSIGN_OR_RETURN(options.lakes, LakesOf(plan, text.lakes, FLAGS_lakes, FLAGS_holes));
  HandleSignals();
  return ReplayCommand({FLAGS_config, FLAGS_active, FLAGS_from, FLAGS_max_live_lag, FLAGS_generation, FLAGS_left_by},
                       options);
}

absl::Status Switch(int* exit_code) {
  TM_RETURN_IF_ERROR(NeedConfig());
  TM_RETURN_IF_ERROR(ArmFailpoints());
  // One that is said and empty, as of a variable that isn't set, is a mistake.
  const bool verifies = !gflags::GetCommandLineFlagInfoOrDie("verify").is_default;
  return SwitchCommand({.config = FLAGS_config,
                        .when = FLAGS_when,
                        .within = FLAGS_within,
                        .verify = verifies ? std::optional(FLAGS_verify) : std::nullopt,
                        .verify_sinks = FLAGS_verify_sinks,
                        .dry_run = FLAGS_dry_run,
                        .back = FLAGS_back,
                        .cancel = FLAGS_cancel},
                       std::cout, exit_code);
}

absl::Status Generations(const std::vector<std::string>& arguments) {
  TM_RETURN_IF_ERROR(NeedConfig());
  TM_RETURN_IF_ERROR(ArmFailpoints());
  return GenerationsCommand(FLAGS_config, arguments, std::cout);
}

absl::Status Validate() {
  TM_RETURN_IF_ERROR(NeedConfig());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan,
                      LoadTopology(FLAGS_config, &text, FLAGS_online ? AskForTopics::kAlways : AskForTopics::kNever));
  TM_RETURN_IF_ERROR(Annotate(CheckKafkaSettings(plan.kafka), FLAGS_config));
  std::cout << ValidationReport(plan, text);
  if (!FLAGS_online) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const Plan active, OfActiveGeneration(plan, /*whole=*/false));
  TM_ASSIGN_OR_RETURN(const std::string online, CheckOnline(active));
  std::cout << online;
  return absl::OkStatus();
}

absl::Status PlanChange(int* exit_code) {
  TM_RETURN_IF_ERROR(NeedConfig());
  const auto load = [](const std::string& file) {
    TopologyText text;
    return LoadTopology(file, &text, FLAGS_against == "running" ? AskForTopics::kAlways : AskForTopics::kIfThere);
  };
  TM_ASSIGN_OR_RETURN(const Plan plan, load(FLAGS_config));
  TM_RETURN_IF_ERROR(PlanReport(plan, TopologyChange(), FLAGS_format).status());  // before Kafka is asked
  TopologyChange change;
  if (FLAGS_against == "running") {
    TM_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> kafka,
                        NewRdKafkaClient(plan.kafka, [](int, std::string_view) {}));
    TM_ASSIGN_OR_RETURN(const Plan active, OfActiveGeneration(plan, /*whole=*/false));
    TM_ASSIGN_OR_RETURN(change, ChangeOfRunning(active, *kafka, AllowedDropsOf(FLAGS_allow_drop)));
  } else {
    TM_ASSIGN_OR_RETURN(const Plan before, load(FLAGS_against));
    TM_ASSIGN_OR_RETURN(change, ChangeOfFile(plan, before, FLAGS_against, AllowedDropsOf(FLAGS_allow_drop)));
  }
  TM_ASSIGN_OR_RETURN(const std::string report, PlanReport(plan, change, FLAGS_format));
  std::cout << report;
  *exit_code = PlanExitCode(change);
  return absl::OkStatus();
}

absl::Status Reset() {
  TM_RETURN_IF_ERROR(NeedConfig());
  TM_ASSIGN_OR_RETURN(const ResetTo to, ResetPlace({.earliest = FLAGS_to_earliest,
                                                    .latest = FLAGS_to_latest,
                                                    .timestamp = FLAGS_to_timestamp,
                                                    .offsets = FLAGS_to_offsets,
                                                    .shift_by = FLAGS_shift_by}));
  TM_RETURN_IF_ERROR(ArmFailpoints());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan read, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  TM_ASSIGN_OR_RETURN(const Plan plan, OfActiveGeneration(read, /*whole=*/true));
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> kafka,
                      NewRdKafkaClient(plan.kafka, [](int, std::string_view) {}));
  TM_ASSIGN_OR_RETURN(const ResetPlan reset, PlanReset(plan, to, *kafka));
  if (FLAGS_execute) {
    TM_ASSIGN_OR_RETURN(const std::unique_ptr<ResetClient> client,
                        NewRdResetClient(plan.kafka, [](int, std::string_view) {}));
    TM_RETURN_IF_ERROR(ExecuteReset(plan, reset, *kafka, *client));
  }
  std::cout << ResetReport(plan, reset, FLAGS_execute);
  return absl::OkStatus();
}

absl::Status Resnapshot(const std::vector<std::string>& sources) {
  TM_RETURN_IF_ERROR(NeedConfig());
  TM_RETURN_IF_ERROR(ArmFailpoints());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  TM_ASSIGN_OR_RETURN(const auto kafka, NewRdKafkaClient(plan.kafka, SayOnStderr));
  TM_ASSIGN_OR_RETURN(const std::string done, AskForSnapshots(plan, sources, *kafka));
  std::cout << done;
  return absl::OkStatus();
}

absl::Status Describe() {
  TM_RETURN_IF_ERROR(NeedConfig());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, LoadTopology(FLAGS_config, &text, AskForTopics::kIfThere));
  TM_ASSIGN_OR_RETURN(const std::string description, DescribePlan(plan, text, FLAGS_format));
  std::cout << description;
  return absl::OkStatus();
}

absl::Status CheckTextOrJson() {
  if (FLAGS_format == "text" || FLAGS_format == "json") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--format: expected text or json, found '", FLAGS_format, "'"));
}

absl::Status Status() {
  TM_RETURN_IF_ERROR(NeedConfig());
  TM_RETURN_IF_ERROR(CheckTextOrJson());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan read, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  TM_ASSIGN_OR_RETURN(const Plan plan, OfActiveGeneration(read, /*whole=*/false));
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> kafka, NewRdKafkaClient(plan.kafka, SayOnStderr));
  TM_ASSIGN_OR_RETURN(const std::vector<HeardReport> reports, ListenToWorkers(plan, kafka.get(), SystemClock()));
  const double wall_ms = static_cast<double>(SystemClock()->WallUs() / 1000);
  const live::Application told = Fold(plan, MakeGraph(plan), TextsOfBoxes(plan, text), reports, wall_ms);
  std::cout << (FLAGS_format == "json" ? StatusAsJson(told) : StatusAsText(told));
  return absl::OkStatus();
}

absl::Status DeadLetters(const std::vector<std::string>& arguments) {
  TM_RETURN_IF_ERROR(NeedConfig());
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError("tidemark dead-letters takes list, show, last or replay");
  }
  TM_RETURN_IF_ERROR(CheckTextOrJson());
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  TM_ASSIGN_OR_RETURN(const auto kafka, NewRdKafkaClient(plan.kafka, SayOnStderr));
  return DeadLettersCommand(arguments[0], plan, *kafka,
                            {FLAGS_where, FLAGS_set, FLAGS_limit, FLAGS_dry_run, FLAGS_format == "json"}, std::cout);
}

// A new test file out of the topology's topics.
absl::Status RecordTest() {
  TM_RETURN_IF_ERROR(NeedConfig());
  if (FLAGS_record < 0) return absl::InvalidArgumentError("--record: expected a number of records");
  if (gflags::GetCommandLineFlagInfoOrDie("output").is_default) {
    return absl::InvalidArgumentError("--output is missing: name the test file that --record writes");
  }
  if (std::ifstream(FLAGS_output).good()) {
    return absl::InvalidArgumentError(absl::StrCat(FLAGS_output, " exists already: name another with --output"));
  }
  TopologyText text;
  TM_ASSIGN_OR_RETURN(const Plan plan, LoadTopology(FLAGS_config, &text, AskForTopics::kAlways));
  TM_ASSIGN_OR_RETURN(const auto kafka, NewRdKafkaClient(plan.kafka, SayOnStderr));
  TM_ASSIGN_OR_RETURN(const std::string test, trial::RecordTest(plan, FLAGS_config, FLAGS_output, text.yaml,
                                                                FLAGS_record, *kafka, *SystemClock()));
  std::ofstream file(FLAGS_output);
  file << test;
  if (file.flush()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(FLAGS_output, " can't be written: ", std::strerror(errno)));
}

absl::Status Test(std::vector<std::string> files, int* exit_code) {
  if (FLAGS_record == 0 && !FLAGS_config.empty()) {
    return absl::InvalidArgumentError("--config only goes with --record: a test file names its topology itself");
  }
  if (FLAGS_record != 0) {
    if (!files.empty())
      return absl::InvalidArgumentError("--record writes the file that --output names, and takes none");
    TM_RETURN_IF_ERROR(RecordTest());
    files.push_back(FLAGS_output);
    FLAGS_update = true;
  }
  if (files.empty()) return absl::InvalidArgumentError("tidemark test takes the names of test files");
  FLAGS_minloglevel = google::FATAL;  // what workers recover from is what they are put through
  trial::SuiteOptions options;
  options.seeds = FLAGS_seeds;
  options.update = FLAGS_update;
  if (!gflags::GetCommandLineFlagInfoOrDie("seed").is_default) options.seed = FLAGS_seed;
  const absl::StatusOr<int> failed = trial::RunTestFiles(files, options, std::cout);
  if (failed.ok()) *exit_code = *failed > 0 ? 1 : 0;
  if (failed.ok() || FLAGS_record == 0) return failed.status();
  return absl::Status(failed.status().code(),
                      absl::StrCat(std::string(failed.status().message()), "\n", FLAGS_output,
                                   " is written, but what it expects isn't: mend it, and go on with `tidemark test "
                                   "--update ",
                                   FLAGS_output, "`"));
}

absl::Status Generate(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || arguments[0] != "htx") {
    return absl::InvalidArgumentError("generate takes the workload's name: tidemark generate htx");
  }
  HandleSignals();
  GenerateHtxOptions options;
  options.kafka.brokers = FLAGS_brokers;
  options.records = FLAGS_records;
  options.skip = FLAGS_skip;
  options.rate = FLAGS_rate;
  options.live = FLAGS_live;
  options.partitions = FLAGS_partitions;
  options.idle_partition = FLAGS_idle_partition;
  options.idle_from = FLAGS_idle_from;
  options.topic = FLAGS_topic;
  options.table_topic = FLAGS_table_topic;
  options.shape.seed = FLAGS_seed;
  options.shape.duplicates = FLAGS_duplicates;
  options.shape.hot_location = FLAGS_hot_location;
  options.shape.late = FLAGS_late;
  options.shape.events_per_second = FLAGS_events_per_second;
  options.shape.out_of_orderness_ms = FLAGS_out_of_orderness_ms;
  options.shape.locations = FLAGS_locations;
  options.shape.cameras = FLAGS_cameras;
  options.shape.items = FLAGS_items;
  options.replication_factor = FLAGS_replication_factor;
  return GenerateHtx(options, SayOnStderr, stop_generating, std::cout);
}

absl::Status Init() {
  if (std::ifstream(FLAGS_output).good()) {
    return absl::InvalidArgumentError(absl::StrCat(FLAGS_output, " exists already: name another with --output"));
  }
  std::ofstream file(FLAGS_output);
  file << StarterTopology();
  if (!file.flush()) {
    return absl::InvalidArgumentError(absl::StrCat(FLAGS_output, " can't be written: ", std::strerror(errno)));
  }
  std::cout << "wrote " << FLAGS_output << ": check it with `tidemark validate --config " << FLAGS_output << "`\n";
  return absl::OkStatus();
}

absl::Status Help(const std::vector<std::string>& arguments) {
  const Command* command = nullptr;
  if (!arguments.empty()) {
    command = FindCommand(arguments[0]);
    if (command == nullptr) return UnknownCommand(arguments[0]);
  }
  std::cout << HelpText(command);
  return absl::OkStatus();
}

absl::Status Dispatch(int argc, char** argv, int* exit_code) {
  TM_ASSIGN_OR_RETURN(const ParsedLine line, ParseCommandLine(argc, argv));
  const std::string& name = line.command->name;
  if (name == "generate") return Generate(line.arguments);
  if (name == "help") return Help(line.arguments);
  if (name == "run") return Run();
  if (name == "replay") return Replay();
  if (name == "switch") return Switch(exit_code);
  if (name == "generations") return Generations(line.arguments);
  if (name == "validate") return Validate();
  if (name == "plan") return PlanChange(exit_code);
  if (name == "reset") return Reset();
  if (name == "resnapshot") return Resnapshot(line.arguments);
  if (name == "status") return Status();
  if (name == "describe") return Describe();
  if (name == "init") return Init();
  if (name == "test") return Test(line.arguments, exit_code);
  if (name == "dead-letters") return DeadLetters(line.arguments);
  std::cout << "tidemark " << kTidemarkVersion << "\n";
  return absl::OkStatus();
}

}  // namespace

int TidemarkMain(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // Columns live for a batch: the one allocator that the rest of the process uses has such memory at hand.
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
  if (const arrow::Status ready = arrow::compute::Initialize(); !ready.ok()) {
    std::cerr << "tidemark: " << ready.ToString() << "\n";
    return 1;
  }
  int exit_code = 0;  // of what is done
  const absl::Status status = Dispatch(argc, argv, &exit_code);
  FinalizeObjectStores();
  if (!status.ok()) SayFatal(status, FLAGS_log_format);
  return status.ok() ? exit_code : ExitCode(status);
}

}  // namespace tidemark
