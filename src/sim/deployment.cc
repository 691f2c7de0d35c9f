#include "src/sim/deployment.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/runtime/end_watcher.h"
#include "src/runtime/ownership.h"
#include "src/runtime/parquet_feed_sink.h"
#include "src/runtime/postgres_feed_sink.h"
#include "src/runtime/start_check.h"
#include "src/runtime/topics.h"
#include "src/runtime/webhook_feed_sink.h"
#include "src/runtime/worker_status.h"
#include "src/sim/patient_format.h"
#include "src/sim/sim_decider.h"
#include "state/memory_disk.h"

namespace tidemark::sim {
namespace {

constexpr int64_t kStepUs = 5'000;

}  // namespace

// Destroyed when it dies, made again on the same disk (or an empty one).
struct Deployment::Process {
  std::shared_ptr<bool> dead = std::make_shared<bool>(false);
  std::unique_ptr<KafkaClient> kafka;
  RunControl control;
  Runtime runtime;
  std::optional<RecordLimits> limits;
  std::unique_ptr<StateDir> state;
  std::unique_ptr<GlobalTables> tables;
  MemoryBudget no_memory{0, 0};
  std::vector<std::unique_ptr<StreamThread>> threads;
  std::vector<std::unique_ptr<SinkThread>> sinks;
  std::optional<OwnershipWatch> ownership;
  std::vector<bool> started;  // by loop: the stream threads, then the sinks
  bool frozen = false;
  int frozen_turns = 0;
  int undecided = 0;

  size_t loops() const { return threads.size() + sinks.size(); }
};

namespace {

// One member is enough for the group to assign anew.
template <typename Process>
void Rejoin(Process* process, const std::string& group) {
  const Plan& plan = *process->runtime.plan;
  if (group == plan.application.Group()) return process->threads.front()->RequestRejoin();
  for (const auto& sink : process->sinks) {
    if (sink->status().group == group) sink->RequestRejoin();
  }
}

}  // namespace

Deployment::Deployment(const Plan* plan, const DeploymentOptions& options, SimRandom* random, SimClock* clock,
                       SimCluster* cluster)
    : options_(options), random_(random), clock_(clock), cluster_(cluster), expected_(OrdinaryEnding) {
  for (const SinkPlan& sink : plan->sinks) {
    if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      databases_[sink.kept_as()] = std::make_unique<SimPostgres>(sink.schema, *postgres, random, clock);
    } else if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
      lakes_[sink.kept_as()] = std::make_unique<SimLake>(random, clock);
    } else if (std::holds_alternative<WebhookSpec>(sink.spec)) {
      receivers_[sink.kept_as()] = std::make_unique<SimReceiver>(random, clock);
    }
  }
  for (int w = 0; w < options.workers; ++w) {
    plans_.push_back(plan);
    disks_.push_back(NewMemoryDisk());
    processes_.emplace_back();
  }
}

Deployment::~Deployment() {
  for (int w = 0; w < workers(); ++w) Destroy(w, true);
}

bool OrdinaryEnding(const absl::Status& status) {
  if (absl::StrContains(status.ToString(), "must come from the same commit")) return false;
  if (absl::StrContains(status.message(), "(simulated)")) return true;
  return absl::IsPermissionDenied(status) || absl::IsResourceExhausted(status) || Recoverable(status);
}

void Deployment::Say(int w, const std::string& what) const {
  if (options_.print) std::cout << clock_->MonotonicUs() / 1000 << " ms worker " << w << ": " << what << std::endl;
}

// ---- Processes -----------------------------------------------------------------------------------------------------

absl::Status Deployment::Start(int w) {
  auto process = std::make_unique<Process>();
  process->kafka = cluster_->NewClient(w);
  Runtime& runtime = process->runtime;
  runtime.plan = plans_[static_cast<size_t>(w)];
  runtime.kafka = process->kafka.get();
  runtime.clock = clock_;
  runtime.control = &process->control;
  process->control.until_end = finishing_;
  runtime.new_identity = [this] {
    std::string bytes;
    for (int i = 0; i < 16; ++i) bytes += static_cast<char>(random_->Below(256));
    return bytes;
  };
  runtime.new_decider = [this, undecided = &process->undecided] {
    return std::make_unique<SimDecider>(random_, undecided);
  };
  runtime.options.instance_id = absl::StrCat("w", w);
  // Every other world has no memory for what its operators could keep on disk.
  if (options_.seed % 2 == 0) runtime.operator_memory = &process->no_memory;
  // In every third some records can't be read at once.
  if (options_.seed % 3 == 1) runtime.formats = &PatientFormats();
  runtime.options.poll_records = 1 + random_->Below(40);
  runtime.options.gather_us = static_cast<int64_t>(random_->Below(2)) * kMillisecond;
  runtime.options.commit_bytes = random_->Below(4) == 0 ? 500 : 1 << 20;
  StateOptions state;
  state.application = runtime.plan->application.Key();
  state.memory_bytes = 64 << 20;
  state.flush_bytes = 512;
  state.rewrite_min_bytes = 2'000;
  state.rewrite_commit_bytes = 500;
  TM_ASSIGN_OR_RETURN(process->state, StateDir::Open("/state", state, disks_[static_cast<size_t>(w)].get()));
  runtime.state = process->state.get();
  runtime.allow_drop = allow_drop_;
  if (options_.checks_start) TM_RETURN_IF_ERROR(CheckStart(*runtime.plan, *process->kafka, allow_drop_));
  TM_ASSIGN_OR_RETURN(runtime.partitions, ResolveTopics(*runtime.plan, process->kafka->admin(), true));
  process->limits.emplace(*runtime.plan);
  TM_RETURN_IF_ERROR(process->limits->Read(process->kafka->admin()));
  runtime.limits = &*process->limits;
  process->tables = std::make_unique<GlobalTables>(*runtime.plan, process->kafka.get());
  TM_RETURN_IF_ERROR(process->tables->Load(runtime.partitions, [] { return false; }));
  runtime.tables = process->tables.get();
  for (int t = 0; t < 1 + static_cast<int>(options_.seed % 2); ++t) {
    process->threads.push_back(std::make_unique<StreamThread>(runtime, t));
  }
  for (size_t s = 0; s < runtime.plan->sinks.size(); ++s) {
    if (auto sink = MakeSink(process.get(), s)) process->sinks.push_back(std::move(sink));
  }
  process->ownership.emplace(runtime, [made = process.get()](const std::string& group) { Rejoin(made, group); });
  process->started.assign(process->loops(), false);
  processes_[static_cast<size_t>(w)] = std::move(process);
  Say(w, "started");
  return absl::OkStatus();
}

// Null for a sink that is written inside of the pipeline.
std::unique_ptr<SinkThread> Deployment::MakeSink(Process* process, size_t s) {
  const Runtime& runtime = process->runtime;
  const SinkPlan& sink = runtime.plan->sinks[s];
  const int index = static_cast<int>(s);
  std::unique_ptr<FeedSink> feed_sink;
  if (std::holds_alternative<PostgresSinkSpec>(sink.spec)) {
    SimPostgres* const database = databases_.at(sink.kept_as()).get();
    feed_sink = std::make_unique<PostgresFeedSink>(runtime, index, [database, &sink, dead = process->dead] {
      return PostgresSink::Over(database->NewSession(dead), std::get<PostgresSinkSpec>(sink.spec), sink.kept_as(),
                                sink.schema, sink.mode);
    });
  } else if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
    SimLake* const lake = lakes_.at(sink.kept_as()).get();
    feed_sink = std::make_unique<ParquetFeedSink>(
        runtime, index, [lake, dead = process->dead]() -> absl::StatusOr<std::unique_ptr<ObjectStore>> {
          return lake->NewSession(dead);
        });
  } else if (std::holds_alternative<WebhookSpec>(sink.spec)) {
    SimReceiver* const receiver = receivers_.at(sink.kept_as()).get();
    feed_sink = std::make_unique<WebhookFeedSink>(
        runtime, index, [receiver, dead = process->dead] { return receiver->NewSession(dead); });
  } else {
    return nullptr;
  }
  return std::make_unique<SinkThread>(runtime, index, std::move(feed_sink));
}

void Deployment::Count(const Process& process) {
  for (const auto& thread : process.threads) {
    const ThreadStatus status = thread->status();
    counts_.commits += static_cast<int>(status.commits);
    counts_.aborts += static_cast<int>(status.aborts);
  }
}

void Deployment::Destroy(int w, bool crash) {
  std::unique_ptr<Process>& process = processes_[static_cast<size_t>(w)];
  cluster_->Kill(w);
  cluster_->Thaw(w);
  Disk* const disk = disks_[static_cast<size_t>(w)].get();
  if (crash) disk->Crash();
  if (process != nullptr) {
    *process->dead = true;
    Count(*process);
  }
  process.reset();
  disk->SetFreeBytes(Disk::kUnlimited);
}

void Deployment::Crash(int w, const char* where) {
  ++counts_.crashes;
  Destroy(w, true);
  const bool wipe = random_->Below(3) == 0;
  if (wipe) {
    ++counts_.wiped;
    disks_[static_cast<size_t>(w)] = NewMemoryDisk();
  }
  Say(w, absl::StrCat("crashed ", where, wipe ? ", disk lost" : ""));
}

void Deployment::PowerFailure() {
  for (int w = 0; w < workers(); ++w) {
    if (runs(w)) ++counts_.crashes;
    Destroy(w, true);
    Say(w, "lost its power");
  }
  for (auto& [sink, lake] : lakes_) lake->Crash();
}

void Deployment::Unmount(int64_t us) {
  for (const auto& [sink, lake] : lakes_) lake->Unmount(us);
}

void Deployment::Stop(int w, bool leave_group) {
  Process* const process = processes_[static_cast<size_t>(w)].get();
  if (process == nullptr) return;
  Say(w, leave_group ? "leaves" : "restarts");
  ++counts_.restarts;
  process->control.stop = true;
  StopLoops(process, 0, leave_group);
  Destroy(w, !cluster_->Alive(w));
}

void Deployment::Freeze(int w, int turns) {
  Process& process = *processes_[static_cast<size_t>(w)];
  ++counts_.frozen;
  process.frozen = true;
  process.frozen_turns = turns;
  cluster_->Freeze(w);
  Say(w, "frozen");
}

void Deployment::Doze(int w) {
  if (--processes_[static_cast<size_t>(w)]->frozen_turns <= 0) {
    Wake(w);
  } else {
    clock_->Advance(kSecond);
  }
}

void Deployment::Wake(int w) {
  if (!frozen(w)) return;
  processes_[static_cast<size_t>(w)]->frozen = false;
  cluster_->Thaw(w);
  Say(w, "thawed");
}

bool Deployment::frozen(int w) const { return runs(w) && processes_[static_cast<size_t>(w)]->frozen; }
int Deployment::undecided(int w) const { return runs(w) ? processes_[static_cast<size_t>(w)]->undecided : 0; }

void Deployment::FillDisk(int w, int64_t free_bytes) {
  Say(w, absl::StrCat("has ", free_bytes, " bytes of disk left"));
  disks_[static_cast<size_t>(w)]->SetFreeBytes(free_bytes);
}

void Deployment::Heal() {
  cluster_->faults() = SimFaults();
  for (const auto& [sink, database] : databases_) database->outside().Heal();
  for (const auto& [sink, lake] : lakes_) lake->Heal();
  for (const auto& [sink, receiver] : receivers_) receiver->outside().Heal();
  for (int w = 0; w < workers(); ++w) {
    Wake(w);
    disks_[static_cast<size_t>(w)]->SetFreeBytes(Disk::kUnlimited);
  }
}

void Deployment::SetOutsideFaults(const OutsideFaults& database, const OutsideFaults& lake) {
  for (const auto& [sink, simulated] : databases_) simulated->outside().faults() = database;
  for (const auto& [sink, simulated] : receivers_) simulated->outside().faults() = database;
  for (const auto& [sink, simulated] : lakes_) simulated->outside().faults() = lake;
}

// ---- Turns ---------------------------------------------------------------------------------------------------------

absl::Status Deployment::Turn(int w) {
  if (!runs(w)) {
    const absl::Status started = Start(w);
    if (started.ok()) return started;
    if (!expected_(started)) return Annotate(started, absl::StrCat("worker ", w, " at its start"));
    Destroy(w, true);
    return absl::OkStatus();
  }
  Process* const process = processes_[static_cast<size_t>(w)].get();
  absl::Status status;
  if (random_->Below(40) == 0) status = Housekeep(process);
  const size_t loop = random_->Below(process->loops());
  if (status.ok()) status = TurnOfLoop(process, loop);
  if (!cluster_->Alive(w)) {
    Crash(w, "at a call");
    return absl::OkStatus();
  }
  return status.ok() ? status : End(w, loop, status);
}

absl::Status Deployment::TurnOfLoop(Process* process, size_t loop) {
  const auto turn = [&](auto* thread) -> absl::Status {
    if (process->started[loop]) return thread->Step(kStepUs);
    const absl::Status started = thread->Start();
    process->started[loop] = started.ok();
    return absl::IsUnavailable(started) ? absl::OkStatus() : started;  // the runner tries again
  };
  const size_t streams = process->threads.size();
  return loop < streams ? turn(process->threads[loop].get()) : turn(process->sinks[loop - streams].get());
}

// The end of a process by an error: mostly an orderly one, some die of it.
absl::Status Deployment::End(int w, size_t failed_loop, const absl::Status& why) {
  if (!expected_(why)) return Annotate(why, absl::StrCat("worker ", w));
  ++counts_.endings;
  Say(w, absl::StrCat("ended: ", why.ToString()));
  Process* const process = processes_[static_cast<size_t>(w)].get();
  if (random_->Below(4) != 0) StopLoops(process, failed_loop, false);
  Destroy(w, random_->Below(2) == 0);
  return absl::OkStatus();
}

void Deployment::StopLoops(Process* process, size_t first, bool leave_group) {
  for (size_t i = 0; i < process->loops(); ++i) {
    const size_t loop = (first + i) % process->loops();
    const size_t streams = process->threads.size();
    const absl::Status stopped =
        loop < streams ? process->threads[loop]->Stop(leave_group) : process->sinks[loop - streams]->Stop(leave_group);
    stopped.IgnoreError();  // the process ends whatever it says
    process->control.stop = true;
  }
}

// As Worker does it: closes stores that nobody needs, trims internal topics behind their readers, and looks at what
// nobody reads.
absl::Status Deployment::Housekeep(Process* process) {
  WorkerStatus status;
  for (const auto& thread : process->threads) status.threads.push_back(thread->status());
  for (const auto& sink : process->sinks) status.sinks.push_back(sink->status());
  if (const auto in_use = StoresInUse(status)) process->state->CloseAllBut(*in_use);
  std::map<TopicPartition, Offset> trims;
  for (const ThreadStatus& thread : status.threads) trims.insert(thread.trims.begin(), thread.trims.end());
  for (const SinkStatus& sink : status.sinks) trims.insert(sink.trims.begin(), sink.trims.end());
  process->kafka->admin().DeleteRecords({trims.begin(), trims.end()}).IgnoreError();
  return process->ownership->Check();
}

// ---- The end -------------------------------------------------------------------------------------------------------

absl::Status Deployment::RunToEnd(bool close_windows) {
  Heal();
  finishing_ = true;
  for (int w = 0; w < workers(); ++w) Destroy(w, random_->Below(2) == 0);
  clock_->Advance(30 * kSecond);  // dead owners' transactions and sessions time out
  TM_RETURN_IF_ERROR(Start(0));
  const Process* const process = processes_[0].get();
  EndWatcher watcher(process->runtime, close_windows);
  TM_RETURN_IF_ERROR(watcher.TakeEnds());
  for (int turn = 0; turn < 40'000; ++turn) {
    TM_RETURN_IF_ERROR(Turn(0));
    if (processes_[0].get() != process) return absl::InternalError("the worker ended though nothing fails any more");
    clock_->Advance(2'000);
    if (turn % 16 != 0) continue;
    TM_ASSIGN_OR_RETURN(const bool done, watcher.Check());
    const bool settled =
        std::all_of(process->sinks.begin(), process->sinks.end(), [](const auto& sink) { return sink->settled(); });
    if (!done || !settled) continue;
    WorkerStatus status;
    for (const auto& thread : process->threads) status.threads.push_back(thread->status());
    ledger_ = SumLedger(status);
    Stop(0, false);
    finishing_ = false;
    return absl::OkStatus();
  }
  std::string standing;
  for (const auto& thread : process->threads) {
    const ThreadStatus status = thread->status();
    absl::StrAppend(&standing, "\n  a stream thread, state ", static_cast<int>(status.state), ", ",
                    status.opening.size(), " tasks to open");
    for (const TaskStatus& task : status.tasks) {
      absl::StrAppend(&standing, "\n    ", task.name, "-", task.partition, ": commit ", task.commit, ", watermark ",
                      task.watermark.us);
      for (const auto& [partition, position] : task.positions) {
        const CommittedOffset committed =
            cluster_->CommittedOffsets(process->runtime.plan->application.Group(), {partition}).at(partition);
        absl::StrAppend(&standing, ", ", ToString(partition), " at ", position, " (committed ", committed.offset,
                        " with '", committed.metadata, "') of ", cluster_->log().Find(partition)->end);
      }
    }
  }
  for (const auto& sink : process->sinks) {
    const SinkStatus status = sink->status();
    absl::StrAppend(&standing, "\n  sink ", status.sink, ": ", status.last_error);
    for (const auto& [partition, position] : status.positions) {
      absl::StrAppend(&standing, ", ", ToString(partition), " at ", position, " of ",
                      cluster_->log().Find(partition)->end);
    }
  }
  return absl::InternalError(absl::StrCat("not done after 40,000 turns", standing));
}

std::vector<std::pair<int32_t, SimRecord>> Deployment::Records(const std::string& topic) {
  std::vector<std::pair<int32_t, SimRecord>> records;
  for (int32_t p = 0; p < cluster_->log().PartitionCount(topic); ++p) {
    for (SimRecord& record : cluster_->CommittedRecords({topic, p})) records.emplace_back(p, std::move(record));
  }
  return records;
}

absl::StatusOr<std::vector<std::string>> Deployment::RowsOf(const SinkPlan& sink) {
  if (const auto database = databases_.find(sink.kept_as()); database != databases_.end())
    return database->second->Rows();
  if (const auto receiver = receivers_.find(sink.kept_as()); receiver != receivers_.end())
    return receiver->second->Rows();
  TM_ASSIGN_OR_RETURN(const auto files, FilesOf(sink.kept_as()));
  return RowsOfParquet(files, sink.schema);
}

absl::StatusOr<std::map<std::string, std::string>> Deployment::FilesOf(const std::string& sink) const {
  const SimLake& lake = *lakes_.at(sink);
  TM_RETURN_IF_ERROR(lake.verdict());
  return lake.Published();
}

}  // namespace tidemark::sim
