#include "src/runtime/worker.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/synchronization/mutex.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "src/base/status_topic.h"
#include "src/kafka/appender.h"
#include "src/kafka/rdkafka_client.h"
#include "src/registry/formats.h"
#include "src/runtime/end_report.h"
#include "src/runtime/end_watcher.h"
#include "src/runtime/former.h"
#include "src/runtime/generations/bounded_client.h"
#include "src/runtime/generations/follower.h"
#include "src/runtime/give_up.h"
#include "src/runtime/lake_client.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/row_samples.h"
#include "src/runtime/runtime.h"
#include "src/runtime/start_check.h"
#include "src/runtime/status_board.h"
#include "src/runtime/stop_deadline.h"
#include "src/runtime/supervisor.h"
#include "src/runtime/topics.h"
#include "src/runtime/worker_http.h"
#include "src/runtime/worker_lineage.h"
#include "src/runtime/worker_threads.h"

namespace tidemark {
namespace {

constexpr int64_t kStepWaitUs = kSecond / 10;
// How long a run that has reached its end waits for tasks that are still being opened.
constexpr int64_t kOpeningPatienceUs = 10 * kSecond;
constexpr int64_t kStartPatienceUs = 30 * kSecond;
constexpr rlim_t kFiles = 16'384;
// How long what was posted may wait for the brokers.
constexpr int64_t kAppendPatienceUs = 8 * kSecond;
// Of what a worker says of itself: the next report makes up for it.
constexpr int64_t kReportPatienceUs = 5 * kSecond;

std::string RandomIdentity() {
  thread_local std::random_device device;
  std::string bytes;
  while (bytes.size() < 16) {
    const uint32_t word = device();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return bytes;
}

// Soft limits of 1,024 files are for programs that wait by select; connections, sockets to brokers and stores need
// more.
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kFiles) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kFiles);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) LOG(WARNING) << "files that may be open: stay at the former limit";
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

absl::Status Nothing() { return absl::OkStatus(); }

class Worker {
 public:
  Worker(const Plan& plan, const WorkerOptions& options)
      : plan_(plan),
        options_(options),
        deadline_(options.stop_requests, options.stop_within_us),
        formats_(plan.registry),
        supervisor_(&control_, SystemClock(), options.stop_requests),
        report_(options.until_end ? options.report : nullptr, options.close_windows) {}
  ~Worker() {
    if (http_) http_->Stop();  // while its handlers still find everything
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  absl::Status Run() {
    deadline_.Expect("the start", absl::OkStatus(), ExitCode(Ended(/*done=*/false)));
    if (const absl::Status prepared = Prepare(); !prepared.ok()) {
      if (!supervisor_.StopRequested()) return prepared;
      LOG(INFO) << "stopped while starting: " << prepared.message();
      return Ended(/*done=*/false);
    }
    if (supervisor_.StopRequested()) return Ended(/*done=*/false);
    if (OfAnotherGeneration()) {
      HandOver();
      return absl::OkStatus();
    }
    MakeThreads();
    RunThreads();
    bool done = false;
    absl::Status status = supervisor_.Watch([&] {
      return (done = ReachedEnd()) || OfAnotherGeneration() || Drained() || MoreTopics() ||
             !http_->views().failure().ok();
    });
    if (status.ok() && !done) status = http_->views().failure();
    if (MoreTopics()) *options_.more_topics = true;
    if (status.ok() && !done) LOG(INFO) << "stopping: committing what is open";
    hands_over_ = status.ok() && (OfAnotherGeneration() || left_);
    const WorkerStatus last = this->status();  // before the threads let go of their tasks
    CloseGate(status);
    // Where it isn't over in time the process ends, to be started again.
    const int exit_code = MoreTopics() ? 1 : ExitCode(Ended(done));
    status = supervisor_.Stop(status, exit_code, &deadline_, [this] { threads_.Interrupt(); });
    lineage_.Finish(status.ok() ? Ended(done) : status);
    if (hands_over_ && !done) HandOver();  // also where the last commit has failed: it is made up for
    if (!status.ok()) return status;
    report_.Final(last, done);
    if (!done && (hands_over_ || OfAnotherGeneration())) return absl::OkStatus();
    return Ended(done);
  }

 private:
  // While the threads stop: what is being written and never acknowledged takes nothing of their time.
  void CloseGate(const absl::Status& cause) {
    control_.stop = true;
    deadline_.Begin();
    deadline_.Expect("what was posted", cause, cause.ok() ? 1 : ExitCode(cause));
    http_->ClosePosts();
    threads_.CloseWaits();
    if (!hands_over_ || options_.handover == nullptr) http_->CloseViews();
  }

  void HandOver() {
    if (options_.handover != nullptr) http_->HandOverViews();
  }

  // Nothing is made, joined or written as a generation that isn't this worker's (any more).
  bool OfAnotherGeneration() const { return options_.generation != nullptr && options_.generation->ended(); }
  // Its generation has given out all that it owes, for good, and what its own sinks have committed shows. Watched by
  // the main thread; threads that stop ask left_.
  bool Drained() {
    const bool drained = options_.generation != nullptr && options_.generation->drained();
    if (!left_ && drained) left_ = !threads_.UnsettledSink();
    return left_;
  }

  bool MoreTopics() const { return threads_.MoreTopics() && !supervisor_.StopRequested(); }

  // A run to the end that was told to stop before isn't done: whoever waits for it must not take it for that.
  absl::Status Ended(bool done) const {
    if (done || !options_.until_end) return absl::OkStatus();
    return absl::CancelledError("told to stop before the end was reached; the next run goes on from the last commit");
  }

  // Everything that waits for others before the threads run. HTTP comes first, so that a start that takes long answers.
  absl::Status Prepare() {
    runtime_.plan = &plan_;
    runtime_.clock = SystemClock();
    runtime_.control = &control_;
    runtime_.formats = &formats_.formats();
    runtime_.new_identity = RandomIdentity;
    runtime_.options.instance_id = options_.instance_id;
    runtime_.allow_drop = options_.allow_drop;
    control_.leave_on_stop = options_.leave_on_stop;
    control_.until_end = options_.until_end;
    TM_RETURN_IF_ERROR(OpenState());
    Phase("connects to Kafka");
    RaiseFileLimit();
    board_.emplace(plan_, SystemClock(), options_.texts);
    http_.emplace(plan_, options_, &*board_, [this] { return status(); });
    TM_RETURN_IF_ERROR(http_->Start(formats_.formats(), &samples_));
    TM_ASSIGN_OR_RETURN(kafka_, NewRdKafkaClient(plan_.kafka, LogKafka));
    kafka_ = WithLakes(std::move(kafka_), options_.lakes);
    if (options_.generation != nullptr) kafka_ = options_.generation->Bound(std::move(kafka_));
    if (!options_.parts.empty()) TakeParts();
    runtime_.kafka = kafka_.get();
    Phase("looks at its topics");
    TM_RETURN_IF_ERROR(Patiently([this] { return LookAtGenerations(); }));
    if (OfAnotherGeneration()) return absl::OkStatus();
    TM_RETURN_IF_ERROR(Patiently([this]() -> absl::Status {
      TM_RETURN_IF_ERROR(CheckStart(plan_, *kafka_, options_.allow_drop));
      TM_RETURN_IF_ERROR(GiveUpStages(plan_, options_.allow_drop, *kafka_,
                                      [this] { return NewRdResetClient(plan_.kafka, LogKafka); }));
      TM_ASSIGN_OR_RETURN(runtime_.partitions, ResolveTopics(plan_, kafka_->admin(), /*create=*/true));
      TM_ASSIGN_OR_RETURN(topics_, DescribeTopics());
      limits_.emplace(plan_);
      runtime_.limits = &*limits_;
      return limits_->Read(kafka_->admin());
    }));
    Phase("registers schemas");
    TM_RETURN_IF_ERROR(Patiently([this] { return RegisterSchemas(); }));
    Phase("loads tables");
    TM_RETURN_IF_ERROR(Patiently([this] { return LoadTables(); }));
    runtime_.options.prefetch_bytes =
        std::min(runtime_.options.prefetch_bytes, plan_.memory_bytes / 32 / ThreadCount());
    runtime_.options.commit_bytes = std::min(runtime_.options.commit_bytes, plan_.memory_bytes / 32 / ThreadCount());
    if (options_.until_end) {
      watcher_.emplace(runtime_, options_.close_windows);
      if (options_.parts.empty()) {
        TM_RETURN_IF_ERROR(Patiently([this] { return watcher_->TakeEnds(); }));
      } else {
        std::map<TopicPartition, Offset> ends;
        for (const auto& [partition, part] : options_.parts) ends[partition] = part.second;
        watcher_->SetEnds(std::move(ends));
      }
    }
    TM_RETURN_IF_ERROR(Patiently([this] { return CheckUnchanged(); }));
    TM_RETURN_IF_ERROR(Patiently([this] { return LookAtGenerations(); }));
    TM_RETURN_IF_ERROR(OpenLineage());
    return OpenGate();
  }

  absl::StatusOr<std::unique_ptr<Appender>> NewAppender(const std::string& prefix, int64_t patience_us) const {
    return NewRdAppender(plan_.kafka, absl::StrCat(prefix, "-", options_.instance_id), patience_us, LogKafka);
  }

  absl::Status OpenLineage() {
    if (options_.lineage.empty()) return absl::OkStatus();
    const auto open_topic = [this]() -> absl::StatusOr<std::unique_ptr<Appender>> {
      const std::string& topic = options_.lineage.topic;
      TM_ASSIGN_OR_RETURN(const auto found, kafka_->admin().Describe({topic}));
      if (found.empty()) {
        TopicToCreate wanted;
        wanted.topic = topic;
        wanted.replication_factor = plan_.internal_topics.replication_factor;
        TM_RETURN_IF_ERROR(kafka_->admin().CreateTopics({wanted}));
      }
      return NewAppender(plan_.application.Group() + "-lineage", kAppendPatienceUs);
    };
    TM_RETURN_IF_ERROR(lineage_.Open(options_.lineage, options_.lineage_text, options_.instance_id, open_topic));
    board_->SetObserver([this](const std::vector<HeardReport>& others, live::WorkerReport* own) {
      lineage_.Follow(others, control_.stop || own->stops(), own);
    });
    return absl::OkStatus();
  }

  void TakeParts() {
    std::set<std::string> topics;
    std::map<TopicPartition, Offset> starts, ends;
    for (const auto& [partition, part] : options_.parts) {
      topics.insert(partition.topic);
      starts[partition] = part.first;
      ends[partition] = part.second;
    }
    bounds_.emplace(std::move(topics), std::move(starts));
    bounds_->Set(std::move(ends), 0);
    kafka_ = BoundedClient(std::move(kafka_), plan_.application.Group(), &*bounds_, Nothing);
  }

  absl::Status LookAtGenerations() const {
    return options_.generation == nullptr ? absl::OkStatus() : options_.generation->Look(*kafka_);
  }

  // Brokers that have just started know for a while less than they will: what passes is tried again.
  absl::Status Patiently(const std::function<absl::Status()>& call) const {
    const int64_t until = SystemClock()->MonotonicUs() + kStartPatienceUs;
    while (true) {
      const absl::Status status = call();
      if (ActionFor(status) != Action::kRetry || supervisor_.StopRequested()) return status;
      if (SystemClock()->MonotonicUs() > until) return status;
      LOG(WARNING) << status.message() << "; trying again";
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  }

  absl::StatusOr<std::map<std::string, TopicInfo>> DescribeTopics() const {
    std::vector<std::string> names;
    for (const auto& [topic, count] : runtime_.partitions) names.push_back(topic);
    return kafka_->admin().Describe(names);
  }

  // Right before this worker joins groups: loading tables takes minutes, in which a reset may have begun, or be done.
  absl::Status CheckUnchanged() const {
    TM_RETURN_IF_ERROR(CheckNoReset(plan_, kafka_->admin()));
    TM_ASSIGN_OR_RETURN(const auto now, DescribeTopics());
    for (const auto& [topic, count] : runtime_.partitions) {
      const auto found = now.find(topic);
      if (found == now.end()) return absl::UnavailableError(absl::StrCat("topic '", topic, "' isn't there"));
      const auto before = topics_.find(topic);
      const bool made_again = before != topics_.end() && !before->second.id.empty() && !found->second.id.empty() &&
                              before->second.id != found->second.id;
      if (!made_again && found->second.partitions == count) continue;
      return absl::AbortedError(absl::StrCat("topic '", topic, "' was made again, or has other partitions, since this ",
                                             "worker has looked at it: start it again"));
    }
    return absl::OkStatus();
  }

  absl::Status OpenState() {
    StateOptions state;
    state.application = plan_.application.Key();
    // docs/topology.md, `memory`, says what the rest is for.
    state.memory_bytes = plan_.memory_bytes / 8;
    state.flush_bytes = std::min(state.flush_bytes, plan_.memory_bytes / 64);
    operator_memory_.emplace(plan_.memory_bytes / 8 * 3);
    runtime_.operator_memory = &*operator_memory_;
    runtime_.losses = &losses_;
    runtime_.samples = &samples_;
    for (const SourcePlan& source : plan_.sources) losses_.Declare(source.name);
    TM_ASSIGN_OR_RETURN(state_, StateDir::Open(options_.state_dir, state));
    runtime_.state = state_.get();
    return absl::OkStatus();
  }

  absl::Status RegisterSchemas() {
    TM_ASSIGN_OR_RETURN(const std::string lines, formats_.RegisterSchemas(plan_));
    for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) LOG(INFO) << line;
    return absl::OkStatus();
  }

  absl::Status LoadTables() {
    tables_ = std::make_unique<GlobalTables>(plan_, kafka_.get(), formats_.formats());
    TM_RETURN_IF_ERROR(tables_->Load(
        runtime_.partitions, [this] { return supervisor_.StopRequested(); },
        [this](const std::string& wait) { Phase(absl::StrCat("loads tables", wait.empty() ? "" : "; ", wait)); }));
    for (const GlobalTables::Status& table : tables_->Describe()) {
      LOG(INFO) << "table " << table.name << ": " << table.rows << " rows";
    }
    runtime_.tables = tables_.get();
    return absl::OkStatus();
  }

  // What is posted is accepted whoever reads it.
  absl::Status OpenGate() {
    TM_RETURN_IF_ERROR(http_->OpenViews());
    if (std::none_of(plan_.sources.begin(), plan_.sources.end(), [](const auto& s) { return s.http.has_value(); })) {
      return absl::OkStatus();
    }
    TM_ASSIGN_OR_RETURN(std::unique_ptr<Appender> appender,
                        NewAppender(plan_.application.Group() + "-posts", kAppendPatienceUs));
    VisibleWaits& waits = threads_.AwaitPosts(ViewPosition());
    http_->OpenPosts(std::move(appender), [&waits](const std::string& source, int32_t partition, Offset offset,
                                                   int64_t until_us, std::function<void(bool)> done) {
      waits.Add({source, partition, offset, until_us, std::move(done)});
    });
    return absl::OkStatus();
  }

  WorkerThreads::ViewPosition ViewPosition() const {
    return [this](const std::string& view) { return http_->views().LogPositionOf(view); };
  }

  int ThreadCount() const {
    int32_t largest = 1;
    for (const Stage& stage : plan_.stages)
      largest = std::max(largest, runtime_.partitions.at(plan_.application.ChangelogTopic(stage.name)));
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    return options_.threads > 0 ? options_.threads : std::min<int>(cores, largest);
  }

  void MakeThreads() {
    const bool watch_topics = !plan_.patterns.empty() && !options_.until_end && options_.more_topics != nullptr;
    threads_.Make(ThreadCount(), options_.state_dir, watch_topics, ViewPosition(), [this] { return status(); });
    board_->Open(
        &runtime_, http_->address(), [this] { return status(); },
        [this] { return NewAppender(StatusTopic(plan_.application), kReportPatienceUs); });
    Phase("");
  }

  void RunThreads() {
    using Work = Supervisor::Work;
    if (options_.generation != nullptr) options_.generation->Open(&runtime_);
    threads_.Run(&supervisor_, [this] { return control_.leave_on_stop || left_; });
    if (tables_->follows()) {
      supervisor_.Run({"tables", Nothing, [this] { return tables_->Follow(kSecond / 2); }, Nothing}, Work::kReads);
    }
    supervisor_.Run({"status", Nothing, [this] { return board_->Step(kStepWaitUs); },
                     [this] {
                       board_->Close();
                       return absl::OkStatus();
                     }},
                    Work::kReads);
    if (options_.generation != nullptr) {
      supervisor_.Run({"generations", Nothing, [this] { return options_.generation->Step(); }, Nothing}, Work::kReads);
    }
    if (watcher_) supervisor_.Run({"end watcher", Nothing, [this] { return watcher_->Step(); }, Nothing}, Work::kReads);
  }

  // The watcher goes by decisions. What a decision only promises (files that must still be moved) is waited for by
  // whoever has to keep the promise.
  bool ReachedEnd() {
    if (!watcher_) return false;
    EndProgress progress = watcher_->progress();
    if (watcher_->done()) {
      std::optional<std::string> late = threads_.UnsettledSink();
      if (!late) return AllOpened();
      progress.sink = *std::move(late);
      progress.waits_for = absl::StrCat("sink ", progress.sink, ": what is committed doesn't show yet");
    }
    report_.Progress(progress, [this] { return status(); }, SystemClock()->MonotonicUs());
    return false;
  }

  // Where nothing was left to do, the end is reached before tasks and intakes are open, whose ledger is to be told. A
  // group that doesn't come to rest isn't waited for: everything is done.
  bool AllOpened() {
    const int64_t now = runtime_.clock->MonotonicUs();
    if (done_since_us_ == 0) done_since_us_ = now;
    if (now - done_since_us_ > kOpeningPatienceUs) return true;
    return threads_.Opened();
  }

  void Phase(std::string phase) {
    const absl::MutexLock lock(&mutex_);
    phase_ = std::move(phase);
  }

  // Any thread.
  WorkerStatus status() const {
    WorkerStatus status;
    status.application = plan_.application;
    status.instance_id = options_.instance_id;
    status.monotonic_us = SystemClock()->MonotonicUs();
    status.wall_us = SystemClock()->WallUs();
    {
      const absl::MutexLock lock(&mutex_);
      status.starting = phase_;
    }
    if (!status.starting.empty()) return status;  // the lists are being made
    threads_.Describe(&status);
    http_->Describe(&status);
    status.lineage = lineage_.status();
    status.tables = tables_->Describe();
    status.losses = losses_.Get();
    return status;
  }

  const Plan& plan_;
  const WorkerOptions& options_;
  // In the order of their dependence: the last is destroyed first.
  StopDeadline deadline_;  // until all the rest is gone
  mutable absl::Mutex mutex_;
  std::string phase_ ABSL_GUARDED_BY(mutex_);  // of the start; "" once the threads are made
  RunControl control_;
  TopologyFormats formats_;
  Runtime runtime_;
  SourceLosses losses_;
  RowSamples samples_{SystemClock()};
  std::optional<MemoryBudget> operator_memory_;
  std::optional<RecordLimits> limits_;
  std::optional<SourceBounds> bounds_;
  std::unique_ptr<KafkaClient> kafka_;
  std::map<std::string, TopicInfo> topics_;  // as they were at the start
  std::unique_ptr<StateDir> state_;
  std::unique_ptr<GlobalTables> tables_;
  std::optional<EndWatcher> watcher_;
  int64_t done_since_us_ = 0;  // monotonic; the watcher said so; main thread
  WorkerThreads threads_{runtime_};
  WorkerLineage lineage_{SystemClock()};  // of the board's thread; behind its end the main one's
  std::optional<StatusBoard> board_;
  Supervisor supervisor_;
  EndReport report_;
  bool hands_over_ = false;         // another generation's run follows in this process
  std::atomic<bool> left_{false};   // it leaves its groups, as a generation that has given out all
  std::optional<WorkerHttp> http_;  // last: its handlers look at all of the above
};

}  // namespace

absl::Status RunWorker(const Plan& plan, const WorkerOptions& options) { return Worker(plan, options).Run(); }

}  // namespace tidemark
