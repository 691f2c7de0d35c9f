#include "tests/sim/generations_world.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "operators/operators.h"
#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/generations/fence.h"
#include "src/runtime/generations/fence_mark.h"
#include "src/runtime/generations/follower.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/generations/switch.h"
#include "src/runtime/generations/topic_comparison.h"
#include "src/runtime/global_tables.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/topics.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_decider.h"
#include "src/sim/sim_kafka.h"
#include "src/sim/sim_random.h"
#include "state/memory_disk.h"

namespace tidemark::sim {
namespace {

constexpr int kWorkersEach = 2;
constexpr int32_t kPartitions = 2;
constexpr int kRoutes = 3;
constexpr int kCommand = 90, kOtherCommand = 91;  // the numbers of their processes
constexpr char kSource[] = "events";

Plan PlanWith(int rule) {
  const std::string text = absl::StrCat(
      "name: app\nkafka: { brokers: simulated }\ninternal_topics: { partitions: 2 }\n"
      "sources: { events: { topic: events, columns: { id: int64, route: int64 } } }\n"
      "steps:\n"
      "  once: { from: events, dedup: { by: [id], within: 10h } }\n"
      "  valued: { from: once, project: { id: id, route: route, worth: \"",
      rule,
      "\" } }\n"
      "  totals: { from: valued, group_by: [route], aggregates: { n: count(*), worth: sum(worth) } }\n"
      "sinks:\n"
      "  rows: { from: valued, topic: rows, create: {} }\n"
      "  latest: { from: totals, topic: latest, key: [route], create: {} }\n");
  absl::StatusOr<Plan> plan =
      PlanFromYaml(text, "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  CHECK(plan.ok()) << plan.status();
  return *std::move(plan);
}

// What only a reset and a switch ask of brokers.
class SimResetClient final : public ResetClient {
 public:
  SimResetClient(SimCluster* cluster, int process) : cluster_(*cluster), process_(process) {}

  absl::StatusOr<bool> IsEmpty(const std::string& group) override {
    TM_RETURN_IF_ERROR(Alive());
    return cluster_.groups().CheckCommit({.group = group}).ok();
  }
  // Every fifth time the answer is lost.
  absl::Status CommitForEmptyGroup(const std::string& group, const std::vector<OffsetToCommit>& offsets) override {
    TM_RETURN_IF_ERROR(Alive());
    if (!cluster_.groups().CheckCommit({.group = group}).ok()) return absl::FailedPreconditionError("it has members");
    cluster_.log().CommitOffsets(group, offsets);
    return cluster_.random().Below(5) == 0 ? absl::UnavailableError("(simulated) the answer is lost")
                                           : absl::OkStatus();
  }
  absl::Status DeleteGroup(const std::string&) override { return absl::UnimplementedError("not simulated"); }
  absl::Status DeleteTopic(const std::string&) override { return absl::UnimplementedError("not simulated"); }

 private:
  absl::Status Alive() const {
    return cluster_.Alive(process_) ? absl::OkStatus() : absl::PermissionDeniedError("(simulated) the command is dead");
  }

  SimCluster& cluster_;
  const int process_;
};

// What stands in a topic by key; without a value: absent.
std::map<std::string, std::string> Newest(SimCluster& cluster, const std::string& topic) {
  std::map<std::string, std::string> newest;
  for (int32_t p = 0; p < cluster.log().PartitionCount(topic); ++p) {
    for (const SimRecord& record : cluster.CommittedRecords({topic, p})) {
      if (record.value) {
        newest[record.key.value_or("")] = *record.value;
      } else {
        newest.erase(record.key.value_or(""));
      }
    }
  }
  return newest;
}

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), seed_(seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = seed % 3 == 0 ? 50'000 : 0;
    cluster_ = std::make_unique<SimCluster>(options, &clock_);
    cluster_->CreateTopic(kSource, kPartitions);
    bases_ = {PlanWith(1), PlanWith(10)};
    for (int w = 0; w < 2 * kWorkersEach; ++w) {
      workers_.emplace_back();
      workers_.back().number = w;
      workers_.back().generation = w < kWorkersEach ? 1 : 2;
      workers_.back().disk = NewMemoryDisk();
    }
  }

  GenerationsResult Run() {
    result_.verdict = Play();
    return result_;
  }

 private:
  struct Worker {
    int number = 0;
    int32_t generation = 1;
    std::unique_ptr<Disk> disk;
    bool wanted = false;
    int64_t left_for = 0;
    int frozen_turns = 0;
    // Of its process.
    struct Process {
      std::unique_ptr<Plan> plan;
      Duty duty = Duty::kActive;
      std::unique_ptr<KafkaClient> kafka;
      RunControl control;
      Runtime runtime;
      std::unique_ptr<StateDir> state;
      std::unique_ptr<GlobalTables> tables;
      std::unique_ptr<GenerationFollower> follower;
      std::unique_ptr<StreamThread> thread;
      bool started = false;
    };
    std::unique_ptr<Process> process;
  };

  absl::Status Play() {
    for (Worker& worker : workers_) worker.wanted = worker.generation == 1;
    Feed(40);
    TM_RETURN_IF_ERROR(Turns(400));
    TM_RETURN_IF_ERROR(Register());
    for (Worker& worker : workers_) worker.wanted = true;
    faults_ = true;
    cluster_->faults().unavailable = seed_ % 2 == 0 ? 0.002 : 0;
    cluster_->faults().lost_answer = seed_ % 2 == 0 ? 0.002 : 0;
    cluster_->faults().commit_unknown = 0.01;
    TM_RETURN_IF_ERROR(Turns(300));
    for (int attempt = 0; attempt < 60 && result_.switches == 0; ++attempt) {
      if (attempt == 40) Heal();
      TM_RETURN_IF_ERROR(Switch(kCommand));
    }
    if (result_.switches == 0) return absl::InternalError(absl::StrCat("no switch was ever done: ", last_.ToString()));
    TM_RETURN_IF_ERROR(Turns(200));
    Heal();
    Feed(20);
    return Finish();
  }

  void Heal() {
    faults_ = false;
    cluster_->faults() = SimFaults();
    for (Worker& worker : workers_) Thaw(&worker);
  }

  void Feed(int count) {
    for (int i = 0; i < count; ++i) {
      const int64_t id = next_id_++;
      const std::string value = absl::StrCat("{\"id\":", id, ",\"route\":", id % kRoutes, "}");
      const int32_t partition = static_cast<int32_t>(id % kPartitions);
      const Offset at = cluster_->AppendInput({kSource, partition}, std::nullopt, value);
      offsets_[id] = at;
      if (random_.Below(8) == 0) cluster_->AppendInput({kSource, partition}, std::nullopt, value);
    }
  }

  absl::Status Register() {
    const auto kafka = cluster_->NewClient(kCommand);
    TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(bases_[0], kafka.get(), [this] { clock_.Advance(10'000); }));
    generations::State state = log->state();
    for (int32_t number = 1; number <= 2; ++number) {
      generations::Generation* const each = state.add_generations();
      each->set_number(number);
      each->set_yaml(absl::StrCat(number));
      each->set_fingerprint(absl::StrCat(number));
    }
    state.set_building(2);
    return log->Write(state);
  }

  // ---- Workers

  absl::StatusOr<generations::State> State(int number) {
    const auto kafka = cluster_->NewClient(number);
    return ReadGenerations("app", *kafka);
  }

  absl::Status Start(Worker* worker) {
    const absl::StatusOr<generations::State> state = State(worker->number);
    if (!state.ok()) return absl::OkStatus();
    const Duty duty = DutyOf(*state, worker->generation);
    if (duty == Duty::kLeft) worker->wanted = false;
    VLOG(1) << "worker " << worker->number << " finds duty " << static_cast<int>(duty) << " at record "
            << state->number();
    const bool left = state->switch_number() > 0 && state->switch_number() == worker->left_for;
    if (duty == Duty::kGone) return absl::InternalError("a generation that was never dropped is gone");
    if (duty == Duty::kLeft || duty == Duty::kWait || (left && (duty == Duty::kDrain || duty == Duty::kCut))) {
      return absl::OkStatus();
    }
    auto process = std::make_unique<Worker::Process>();
    Plan plan = PlanOfGeneration(bases_[static_cast<size_t>(worker->generation - 1)], worker->generation);
    if (duty == Duty::kBuild || duty == Duty::kCut) {
      TM_ASSIGN_OR_RETURN(plan, ShadowPlan(plan, worker->generation));
    }
    process->plan = std::make_unique<Plan>(std::move(plan));
    process->duty = duty;
    process->follower = std::make_unique<GenerationFollower>(*process->plan, duty, false, 0);
    process->kafka = process->follower->Bound(cluster_->NewClient(worker->number));
    Runtime& runtime = process->runtime;
    runtime.plan = process->plan.get();
    runtime.kafka = process->kafka.get();
    runtime.clock = &clock_;
    runtime.control = &process->control;
    runtime.new_identity = [this] {
      std::string bytes;
      for (int i = 0; i < 16; ++i) bytes += static_cast<char>(random_.Below(256));
      return bytes;
    };
    runtime.new_decider = [this] { return std::make_unique<SimDecider>(&random_, &undecided_); };
    runtime.options.instance_id = absl::StrCat("w", worker->number);
    runtime.options.poll_records = 1 + random_.Below(8);
    runtime.options.gather_us = 0;
    StateOptions state_options;
    state_options.application = runtime.plan->application.Key();
    state_options.memory_bytes = 64 << 20;
    TM_ASSIGN_OR_RETURN(process->state, StateDir::Open("/state", state_options, worker->disk.get()));
    runtime.state = process->state.get();
    TM_ASSIGN_OR_RETURN(runtime.partitions, ResolveTopics(*runtime.plan, process->kafka->admin(), true));
    process->tables = std::make_unique<GlobalTables>(*runtime.plan, process->kafka.get());
    TM_RETURN_IF_ERROR(process->tables->Load(runtime.partitions, [] { return false; }));
    runtime.tables = process->tables.get();
    process->thread = std::make_unique<StreamThread>(runtime, 0);
    TM_RETURN_IF_ERROR(process->follower->Look(*process->kafka));
    process->follower->Open(&runtime);
    worker->process = std::move(process);
    return absl::OkStatus();
  }

  void Destroy(Worker* worker, bool crash) {
    cluster_->Kill(worker->number);
    Thaw(worker);
    if (crash) worker->disk->Crash();
    worker->process.reset();
  }

  void Thaw(Worker* worker) {
    worker->frozen_turns = 0;
    cluster_->Thaw(worker->number);
  }

  absl::Status Ordinary(Worker* worker, const absl::Status& status) {
    if (status.ok()) return status;
    const bool fenced = absl::StrContains(status.message(), kMovedAway);
    if (!fenced && !OrdinaryEnding(status)) return Annotate(status, absl::StrCat("worker ", worker->number));
    Destroy(worker, random_.Below(2) == 0);
    return absl::OkStatus();
  }

  absl::Status Turn(Worker* worker) {
    if (worker->frozen_turns > 0) {
      if (--worker->frozen_turns == 0) Thaw(worker);
      clock_.Advance(kSecond / 2);
      return absl::OkStatus();
    }
    if (worker->process == nullptr) return worker->wanted ? Ordinary(worker, Start(worker)) : absl::OkStatus();
    if (faults_ && random_.Below(150) == 0) {
      ++result_.worker_deaths;
      Destroy(worker, true);
      return absl::OkStatus();
    }
    if (faults_ && random_.Below(200) == 0) {
      worker->frozen_turns = 1 + static_cast<int>(random_.Below(40));
      cluster_->Freeze(worker->number);
      return absl::OkStatus();
    }
    Worker::Process& process = *worker->process;
    absl::Status status;
    if (random_.Below(4) == 0) {
      status = process.follower->Turn();
      if (ActionFor(status) == Action::kRetry) status = absl::OkStatus();
    } else if (!process.started) {
      status = process.thread->Start();
      process.started = status.ok();
      if (absl::IsUnavailable(status)) status = absl::OkStatus();
    } else {
      status = process.thread->Step(5'000);
    }
    if (!cluster_->Alive(worker->number)) {
      Destroy(worker, true);
      return absl::OkStatus();
    }
    if (!status.ok()) return Ordinary(worker, status);
    if (!process.follower->ended() && !process.follower->drained()) return status;
    const bool drained = process.follower->drained();
    process.control.stop = true;
    const absl::Status stopped = process.thread->Stop(/*leave_group=*/drained);
    if (drained && stopped.ok()) worker->left_for = process.follower->switch_number();
    Destroy(worker, false);
    return absl::OkStatus();
  }

  absl::Status Turns(int count) {
    for (int i = 0; i < count; ++i) {
      if (random_.Below(6) == 0 && next_id_ < 400) Feed(1);
      TM_RETURN_IF_ERROR(Turn(&workers_[random_.Below(workers_.size())]));
      clock_.Advance(2'000);
    }
    return absl::OkStatus();
  }

  // ---- The command

  absl::Status StandsFenced(KafkaClient& kafka, int process) {
    if (!cluster_->Alive(process)) return absl::OkStatus();
    const absl::StatusOr<Stand> stand = ReadStand(PlanOfGeneration(bases_[0], 1), kafka);
    if (!stand.ok() || stand->wholly_marked) return absl::OkStatus();
    return absl::DataLossError("it was decided while no fence stood");
  }

  // While the one command sleeps, another goes on with the switch, and the applications with their work.
  absl::Status Overtake() {
    overtaken_ = true;
    absl::Status finding = Switch(kOtherCommand);
    if (finding.ok()) Feed(static_cast<int>(random_.Below(4)));
    if (finding.ok()) finding = Turns(static_cast<int>(random_.Below(300)));
    overtaken_ = false;
    return finding;
  }

  absl::Status Switch(int process) {
    const auto kafka = cluster_->NewClient(process);
    SimResetClient client(cluster_.get(), process);
    absl::Status finding;
    SwitchParts parts;
    parts.kafka = kafka.get();
    parts.client = &client;
    parts.clock = &clock_;
    parts.say = [&](const std::string& line) {
      VLOG(1) << "the command: " << line;
      if (line == "decided" && finding.ok()) finding = StandsFenced(*kafka, process);
    };
    parts.wait = [&] {
      if (finding.ok()) finding = Turns(1 + static_cast<int>(random_.Below(30)));
      if (faults_ && random_.Below(25) == 0) cluster_->Kill(process);
      if (faults_ && !overtaken_ && random_.Below(10) == 0 && finding.ok()) finding = Overtake();
      clock_.Advance(10'000);
    };
    parts.plan_of = [&](const generations::Generation& each) -> absl::StatusOr<Plan> {
      return PlanOfGeneration(bases_[static_cast<size_t>(each.number() - 1)], each.number());
    };
    parts.swaps = [&](const GenerationSwap& swap) -> absl::StatusOr<std::vector<std::unique_ptr<TargetSwap>>> {
      return SwapsOf(swap, kafka.get(), &clock_);
    };
    // The two value rows otherwise, and agree on how many there are.
    parts.comparisons = [&](const ComparisonRequest& request) -> absl::StatusOr<Comparisons> {
      const auto side = [](const Plan& plan) -> const SinkPlan& {
        return *std::find_if(plan.sinks.begin(), plan.sinks.end(), [](const auto& s) { return s.name == "latest"; });
      };
      TopicComparisonTarget target;
      target.sink = "sink latest";
      for (auto [to, plan] : {std::pair{&target.before, request.before}, std::pair{&target.after, request.after}}) {
        to->spec = std::get<KafkaSinkSpec>(side(*plan).spec);
        to->topic = to->spec.topic;
        to->schema = side(*plan).schema;
      }
      target.after.topic = ShadowTopic(target.after.topic, request.after->application.generation);
      target.columns = CompareColumns(target.before.schema, target.after.schema, false);
      std::erase_if(target.columns.columns, [](const ComparedColumn& column) { return column.name == "worth"; });
      target.most_entries = 3;  // several passes
      Comparisons comparisons;
      comparisons.units.push_back(MakeTopicComparison(std::move(target), kafka.get(), &clock_));
      return absl::StatusOr<Comparisons>(std::move(comparisons));
    };
    SwitchOptions options{.lag_us = 20 * kSecond, .within_us = 300 * kSecond};
    options.verify.emplace().set_bound("diff <= 0%");
    absl::Status done;
    // Killed between lifting the fence and saying so; a swap that is tried again.
    const uint64_t fails = faults_ ? random_.Below(4) : 3;
    (void)ArmFailpoints(fails == 0 ? "switch.lifted=error@1" : fails == 1 ? "swap_topic.before_commit=error@1" : "");
    if (faults_ && random_.Below(10) == 0) {
      ++result_.cancelled;
      done = CancelSwitch(bases_[0], parts);
    } else {
      const absl::StatusOr<SwitchEnd> end = SwitchGenerations(bases_[0], options, parts);
      done = end.status();
      if (done.ok() && *end == SwitchEnd::kDiffers) {
        return absl::DataLossError("at the cut the generations differ in how many rows there are");
      }
      result_.switches += done.ok() ? 1 : 0;
    }
    (void)ArmFailpoints("");
    if (!cluster_->Alive(process)) ++result_.command_deaths;
    cluster_->Kill(process);
    last_ = done;
    VLOG(1) << "the command ends: " << done;
    TM_RETURN_IF_ERROR(finding);
    // Workers leave once nothing is owed, for good: whatever happens then, nobody finds more.
    if (absl::StrContains(done.message(), "isn't read to its end")) {
      return Annotate(absl::DataLossError(done.message()), "workers have left what is still to be read");
    }
    if (absl::IsInternal(done) || absl::IsInvalidArgument(done)) return Annotate(done, "the command");
    return Turns(50);
  }

  // ---- The end

  absl::Status Finish() {
    for (int round = 0; round < 200; ++round) {
      TM_RETURN_IF_ERROR(Turns(200));
      clock_.Advance(kSecond);
      if (Compare().ok()) break;
    }
    TM_RETURN_IF_ERROR(Turns(300));
    return Compare();
  }

  absl::Status Compare() {
    const absl::StatusOr<generations::State> state = State(kCommand);
    TM_RETURN_IF_ERROR(state.status());
    if (state->active() != 2) return absl::DataLossError("generation 2 isn't active");
    std::map<int64_t, std::vector<std::string>> seen;
    for (int32_t p = 0; p < cluster_->log().PartitionCount("rows"); ++p) {
      for (const SimRecord& record : cluster_->CommittedRecords({"rows", p})) {
        int64_t id = 0;
        const size_t from = record.value->find("\"id\":") + 5;
        CHECK(absl::SimpleAtoi(record.value->substr(from, record.value->find(',', from) - from), &id));
        seen[id].push_back(
            absl::StrCat(absl::StrContains(*record.value, "\"worth\":10") ? "new" : "old", p, "@", record.offset));
      }
    }
    bool behind_cut[kPartitions] = {};
    for (int64_t id = 0; id < next_id_; ++id) {
      const auto& rows = seen[id];
      if (rows.size() != 1) {
        return absl::DataLossError(absl::StrCat("row ", id, " at ", offsets_[id], " stands there ", rows.size(),
                                                " times: ", absl::StrJoin(rows, ", ")));
      }
      bool& behind = behind_cut[id % kPartitions];
      if (behind && rows[0].substr(0, 3) == "old")
        return absl::DataLossError(absl::StrCat("row ", id, " is old behind a new one"));
      behind = rows[0].substr(0, 3) == "new";
    }
    std::map<int64_t, int64_t> counts;
    for (int64_t id = 0; id < next_id_; ++id) ++counts[id % kRoutes];
    const auto latest = Newest(*cluster_, "latest");
    if (latest.size() != kRoutes) return absl::DataLossError(absl::StrCat(latest.size(), " routes"));
    for (const auto& [route, n] : counts) {
      const auto found = latest.find(absl::StrCat(route));
      const std::string worth = absl::StrCat("\"n\":", n, ",\"worth\":", n * 10);
      const std::string quoted = absl::StrCat("\"n\":", n, ",\"worth\":\"", n * 10, "\"");
      if (found == latest.end() ||
          (!absl::StrContains(found->second, worth) && !absl::StrContains(found->second, quoted))) {
        return absl::DataLossError(
            absl::StrCat("route ", route, ": ", found == latest.end() ? "missing" : found->second, ", not ", worth));
      }
    }
    return absl::OkStatus();
  }

  SimClock clock_;
  SimRandom random_;
  const uint64_t seed_;
  std::unique_ptr<SimCluster> cluster_;
  std::vector<Plan> bases_;
  int undecided_ = 0;
  std::vector<Worker> workers_;
  bool faults_ = false, overtaken_ = false;
  int64_t next_id_ = 0;
  std::map<int64_t, Offset> offsets_;  // by id, of the first
  absl::Status last_;
  GenerationsResult result_;
};

}  // namespace

GenerationsResult RunGenerationsWorld(uint64_t seed) { return World(seed).Run(); }

}  // namespace tidemark::sim
