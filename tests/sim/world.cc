#include "tests/sim/world.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/action.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "src/plan/planner.h"
#include "src/runtime/end_watcher.h"
#include "src/runtime/global_tables.h"
#include "src/runtime/postgres_feed_sink.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/topics.h"
#include "state/memory_disk.h"
#include "tests/sim/sim_kafka.h"
#include "tests/sim/sim_postgres.h"

namespace tidemark::sim {
namespace {

constexpr char kTopology[] = R"yaml(
name: sim
commit_interval: 20ms
memory: 512MiB
kafka: { brokers: simulated }
sources:
  events:
    topic: events
    format: json
    partitioned_by: [id]
    columns: { id: int64, place: int64, at: timestamp_ms }
    event_time: { column: at, max_out_of_orderness: 1h, max_ahead: 100d }
steps:
  unique: { from: events, dedup: { by: [id], within: 10h, grace: 10h } }
  counts: { from: unique, window: { tumbling: 1m, grace: 5s }, group_by: [place], aggregates: { n: "count(*)" } }
sinks:
  unique_topic: { from: unique, topic: unique, key: [id], create: {} }
  counts_topic: { from: counts, topic: counts, key: [place], create: {} }
  table: { from: unique, postgres: { url: "postgresql://simulated", table: t, mode: insert } }
)yaml";
constexpr int32_t kPartitions = 2;
  constexpr int64_t kStartMs = 1'700'000'000'000;

  struct Event {
    int64_t id, place, at;
    std::string Json() const { return absl::StrCat("{\"id\":", id, ",\"place\":", place, ",\"at\":", at, "}"); }
  };

  // Decides when asked, or some asks later, and says so at once or later still: so rows of the next commit are
  // processed both before and after the decision, and crashes fall between it and its becoming known.
  class SimDecider final : public Decider {
   public:
    SimDecider(SimRandom* random, int* undecided) : random_(random), undecided_(undecided) {}

    // Decides only when asked, never while a Poll waits, so nobody is to be woken.
    void Start(std::function<absl::Status()> decide, std::function<void()>) override {
      decide_ = std::move(decide);
      ++*undecided_;
    }

    std::optional<absl::Status> Wait(int64_t max_wait_us) override {
      const bool now = max_wait_us == kForever;
      if (decide_ != nullptr && (now || random_->Below(2) == 0)) {
        --*undecided_;
        verdict_ = std::exchange(decide_, nullptr)();
      }
      if (now || random_->Below(2) == 0) return std::exchange(verdict_, std::nullopt);
      return std::nullopt;
    }

   private:
    SimRandom* const random_;
    int* const undecided_;  // of the process
    std::function<absl::Status()> decide_;
    std::optional<absl::Status> verdict_;
  };

  // One process: destroyed when it crashes, made again on the same disk (or an empty one).
struct WorkerProcess {
    std::unique_ptr<KafkaClient> kafka;
    RunControl control;
    Runtime runtime;
    std::unique_ptr<StateDir> state;
    std::unique_ptr<GlobalTables> tables;
    MemoryBudget no_memory{0, 0};
    std::vector<std::unique_ptr<StreamThread>> threads;
    std::unique_ptr<SinkThread> sink;
    std::vector<bool> started;
    bool frozen = false;
    int frozen_turns = 0;
    int undecided = 0;  // commits in flight that nobody has begun to decide
  };

  class World {
   public:
    explicit World(const WorldOptions& options)
        : options_(options), random_(options.seed * 2654435761u + 1), cluster_(ClusterOptions(options), &clock_) {}

    WorldResult Run() {
      result_.verdict = RunAll();
      return result_;
    }

   private:
    static SimCluster::Options ClusterOptions(const WorldOptions& options) {
      SimCluster::Options cluster;
      cluster.seed = options.seed;
      cluster.marker_delay_us = options.seed % 3 == 0 ? 5'000 : 0;
      return cluster;
    }

    absl::Status RunAll() {
      TM_ASSIGN_OR_RETURN(plan_, PlanFromYaml(kTopology, "sim.yaml", [](std::string_view) { return std::nullopt; }));
      for (const SinkPlan& sink : plan_.sinks) {
        if (std::holds_alternative<PostgresSinkSpec>(sink.spec)) {
          postgres_ = std::make_unique<SimPostgres>(sink.schema, &random_);
        }
      }
      cluster_.CreateTopic("events", kPartitions);
      MakeInput();
      for (int w = 0; w < options_.workers; ++w) {
        disks_.push_back(NewMemoryDisk());
        processes_.emplace_back();
      }
      TM_RETURN_IF_ERROR(Chaos());
      TM_RETURN_IF_ERROR(Finish());
      return Compare();
    }

    void MakeInput() {
      for (int i = 0; i < options_.records; ++i) {
        if (!events_.empty() && random_.Below(5) == 0) {
          input_.push_back(events_[random_.Below(events_.size())]);
          continue;
        }
        const Event event{i, static_cast<int64_t>(random_.Below(7)),
                          kStartMs + i * 1'000 - static_cast<int64_t>(random_.Below(60'000))};
        events_.push_back(event);
        input_.push_back(event);
      }
    }

    void AppendSome(size_t count) {
      for (; count > 0 && appended_ < input_.size(); --count, ++appended_) {
        const Event& event = input_[appended_];
        cluster_.AppendInput({"events", static_cast<int32_t>(event.id % kPartitions)}, absl::StrCat(event.id),
                             event.Json(), event.at);
      }
    }

    // ---- Processes

    absl::Status Start(int w) {
      auto process = std::make_unique<WorkerProcess>();
      process->kafka = cluster_.NewClient(w);
      Runtime& runtime = process->runtime;
      runtime.plan = &plan_;
      runtime.kafka = process->kafka.get();
      runtime.clock = &clock_;
      runtime.control = &process->control;
      process->control.until_end = finishing_;
      runtime.new_identity = [this] {
        std::string bytes;
        for (int i = 0; i < 16; ++i) bytes += static_cast<char>(random_.Below(256));
        return bytes;
      };
      runtime.new_decider = [this, undecided = &process->undecided] {
        return std::make_unique<SimDecider>(&random_, undecided);
      };
      runtime.options.instance_id = absl::StrCat("w", w);
      // Every other world has no memory for what its operators could keep on disk.
      if (options_.seed % 2 == 0) runtime.operator_memory = &process->no_memory;
      runtime.options.poll_records = 1 + random_.Below(40);
      runtime.options.gather_us = random_.Below(2) * kMillisecond;
      runtime.options.commit_bytes = random_.Below(4) == 0 ? 500 : 1 << 20;
      StateOptions state;
      state.application = plan_.name;
      state.memory_bytes = 64 << 20;
      state.flush_bytes = 512;
      state.rewrite_min_bytes = 2'000;
      state.rewrite_commit_bytes = 500;
      TM_ASSIGN_OR_RETURN(process->state, StateDir::Open("/state", state, disks_[static_cast<size_t>(w)].get()));
      runtime.state = process->state.get();
      TM_ASSIGN_OR_RETURN(runtime.partitions, ResolveTopics(plan_, process->kafka->admin(), true));
      process->tables = std::make_unique<GlobalTables>(plan_, process->kafka.get());
      runtime.tables = process->tables.get();
      for (int t = 0; t < 1 + static_cast<int>(options_.seed % 2); ++t) {
        process->threads.push_back(std::make_unique<StreamThread>(runtime, t));
      }
      for (size_t s = 0; s < plan_.sinks.size(); ++s) {
        if (!std::holds_alternative<PostgresSinkSpec>(plan_.sinks[s].spec)) continue;
        const SinkPlan& sink = plan_.sinks[s];
        process->sink = std::make_unique<SinkThread>(
            runtime, static_cast<int>(s),
            std::make_unique<PostgresFeedSink>(runtime, static_cast<int>(s), [this, &sink] {
              return PostgresSink::Over(postgres_->NewSession(), std::get<PostgresSinkSpec>(sink.spec), sink.name,
                                        sink.schema, sink.mode);
            }));
      }
      process->started.assign(process->threads.size() + 1, false);
      processes_[static_cast<size_t>(w)] = std::move(process);
      Say(w, "started");
      return absl::OkStatus();
    }

    void Destroy(int w, bool crash) {
      std::unique_ptr<WorkerProcess>& process = processes_[static_cast<size_t>(w)];
      cluster_.Kill(w);
      cluster_.Thaw(w);
      if (crash) disks_[static_cast<size_t>(w)]->Crash();
      if (process != nullptr) Count(*process);
      process.reset();
    }

    void Count(const WorkerProcess& process) {
      for (const auto& thread : process.threads) {
        const ThreadStatus status = thread->status();
        result_.commits += static_cast<int>(status.commits);
        result_.aborts += static_cast<int>(status.aborts);
      }
    }

    // One turn of one loop of a worker. Its end, by a crash or by an error, is part of the game.
    absl::Status Turn(int w) {
      std::unique_ptr<WorkerProcess>& process = processes_[static_cast<size_t>(w)];
      if (process == nullptr) {
        const absl::Status started = Start(w);
        if (!started.ok()) {
          if (!Expected(started)) return started;
          Destroy(w, true);
        }
        return absl::OkStatus();
      }
      const size_t loop = random_.Below(process->threads.size() + 1);
      const bool is_sink = loop == process->threads.size();
      absl::Status status;
      if (!process->started[loop]) {
        status = is_sink ? process->sink->Start() : process->threads[loop]->Start();
        process->started[loop] = status.ok();
        if (absl::IsUnavailable(status) && cluster_.Alive(w)) status = absl::OkStatus();
      } else {
        status = is_sink ? process->sink->Step(kStepUs) : process->threads[loop]->Step(kStepUs);
      }
      if (!cluster_.Alive(w)) {
        Crash(w, "at a call");
      } else if (!status.ok()) {
        if (!Expected(status)) return Annotate(status, absl::StrCat("worker ", w));
        Say(w, absl::StrCat("ended: ", status.ToString()));
        Destroy(w, random_.Below(2) == 0);
      }
      return absl::OkStatus();
    }

    // What ends a process in the ordinary course of faults: being fenced, or a broker that is away at the start.
    static bool Expected(const absl::Status& status) {
      if (absl::StrContains(status.ToString(), "must come from the same commit")) return false;
      return absl::IsPermissionDenied(status) || Recoverable(status);
    }

    void Crash(int w, const char* where) {
      ++result_.crashes;
      Destroy(w, true);
      const bool wipe = random_.Below(3) == 0;
      if (wipe) {
        ++result_.wiped;
        disks_[static_cast<size_t>(w)] = NewMemoryDisk();
      }
      Say(w, absl::StrCat("crashed ", where, wipe ? ", disk lost" : ""));
    }

    // ---- The run

    absl::Status Chaos() {
      SimFaults& faults = cluster_.faults();
      faults.unavailable = 0.002;
      faults.lost_answer = 0.002;
      faults.commit_unknown = 0.03;
      faults.commit_aborted = 0.02;
      faults.crash = 0.002;
      postgres_->faults() = {0.01, 0.03};
      const int turns = 60 * options_.crashes;
      const size_t step = std::max<size_t>(1, input_.size() / static_cast<size_t>(turns / 2));
      for (int turn = 0; turn < turns; ++turn) {
        if (random_.Below(2) == 0) AppendSome(random_.Below(2 * step + 1));
        const int w = static_cast<int>(random_.Below(processes_.size()));
        WorkerProcess* const process = processes_[static_cast<size_t>(w)].get();
        if (process != nullptr && process->frozen) {
          if (--process->frozen_turns <= 0) {
            process->frozen = false;
            cluster_.Thaw(w);
            Say(w, "thawed");
          } else {
            clock_.Advance(kSecond);
            continue;
          }
        } else if (process != nullptr && random_.Below(80) == 0) {
          ++result_.frozen;
          process->frozen = true;
          process->frozen_turns = 1 + static_cast<int>(random_.Below(14));
          cluster_.Freeze(w);
          Say(w, "frozen");
          continue;
        } else if (process != nullptr && random_.Below(90) == 0) {
          Crash(w, "between two calls");
          continue;
        } else if (process != nullptr && process->undecided > 0 && random_.Below(8) == 0) {
          TM_RETURN_IF_ERROR(Oversleep(w));
          continue;
        }
        TM_RETURN_IF_ERROR(Turn(w));
        clock_.Advance(static_cast<int64_t>(random_.Below(15'000)));
      }
      return absl::OkStatus();
    }

    // A process stops in the middle of a commit, loses its membership to others who go on with its partitions and leave
    // the group in their turn, and wakes up while its transaction still lives.
    absl::Status Oversleep(int w) {
      Say(w, "oversleeps a commit");
      ++result_.frozen;
      cluster_.Freeze(w);
      clock_.Advance(7 * kSecond + static_cast<int64_t>(random_.Below(2 * kSecond)));
      for (int turn = 0; turn < 100; ++turn) {
        const int other = static_cast<int>(random_.Below(processes_.size()));
        if (other == w) continue;
        if (WorkerProcess* process = processes_[static_cast<size_t>(other)].get();
            process != nullptr && process->frozen) {
          process->frozen = false;
          cluster_.Thaw(other);
        }
        TM_RETURN_IF_ERROR(Turn(other));
        clock_.Advance(static_cast<int64_t>(random_.Below(25'000)));
      }
      for (int other = 0; other < options_.workers; ++other) {
        if (other != w && random_.Below(4) != 0) Retire(other);
      }
      cluster_.Thaw(w);
      return Turn(w);
    }

    // Scale-in: commits, and gives up the membership.
    void Retire(int w) {
      std::unique_ptr<WorkerProcess>& process = processes_[static_cast<size_t>(w)];
      if (process == nullptr) return;
      Say(w, "leaves");
      for (const auto& thread : process->threads) thread->Stop(true).IgnoreError();
      process->sink->Stop(true).IgnoreError();
      Destroy(w, false);
    }

    // No more faults: everything is processed to the end, and the end is agreed on.
    absl::Status Finish() {
      cluster_.faults() = SimFaults();
      postgres_->faults() = SimPostgres::Faults();
      AppendSome(input_.size());
      finishing_ = true;
      for (int w = 0; w < options_.workers; ++w) Destroy(w, random_.Below(2) == 0);
      clock_.Advance(30 * kSecond);  // dead owners' transactions and sessions time out
      TM_RETURN_IF_ERROR(Start(0));
      EndWatcher watcher(processes_[0]->runtime, /*close_windows=*/true);
      TM_RETURN_IF_ERROR(watcher.TakeEnds());
      for (int turn = 0; turn < 20'000; ++turn) {
        const WorkerProcess* const before = processes_[0].get();
        TM_RETURN_IF_ERROR(Turn(0));
        if (processes_[0].get() != before) return absl::InternalError("the worker ended though nothing fails any more");
        clock_.Advance(2'000);
        if (turn % 16 != 0) continue;
        TM_ASSIGN_OR_RETURN(const bool done, watcher.Check());
        if (done) {
          Count(*processes_[0]);
          return absl::OkStatus();
        }
      }
      return absl::InternalError("not done after 20,000 turns");
    }

    // ---- The oracle

    std::map<std::string, int> Committed(const std::string& topic) {
      std::map<std::string, int> rows;
      for (int32_t p = 0; p < processes_[0]->runtime.partitions.at(topic); ++p) {
        for (const SimRecord& record : cluster_.CommittedRecords({topic, p})) ++rows[record.value.value_or("(null)")];
      }
      return rows;
    }

    absl::Status Compare() {
      std::map<std::string, int> unique;
      std::map<std::pair<int64_t, int64_t>, int> groups;
      for (const Event& event : events_) {
        unique[event.Json()] = 1;
        ++groups[{event.place, event.at / 60'000 * 60'000}];
      }
      std::map<std::string, int> counts;
      for (const auto& [group, n] : groups) {
        counts[absl::StrCat("{\"place\":", group.first, ",\"window_start\":", group.second,
                            ",\"window_end\":", group.second + 60'000, ",\"n\":", n, "}")] = 1;
      }
      std::map<std::string, int> table;
      for (const std::string& row : postgres_->rows()) ++table[row];
      TM_RETURN_IF_ERROR(Same("unique", unique, Committed("unique")));
      TM_RETURN_IF_ERROR(Same("table", unique, table));
      return Same("counts", counts, Committed("counts"));
    }

    static absl::Status Same(const std::string& what, const std::map<std::string, int>& expected,
                             const std::map<std::string, int>& found) {
      std::string differences;
      int count = 0;
      const auto differ = [&](const std::string& row, int want, int have) {
        if (want != have && count++ < 5) absl::StrAppend(&differences, "\n  ", row, ": ", have, " times, not ", want);
      };
      for (const auto& [row, n] : expected) {
        const auto it = found.find(row);
        differ(row, n, it == found.end() ? 0 : it->second);
      }
      for (const auto& [row, n] : found) {
        if (expected.count(row) == 0) differ(row, 0, n);
      }
      if (count == 0) return absl::OkStatus();
      return absl::DataLossError(absl::StrCat(what, ": ", count, " rows differ", differences));
    }

    void Say(int w, const std::string& what) {
      if (options_.print) std::cout << clock_.MonotonicUs() / 1000 << " ms worker " << w << ": " << what << std::endl;
    }

    static constexpr int64_t kStepUs = 5'000;

    const WorldOptions options_;
    WorldResult result_;
    SimRandom random_;
    SimClock clock_;
    SimCluster cluster_;
    Plan plan_;
    std::unique_ptr<SimPostgres> postgres_;
    std::vector<std::unique_ptr<Disk>> disks_;  // outlive the processes
    std::vector<std::unique_ptr<WorkerProcess>> processes_;
    std::vector<Event> events_, input_;
    size_t appended_ = 0;
    bool finishing_ = false;
  };

  }  // namespace

  WorldResult RunWorld(const WorldOptions& options) { return World(options).Run(); }

  }  // namespace tidemark::sim
