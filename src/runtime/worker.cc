#include "src/runtime/worker.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "src/http/server.h"
#include "src/kafka/rdkafka_client.h"
#include "src/runtime/end_watcher.h"
#include "src/runtime/metrics.h"
#include "src/runtime/ownership.h"
#include "src/runtime/parquet_feed_sink.h"
#include "src/runtime/postgres_feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/thread_runner.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr int64_t kStepWaitUs = kSecond / 10;
constexpr int64_t kHousekeepingUs = 5 * kSecond;
constexpr int64_t kWatchUs = kSecond / 10;
// A stop waits this long for a database that doesn't answer; what wasn't written is still in the feed.
constexpr int64_t kPatienceUs = 2 * kSecond;
// And this long for everything: more than the time-outs of a commit, its abort and the end of a membership together.
constexpr int64_t kLongestStopUs = 60 * kSecond;
// A commit that isn't decided after this long won't be any more: the calls' time-outs make 20 s together.
constexpr int64_t kLongestDecisionUs = 120 * kSecond;

std::string RandomIdentity() {
  thread_local std::random_device device;
  std::string bytes;
  while (bytes.size() < 16) {
    const uint32_t word = device();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return bytes;
}

void LogKafka(int level, std::string_view text) {
  if (level <= 3) {
    LOG_EVERY_T(ERROR, 1) << "kafka: " << text;  // a broker that is away says so many times a second
  } else if (level <= 4) {
    LOG_EVERY_T(WARNING, 1) << "kafka: " << text;
  } else {
    VLOG(1) << "kafka: " << text;
  }
}

class Worker {
 public:
  Worker(const Plan& plan, const WorkerOptions& options) : plan_(plan), options_(options) {}

  absl::Status Run() {
    TM_RETURN_IF_ERROR(Prepare());
    MakeThreads();
    TM_RETURN_IF_ERROR(StartHttp());
    RunThreads();
    absl::Status status = Supervise();
    last_status_ = this->status();
    StopThreads(&status);
    Report();
    runners_.clear();
    return status;
  }

 private:
  absl::Status Prepare() {
    TM_ASSIGN_OR_RETURN(kafka_, NewRdKafkaClient(plan_.kafka, LogKafka));
    runtime_.plan = &plan_;
    runtime_.kafka = kafka_.get();
    runtime_.clock = SystemClock();
    runtime_.control = &control_;
    runtime_.new_identity = RandomIdentity;
    runtime_.options.instance_id = options_.instance_id;
    control_.leave_on_stop = options_.leave_on_stop;
    control_.until_end = options_.until_end;
    StateOptions state;
    state.application = plan_.name;
    // docs/topology.md, `memory`, says what the rest is for.
    state.memory_bytes = plan_.memory_bytes / 8;
    state.flush_bytes = std::min(state.flush_bytes, plan_.memory_bytes / 64);
    operator_memory_.emplace(plan_.memory_bytes / 8 * 3);
    runtime_.operator_memory = &*operator_memory_;
    TM_ASSIGN_OR_RETURN(state_, StateDir::Open(options_.state_dir, state));
    runtime_.state = state_.get();
    TM_ASSIGN_OR_RETURN(runtime_.partitions, ResolveTopics(plan_, kafka_->admin(), /*create=*/true));
    tables_ = std::make_unique<GlobalTables>(plan_, kafka_.get());
    TM_RETURN_IF_ERROR(tables_->Load(runtime_.partitions));
    for (const GlobalTables::Status& table : tables_->Describe()) {
      LOG(INFO) << "table " << table.name << ": " << table.rows << " rows";
    }
    runtime_.tables = tables_.get();
    runtime_.options.prefetch_bytes =
        std::min(runtime_.options.prefetch_bytes, plan_.memory_bytes / 32 / ThreadCount());
    runtime_.options.commit_bytes = std::min(runtime_.options.commit_bytes, plan_.memory_bytes / 32 / ThreadCount());
    if (options_.until_end) {
      watcher_.emplace(runtime_, options_.close_windows);
      TM_RETURN_IF_ERROR(watcher_->TakeEnds());
    }
    return absl::OkStatus();
  }

  absl::Status StartHttp() {
    const auto health = [](const Health& found) {
      return HttpResponse{found.ok ? 200 : 503, "text/plain; charset=utf-8", found.text};
    };
    HttpHandlers handlers;
    handlers["/metrics"] = [this] { return HttpResponse{200, "text/plain; version=0.0.4", RenderMetrics(status())}; };
    handlers["/healthz"] = [this, health] { return health(CheckHealth(status())); };
    handlers["/readyz"] = [this, health] { return health(CheckReadiness(status())); };
    TM_ASSIGN_OR_RETURN(http_, HttpServer::Start(options_.http_address, std::move(handlers)));
    LOG(INFO) << "metrics on http://" << http_->address() << "/metrics";
    std::ofstream(std::filesystem::path(options_.state_dir) / "http_address") << http_->address() << "\n";
    return absl::OkStatus();
  }

  int ThreadCount() const {
    int32_t largest = 1;
    for (const Stage& stage : plan_.stages)
      largest = std::max(largest, runtime_.partitions.at(ChangelogTopic(plan_, stage)));
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    return options_.threads > 0 ? options_.threads : std::min<int>(cores, largest);
  }

  // All objects first: the HTTP server reads the lists from threads of its own.
  void MakeThreads() {
    for (int i = 0; i < ThreadCount(); ++i) streams_.push_back(std::make_unique<StreamThread>(runtime_, i));
    for (size_t s = 0; s < plan_.sinks.size(); ++s) {
      const int sink = static_cast<int>(s);
      std::unique_ptr<FeedSink> feed_sink;
      if (std::holds_alternative<PostgresSinkSpec>(plan_.sinks[s].spec)) {
        feed_sink = std::make_unique<PostgresFeedSink>(runtime_, sink);
      } else if (std::holds_alternative<ParquetSinkSpec>(plan_.sinks[s].spec)) {
        feed_sink = std::make_unique<ParquetFeedSink>(runtime_, sink);
      } else {
        continue;
      }
      sinks_.push_back(std::make_unique<SinkThread>(runtime_, sink, std::move(feed_sink)));
    }
    ownership_.emplace(runtime_, [this](const std::string& group) { Rejoin(group); });
  }

  void RunThreads() {
    for (size_t i = 0; i < streams_.size(); ++i) RunLoopOf(absl::StrCat("stream thread ", i), streams_[i].get());
    for (const auto& sink : sinks_) RunLoopOf("sink " + sink->status().sink, sink.get());
    if (tables_->follows()) {
      RunLoop({"tables", [] { return absl::OkStatus(); }, [this] { return tables_->Follow(kSecond / 2); },
               [] { return absl::OkStatus(); }});
    }
    RunLoop({"inputs", [] { return absl::OkStatus(); }, [this] { return ownership_->Step(); },
             [] { return absl::OkStatus(); }});
  }

  // One member is enough for the group to assign anew.
  void Rejoin(const std::string& group) {
    if (group == plan_.name) return streams_.front()->RequestRejoin();
    for (const auto& sink : sinks_) {
      if (absl::StrCat(plan_.name, ".", sink->status().sink) == group) sink->RequestRejoin();
    }
  }

  template <typename Thread>
  void RunLoopOf(std::string name, Thread* thread) {
    RunLoop({std::move(name), [thread] { return thread->Start(); }, [thread] { return thread->Step(kStepWaitUs); },
             [this, thread] { return thread->Stop(control_.leave_on_stop); }});
  }

  void RunLoop(ThreadRunner::Loop loop) {
    runners_.push_back(std::make_unique<ThreadRunner>(std::move(loop), &control_.stop));
  }

  absl::Status Supervise() {
    int64_t next_watch = 0, next_housekeeping = 0;
    while (StopRequests() == 0) {
      for (const auto& runner : runners_) {
        if (runner->finished()) return runner->status();
      }
      const int64_t now = runtime_.clock->MonotonicUs();
      WatchDecisions(now);
      if (now >= next_housekeeping) {
        Housekeep();
        next_housekeeping = runtime_.clock->MonotonicUs() + kHousekeepingUs;
      }
      if (watcher_ && now >= next_watch) {
        const absl::StatusOr<bool> done = watcher_->Check();
        if (done.ok() && *done) return absl::OkStatus();
        if (!done.ok() && !absl::IsUnavailable(done.status())) return done.status();
        Progress(now);
        next_watch = runtime_.clock->MonotonicUs() + kWatchUs;
      }
      Sleep();
    }
    LOG(INFO) << "stopping: committing what is open";
    return absl::OkStatus();
  }

  // Gives up where a commit is never decided. Only time that this thread has seen go by counts: in a process that was
  // frozen every decision looks old.
  void WatchDecisions(int64_t now) {
    const int64_t passed = std::min<int64_t>(now - watched_us_, kSecond);
    watched_us_ = now;
    decisions_.resize(streams_.size());
    for (size_t i = 0; i < streams_.size(); ++i) {
      Decision& decision = decisions_[i];
      const int64_t since = streams_[i]->deciding_since_us();
      decision.lasted_us = since > 0 && since == decision.since_us ? decision.lasted_us + passed : 0;
      decision.since_us = since;
      if (decision.lasted_us > kLongestDecisionUs) GiveUp(absl::OkStatus(), runners_[i]->name());
    }
  }

  // Closes the stores that a rebalance has taken away for good, trims internal topics behind their readers and
  // refreshes the ends that lag is measured against. Slow calls, so never on a stream thread.
  void Housekeep() {
    const WorkerStatus now = status();
    if (const auto in_use = StoresInUse(now)) state_->CloseAllBut(*in_use);
    std::map<TopicPartition, Offset> trims, ends;
    const auto add_end = [&](const TopicPartition& partition) {
      const absl::StatusOr<Offset> end = kafka_->admin().LogEnd(partition, Isolation::kReadCommitted);
      if (end.ok()) ends[partition] = *end;
    };
    for (const ThreadStatus& thread : now.threads) {
      for (const auto& [partition, offset] : thread.trims) trims[partition] = offset;
      for (const TaskStatus& task : thread.tasks) {
        for (const auto& [partition, position] : task.positions) add_end(partition);
      }
    }
    for (const SinkStatus& sink : now.sinks) {
      for (const auto& [partition, offset] : sink.trims) trims[partition] = offset;
      for (const auto& [partition, position] : sink.positions) add_end(partition);
    }
    std::vector<std::pair<TopicPartition, Offset>> fresh;
    for (const auto& [partition, offset] : trims) {
      if (trimmed_[partition] < offset) fresh.emplace_back(partition, offset);
    }
    if (!fresh.empty()) {
      const absl::Status trimmed = kafka_->admin().DeleteRecords(fresh);
      if (trimmed.ok()) {
        for (const auto& [partition, offset] : fresh) trimmed_[partition] = offset;
      } else {
        LOG_EVERY_N(WARNING, 20) << "trimming internal topics: " << trimmed;
      }
    }
    const absl::MutexLock lock(&mutex_);
    ends_ = std::move(ends);
  }

  void Progress(int64_t now) {
    if (!options_.report || now < next_report_us_) return;
    next_report_us_ = now + kSecond;
    if (first_report_us_ == 0) first_report_us_ = now;
    const double seconds = static_cast<double>(now - first_report_us_) / kSecond;
    options_.report(absl::StrFormat("progress %d of %d records, %.0f records/s", watcher_->done(), watcher_->total(),
                                    seconds > 0 ? static_cast<double>(watcher_->done()) / seconds : 0.0));
  }

  void Report() {
    if (!options_.report || !options_.until_end) return;
    int64_t open = 0;
    for (const auto& [step, ledger] : SumLedger(last_status_.value_or(status()))) {
      options_.report(LedgerLine(step, ledger));
      open += ledger.open;
    }
    if (open > 0) {
      options_.report(absl::StrCat("open windows hold ", open,
                                   " (row, window) pairs: they stay in state, and a later run "
                                   "goes on with them; --close_windows closes them"));
    } else if (options_.close_windows) {
      options_.report("all windows are closed: data for them that comes later will be late");
    }
  }

  WorkerStatus status() const {
    WorkerStatus status;
    status.application = plan_.name;
    status.instance_id = options_.instance_id;
    status.monotonic_us = SystemClock()->MonotonicUs();
    status.wall_us = SystemClock()->WallUs();
    for (const auto& stream : streams_) status.threads.push_back(stream->status());
    for (const auto& sink : sinks_) status.sinks.push_back(sink->status());
    if (tables_ != nullptr) status.tables = tables_->Describe();
    if (ownership_) status.ownership = ownership_->status();
    const absl::MutexLock lock(&mutex_);
    status.ends = ends_;
    return status;
  }

  // Returns when all have ended. A process that ends instead leaves what is open to the brokers' fencing.
  void StopThreads(absl::Status* status) {
    control_.stop = true;
    const int64_t began = runtime_.clock->MonotonicUs();
    for (const auto& runner : runners_) {
      while (!runner->finished()) {
        const int64_t waited = runtime_.clock->MonotonicUs() - began;
        if (StopRequests() >= 2) std::_Exit(ExitCode(*status));
        if (waited > kLongestStopUs) GiveUp(*status, runner->name());
        if (waited > kPatienceUs) InterruptSinks();
        Sleep();
      }
      if (status->ok()) *status = runner->status();
    }
  }

  [[noreturn]] static void GiveUp(const absl::Status& status, const std::string& thread) {
    LOG(ERROR) << thread << " doesn't come back from a call; the process ends as after a crash, state is intact";
    if (!status.ok()) LOG(ERROR) << status.message();
    google::FlushLogFiles(google::INFO);
    std::_Exit(status.ok() ? 1 : ExitCode(status));
  }

  void InterruptSinks() {
    for (const auto& sink : sinks_) sink->Interrupt();
  }

  int StopRequests() const { return options_.stop_requests == nullptr ? 0 : options_.stop_requests->load(); }
  static void Sleep() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

  const Plan& plan_;
  const WorkerOptions& options_;
  RunControl control_;
  Runtime runtime_;
  // In the order of their dependence: the last is destroyed first.
  std::optional<MemoryBudget> operator_memory_;
  std::unique_ptr<KafkaClient> kafka_;
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<GlobalTables> tables_;
  std::optional<EndWatcher> watcher_;
  std::vector<std::unique_ptr<StreamThread>> streams_;
  std::vector<std::unique_ptr<SinkThread>> sinks_;
  std::optional<OwnershipWatch> ownership_;
  std::vector<std::unique_ptr<ThreadRunner>> runners_;
  std::unique_ptr<HttpServer> http_;
  std::map<TopicPartition, Offset> trimmed_;  // main thread
  std::optional<WorkerStatus> last_status_;   // before the threads let go of their tasks
  struct Decision {
    int64_t since_us = 0, lasted_us = 0;
  };
  std::vector<Decision> decisions_;  // of the stream threads' commits in flight; main thread
  int64_t watched_us_ = 0;
  int64_t next_report_us_ = 0, first_report_us_ = 0;
  mutable absl::Mutex mutex_;
  std::map<TopicPartition, Offset> ends_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status RunWorker(const Plan& plan, const WorkerOptions& options) { return Worker(plan, options).Run(); }

}  // namespace tidemark
