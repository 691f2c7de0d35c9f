// The processes of a deployment: workers made of the shipped runtime, operators, overlay, changelog and RocksDB (on
// disks in memory), over a simulated Kafka, with a simulated database, lake or receiver for each external sink. A
// scheduler (chaos.h) gives them turns and lets things happen to them; at the end RunToEnd brings them to what
// --until_end
// --close_windows brings a real one.
//
// One thread. A process ends as a real one does: a loop whose Step fails is stopped, then all others are, as by
// ThreadRunner and Worker, unless the process dies of it before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "operators/operator.h"
#include "src/base/memory_budget.h"
#include "src/plan/plan.h"
#include "src/runtime/global_tables.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/verdict.h"
#include "src/sim/sim_kafka.h"
#include "src/sim/sim_lake.h"
#include "src/sim/sim_postgres.h"
#include "src/sim/sim_receiver.h"
#include "state/disk.h"

namespace tidemark::sim {

struct DeploymentOptions {
  uint64_t seed = 1;
  int workers = 2;
  bool print = false;         // a line for everything that happens to a worker
  bool checks_start = false;  // as a real worker does: what it may not go on with is found before it takes part
};

struct DeploymentCounts {
  int crashes = 0, wiped = 0, frozen = 0, endings = 0, restarts = 0, aborts = 0, commits = 0;
};

class Deployment {
 public:
  // All outlive this. The plan's source and table topics exist in the cluster.
  Deployment(const Plan* plan, const DeploymentOptions& options, SimRandom* random, SimClock* clock,
             SimCluster* cluster);
  ~Deployment();

  int workers() const { return static_cast<int>(processes_.size()); }
  // Which errors may end a process; another one is a finding. By default those of `OrdinaryEnding`.
  void set_expected(std::function<bool(const absl::Status&)> expected) { expected_ = std::move(expected); }
  // The next process of this worker runs that plan.
  void set_plan(int w, const Plan* plan) { plans_[static_cast<size_t>(w)] = plan; }
  // The next processes have --allow_drop of these.
  void set_allow_drop(AllowedDrops drops) { allow_drop_ = std::move(drops); }

  // ---- Turns, and what may happen instead of one

  // Starts the process where there is none; else one turn of one of its loops.
  absl::Status Turn(int w);
  // Dies between two calls; some lose their disk.
  void Crash(int w, const char* where);
  // The machine that all of them run on loses power, the lake's with it.
  void PowerFailure();
  // For so long, where the lakes are mounted there are empty folders.
  void Unmount(int64_t us);
  // A scale-in, or a restart of its own will: commits; the first gives up its memberships too.
  void Stop(int w, bool leave_group);
  // No turn for so many of its turns: it beats no more, but its calls still work when it wakes up.
  void Freeze(int w, int turns);
  // One of the turns of a frozen process; the last one wakes it up.
  void Doze(int w);
  void Wake(int w);
  bool frozen(int w) const;
  bool runs(int w) const { return processes_[static_cast<size_t>(w)] != nullptr; }
  // Commits in flight that nobody has begun to decide.
  int undecided(int w) const;
  // The disk of that worker has no more room than this until the process ends.
  void FillDisk(int w, int64_t free_bytes);
  // Nothing fails any more: no call to anybody. Whoever is frozen wakes up.
  void Heal();
  // From now on, of all calls to databases and receivers, and to lakes.
  void SetOutsideFaults(const OutsideFaults& database, const OutsideFaults& lake);
  // The worker that is spoken of says what happened, where that is asked for.
  void Say(int w, const std::string& what) const;

  // ---- The end

  // All faults are switched off: everything that is there is processed to the end by one worker, which stops then.
  // Windows are closed, or stay open for what comes later: then turns may go on.
  absl::Status RunToEnd(bool close_windows = true);

  // ---- For the oracle

  const DeploymentCounts& counts() const { return counts_; }
  // By step, of all that was committed, at the last end of RunToEnd.
  const std::vector<std::pair<std::string, StepLedger>>& ledger() const { return ledger_; }
  // The records of a topic that a reader with read_committed sees, with their partitions.
  std::vector<std::pair<int32_t, SimRecord>> Records(const std::string& topic);
  // The rows of an external sink, as JSON, of a webhook one for each id; DataLoss where a file of a lake is broken,
  // vanished or was replaced.
  absl::StatusOr<std::vector<std::string>> RowsOf(const SinkPlan& sink);
  // The files of a lake, by name.
  absl::StatusOr<std::map<std::string, std::string>> FilesOf(const std::string& sink) const;

 private:
  struct Process;

  absl::Status Start(int w);
  std::unique_ptr<SinkThread> MakeSink(Process* process, size_t sink);
  absl::Status TurnOfLoop(Process* process, size_t loop);
  absl::Status End(int w, size_t failed_loop, const absl::Status& why);
  void StopLoops(Process* process, size_t first, bool leave_group);
  absl::Status Housekeep(Process* process);
  void Destroy(int w, bool crash);
  void Count(const Process& process);

  const DeploymentOptions options_;
  SimRandom* const random_;
  SimClock* const clock_;
  SimCluster* const cluster_;
  std::function<bool(const absl::Status&)> expected_;
  bool finishing_ = false;
  DeploymentCounts counts_;
  std::vector<std::pair<std::string, StepLedger>> ledger_;
  std::vector<const Plan*> plans_;  // by worker
  AllowedDrops allow_drop_;
  std::map<std::string, std::unique_ptr<SimPostgres>> databases_;
  std::map<std::string, std::unique_ptr<SimLake>> lakes_;
  std::map<std::string, std::unique_ptr<SimReceiver>> receivers_;
  std::vector<std::unique_ptr<Disk>> disks_;  // outlive the processes
  std::vector<std::unique_ptr<Process>> processes_;
};

// What ends a process in the ordinary course of faults: being fenced, a broker that is away at the start, a full disk,
// a right that is taken away for a moment.
bool OrdinaryEnding(const absl::Status& status);

}  // namespace tidemark::sim
