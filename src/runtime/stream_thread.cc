#include "src/runtime/stream_thread.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/runtime/ownership.h"

namespace tidemark {
namespace {

// Positions that only passed control records are committed after this quiet time, so that the group's lag shows 0.
constexpr int64_t kPositionCommitUs = kSecond;
// What tasks say of themselves is gathered at most this often while commits come fast.
constexpr int64_t kPublishUs = 50 * kMillisecond;
constexpr int64_t kMaxBackoffUs = 2 * kSecond;
// Records that wait for something are tried again this often, which costs next to nothing.
constexpr int64_t kRetryUs = 20 * kMillisecond;
// After the producer was fenced: longer than a heartbeat, so that a membership that a newer process has taken over is
// known to be lost before a new producer fences that process in turn.
constexpr int64_t kFencedWaitUs = 4 * kSecond;

// In kThreadActivities.
constexpr size_t kPolling = 1, kFlushing = 2, kDeciding = 3;

}  // namespace

StreamThread::StreamThread(const Runtime& runtime, int index)
    : runtime_(runtime),
      thread_id_(runtime.plan->application.StreamThreadId(runtime.options.instance_id, index)),
      // The thread's number first: the range assignor orders members by it and so spreads partitions over workers
      // before threads.
      group_instance_id_(absl::StrFormat("%04d-%s", index, runtime.options.instance_id)),
      spent_(runtime.clock, {std::begin(kThreadActivities), std::end(kThreadActivities)}),
      pipeline_(runtime, thread_id_, &spent_, kFlushing),
      tasks_(runtime),
      pace_(runtime.plan->commit_interval_us) {
  const absl::MutexLock lock(&mutex_);
  status_.commit_histogram.assign(std::size(kCommitBucketsMs) + 1, 0);
}

StreamThread::~StreamThread() = default;

absl::Status StreamThread::Start() {
  if (!pipeline_.opened()) TM_RETURN_IF_ERROR(pipeline_.Open());
  return consumer_ != nullptr ? absl::OkStatus() : Join();
}

absl::Status StreamThread::Join() {
  ConsumerOptions options;
  options.group = runtime_.plan->application.Group();
  options.instance_id = group_instance_id_;
  options.client_id = thread_id_;
  options.queue_bytes = runtime_.options.prefetch_bytes;
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Consumer> consumer, runtime_.kafka->NewConsumer(options));
  TM_RETURN_IF_ERROR(consumer->Subscribe(StreamTopics(*runtime_.plan)));
  consumer_ = std::move(consumer);
  Publish(true);
  return absl::OkStatus();
}

// Rows that come while a commit is being decided can't be committed before that. Caught up, they are gathered for a
// moment, as some large batches cost less than many small ones; a thread that is behind has better things to do.
absl::Status StreamThread::GatherWhileDeciding() {
  if (!pipeline_.InFlight() || runtime_.options.gather_us == 0 || pace_.Behind()) return absl::OkStatus();
  const TimeSpent::Doing doing(&spent_, kPolling);  // there is nothing better to do
  return FinishCommit(runtime_.options.gather_us).status();
}

absl::Status StreamThread::Step(int64_t max_wait_us) {
  if (state_ == State::kFailed) return absl::InternalError(thread_id_ + " has failed before");
  if (rejoin_.exchange(false, std::memory_order_relaxed)) {
    if (const absl::Status joined = Rejoin(); !joined.ok()) return Fail(joined);
  }
  absl::Status status = GatherWhileDeciding();
  if (status.ok() && state_ == State::kRunning &&
      runtime_.control->topics_changed.load(std::memory_order_relaxed) != tasks_.topics_changed()) {
    status = absl::AbortedError("a topic was made again");
  }
  if (status.ok()) {
    absl::StatusOr<PollResult> polled = Poll(WaitUs(max_wait_us));
    if (polled.ok()) {
      status = OnPolled(*std::move(polled));
    } else if (ActionFor(polled.status()) == Action::kRetry) {
      LOG_EVERY_N(WARNING, 100) << thread_id_ << ": " << polled.status().message();
      Publish(false);
      return absl::OkStatus();
    } else if (absl::IsOutOfRange(polled.status())) {
      // What has happened to the log, and whether it may be gone on from, is found out where tasks are opened.
      status = absl::AbortedError(polled.status().message());
    } else {
      return Fail(polled.status());  // a consumer can't be gone on with after such an error, whatever it says
    }
  }
  if (!status.ok()) status = Recover(pipeline_.Explain(status));
  if (!status.ok()) return Fail(status);
  Publish(unpublished_ && runtime_.clock->MonotonicUs() - published_us_ >= kPublishUs);
  return absl::OkStatus();
}

absl::StatusOr<PollResult> StreamThread::Poll(int64_t max_wait_us) {
  const TimeSpent::Doing doing(&spent_, kPolling);
  return consumer_->Poll(max_wait_us, runtime_.options.poll_records);
}

absl::Status StreamThread::OnPolled(PollResult polled) {
  if (polled.rebalance) return OnRebalance(*polled.rebalance);
  if (state_ == State::kOpening) return ContinueOpening();
  if (state_ != State::kRunning) return absl::OkStatus();
  TM_RETURN_IF_ERROR(ProcessPolled(std::move(polled)));
  return CommitIfDue();
}

int64_t StreamThread::WaitUs(int64_t max_wait_us) const {
  const int64_t now = runtime_.clock->MonotonicUs();
  if (!paused_.empty()) max_wait_us = std::min(max_wait_us, kRetryUs);
  if (state_ == State::kOpening) return std::clamp<int64_t>(retry_at_us_ - now, 0, max_wait_us);
  // The decision of a commit in flight wakes the consumer, and the next commit can't begin before.
  if (pipeline_.InFlight() || dirty_since_us_ < 0) return max_wait_us;
  return std::clamp<int64_t>(dirty_since_us_ + pace_.interval_us() - now, 0, max_wait_us);
}

absl::Status StreamThread::ProcessPolled(PollResult polled) {
  if (!paused_.empty()) TM_RETURN_IF_ERROR(RetryWaiting());
  for (std::unique_ptr<Fetch>& fetch : polled.fetches) {
    Task* const task = tasks_.Reading(fetch->source());
    if (task == nullptr) continue;  // of a stage that lacks another of its partitions
    TM_RETURN_IF_ERROR(task->Process(std::move(fetch)));
    TM_RETURN_IF_ERROR(CommitIfFull());
    while (task->HasRest()) {
      TM_RETURN_IF_ERROR(task->ProcessRest());
      TM_RETURN_IF_ERROR(CommitIfFull());
    }
  }
  for (const auto& [partition, end] : polled.ends) {
    if (Task* const task = tasks_.Reading(partition)) task->ReachedEnd(partition.topic, end);
  }
  TM_RETURN_IF_ERROR(PauseWaiting());
  return AdvanceAll();
}

absl::Status StreamThread::CommitIfFull() {
  if (!pipeline_.transaction()->Full()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(AdvanceAll());
  return BeginCommit();
}

// Records that had to wait for something come before whatever the poll has brought.
absl::Status StreamThread::RetryWaiting() {
  for (const auto& task : tasks_.tasks()) {
    for (bool more = true; more;) {
      TM_ASSIGN_OR_RETURN(more, task->Retry());
      unpublished_ = true;  // what is waited for may have another reason now
      TM_RETURN_IF_ERROR(CommitIfFull());
    }
  }
  return absl::OkStatus();
}

// A partition whose next record has to wait is read no further; the others go on.
absl::Status StreamThread::PauseWaiting() {
  std::set<TopicPartition> waiting;
  for (const auto& task : tasks_.tasks()) task->AppendWaiting(&waiting);
  if (waiting == paused_) return absl::OkStatus();
  std::vector<TopicPartition> pause, resume;
  std::set_difference(waiting.begin(), waiting.end(), paused_.begin(), paused_.end(), std::back_inserter(pause));
  std::set_difference(paused_.begin(), paused_.end(), waiting.begin(), waiting.end(), std::back_inserter(resume));
  paused_ = std::move(waiting);
  unpublished_ = true;
  if (!pause.empty()) TM_RETURN_IF_ERROR(consumer_->Hold(pause));
  return resume.empty() ? absl::OkStatus() : consumer_->Release(resume);
}

// Time moves through all tasks. Where that fills a commit it is made, and time goes on before anything else comes.
absl::Status StreamThread::AdvanceAll() {
  for (const auto& task : tasks_.tasks()) {
    do {
      if (pipeline_.transaction()->Full()) TM_RETURN_IF_ERROR(BeginCommit());
      TM_RETURN_IF_ERROR(task->Advance());
    } while (task->AdvancePending());
  }
  const int64_t now = runtime_.clock->MonotonicUs();
  bool dirty = false, moved = false;
  for (const auto& task : tasks_.tasks()) {
    dirty = dirty || task->Dirty();
    moved = moved || task->PositionMoved();
  }
  if ((dirty || pipeline_.transaction()->open()) && dirty_since_us_ < 0) dirty_since_us_ = now;
  if (moved && moved_since_us_ < 0) moved_since_us_ = now;
  if (!dirty && !pipeline_.transaction()->open()) return absl::OkStatus();
  for (const auto& task : tasks_.tasks()) TM_RETURN_IF_ERROR(task->Announce());
  return absl::OkStatus();
}

absl::Status StreamThread::CommitIfDue() {
  TM_ASSIGN_OR_RETURN(const bool free, FinishCommit(0));
  if (!free) return absl::OkStatus();
  const int64_t now = runtime_.clock->MonotonicUs();
  const bool rows_due = dirty_since_us_ >= 0 && now - dirty_since_us_ >= pace_.interval_us();
  const bool awaited = runtime_.control->until_end || runtime_.control->clock_stands.load(std::memory_order_relaxed);
  const int64_t position_wait = awaited ? 0 : kPositionCommitUs;
  const bool positions_due = moved_since_us_ >= 0 && now - moved_since_us_ >= position_wait;
  return rows_due || positions_due ? BeginCommit() : absl::OkStatus();
}

std::vector<Task*> StreamThread::TasksToCommit() const {
  std::vector<Task*> tasks;
  for (const auto& task : tasks_.tasks()) {
    // With a transaction open every task that may have written to it must be part of the commit.
    if (pipeline_.transaction()->open() || task->Dirty() || task->PositionMoved()) tasks.push_back(task.get());
  }
  return tasks;
}

// Commits what there is to commit, after the commit in flight, which is waited for.
absl::Status StreamThread::BeginCommit() {
  {
    const TimeSpent::Doing doing(&spent_, kDeciding);
    TM_RETURN_IF_ERROR(FinishCommit(Decider::kForever).status());
  }
  const std::vector<Task*> tasks = TasksToCommit();
  if (tasks.empty()) return absl::OkStatus();
  commit_began_us_ = runtime_.clock->MonotonicUs();
  TM_RETURN_IF_ERROR(pipeline_.Begin(tasks, group_, consumer_.get()));
  dirty_since_us_ = moved_since_us_ = -1;
  ObservePace();
  return absl::OkStatus();
}

void StreamThread::ObservePace() {
  std::vector<CommitPace::Input> inputs;
  for (const TopicPartition& source : tasks_.sources()) {
    inputs.push_back({tasks_.Reading(source)->position(source.topic), consumer_->KnownEnd(source)});
  }
  pace_.Observe(commit_began_us_, std::move(inputs));
}

// True: no commit is in flight any more.
absl::StatusOr<bool> StreamThread::FinishCommit(int64_t max_wait_us) {
  if (!pipeline_.InFlight()) return true;
  TM_ASSIGN_OR_RETURN(const bool finished, pipeline_.Finish(max_wait_us));
  if (!finished) return false;
  failures_ = 0;
  const int64_t end = runtime_.clock->MonotonicUs();
  const int64_t took = end - commit_began_us_;
  {
    const absl::MutexLock lock(&mutex_);
    ++status_.commits;
    status_.last_commit_us = end;
    status_.commit_time_us = took;
    status_.commit_time_sum_us += took;
    for (size_t i = 0; i < std::size(kCommitBucketsMs); ++i) {
      if (took <= kCommitBucketsMs[i] * kMillisecond) ++status_.commit_histogram[i];
    }
    ++status_.commit_histogram.back();
  }
  unpublished_ = true;
  // The ledger that a run to the end prints is taken as soon as its last commit shows.
  if (runtime_.control->until_end) Publish(true);
  return true;
}

// The one place where a transaction ends other than by its commit. The tasks that wrote in it end with it, as do those
// that are being opened: they all point at it. `cause` says what the producers are good for yet (OK: nothing was wrong
// with them).
void StreamThread::EndTransaction(const absl::Status& cause) {
  tasks_.Drop();
  paused_.clear();
  pace_.Reset();
  dirty_since_us_ = moved_since_us_ = -1;
  Action action = ActionFor(cause);
  if (action != Action::kReplaceClients && action != Action::kAwaitMembership) {
    const absl::StatusOr<bool> aborted = pipeline_.Abort();
    if (!aborted.ok() || *aborted) {
      const absl::MutexLock lock(&mutex_);
      ++status_.aborts;
    }
    if (aborted.ok()) return;
    LOG(WARNING) << thread_id_ << ": abort failed, the producers are replaced: " << aborted.status();
    action = ActionFor(aborted.status());
  }
  pipeline_.Close();
  if (action == Action::kAwaitMembership) {
    retry_at_us_ = std::max(retry_at_us_, runtime_.clock->MonotonicUs() + kFencedWaitUs);
  } else if (Recoverable(cause)) {
    // At once: what is undecided holds up every reader until init_transactions ends it.
    const absl::Status opened = pipeline_.Open();
    if (!opened.ok()) LOG(WARNING) << thread_id_ << ": new producers: " << opened;
  }
}

// Back to the last commit: the transaction is aborted, every task of the thread is dropped and opened again. Where that
// can't help, the error is returned as it came.
absl::Status StreamThread::Recover(const absl::Status& cause) {
  const bool damaged = absl::IsDataLoss(cause) && !disk_was_damaged_;
  if (!Recoverable(cause) && !damaged) return cause;
  if (damaged) {
    disk_was_damaged_ = true;
    tasks_.DistrustDisks();
  }
  LOG(WARNING) << thread_id_ << ": back to the last commit" << (damaged ? ", restored from the changelogs" : "") << ": "
               << cause;
  if (MutationActive(Mutation::kOverlayKeptAfterAbort)) tasks_.KeepStates();
  EndTransaction(cause);
  ++failures_;
  const int64_t backoff = std::min<int64_t>(kMaxBackoffUs, 10 * kMillisecond << std::min(failures_, 10));
  retry_at_us_ = std::max(retry_at_us_, runtime_.clock->MonotonicUs() + backoff);
  if (state_ == State::kUnassigned) return absl::OkStatus();
  state_ = State::kOpening;
  Publish(true);
  return consumer_->AssignPaused(assigned_);
}

// The transaction is aborted too, if it still can be, so that readers needn't wait for its time-out. Where it isn't
// known which of its records the log has, they do, or for whoever opens producers under these ids next.
absl::Status StreamThread::Fail(const absl::Status& cause) {
  if (MutationActive(Mutation::kStopCommitsAfterAbort)) {
    (void)pipeline_.Abort();
    return cause;
  }
  EndTransaction(cause);
  state_ = State::kFailed;
  Publish(true);
  return cause;
}

absl::Status StreamThread::Stop(bool leave_group) {
  absl::Status status = LeaveTasks(true);
  if (consumer_ != nullptr) {
    const absl::Status closed = consumer_->Close(leave_group);
    if (status.ok()) status = closed;
  }
  return status;
}

void StreamThread::Publish(bool with_tasks) {
  ThreadStatus next;
  if (consumer_ != nullptr) next.trouble = consumer_->Trouble();
  if (with_tasks) {
    unpublished_ = false;
    published_us_ = runtime_.clock->MonotonicUs();
    for (const auto& task : tasks_.tasks()) {
      next.tasks.push_back(task->status());
      const auto [changelog, before] = task->TrimBefore();
      if (before > 0) next.trims[changelog] = before;
      for (const auto& [input, position] : task->CommittedPositions()) {
        // An internal topic has one reader, and this is where it has committed to.
        const bool internal = std::any_of(runtime_.plan->edges.begin(), runtime_.plan->edges.end(),
                                          [&](const Edge& edge) { return edge.topic == input.topic; }) ||
                              std::any_of(runtime_.plan->sources.begin(), runtime_.plan->sources.end(),
                                          [&](const auto& s) { return s.intake() && s.topic == input.topic; });
        if (internal) next.trims[input] = position;
      }
    }
    next.opening = tasks_.Opening();
    std::tie(next.restore_position, next.restore_target) = tasks_.RestoreProgress();
  }
  const absl::MutexLock lock(&mutex_);
  status_.state = state_;
  status_.last_step_us = runtime_.clock->MonotonicUs();
  status_.trouble = std::move(next.trouble);
  if (!with_tasks) return;
  status_.topic_ids = tasks_.topic_ids();
  status_.tasks = std::move(next.tasks);
  status_.opening = std::move(next.opening);
  status_.restore_position = next.restore_position;
  status_.restore_target = next.restore_target;
  status_.trims = std::move(next.trims);
}

ThreadStatus StreamThread::status() const {
  std::vector<TimeSpent::Share> spent = spent_.Get();
  const absl::MutexLock lock(&mutex_);
  ThreadStatus status = status_;
  status.spent = std::move(spent);
  return status;
}

}  // namespace tidemark
