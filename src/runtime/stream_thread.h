// A stream thread: one consumer, a pair of transactional producers, and the tasks of the partitions it was assigned.
// Shares nothing on the data path. Runs as a loop over Step(), which the simulator calls too; every wait is bounded.
//
//                     kAssigned                       all tasks open
//     kUnassigned -----------------> kOpening ------------------------> kRunning
//         ^  ^                        |   ^                              |  |
//         |  \-- kRevoked, kLost -----/   \------- abort, unknown -------/  |
//         \------------- kRevoked (commit), kLost (abort) -----------------/
//
//     any of them -- an error that another try doesn't mend, or one of the consumer's --> kFailed: only closes
//
// Rules kept here:
//   - No transaction spans two group generations: the rebalance callback (inside Poll) only notes; this loop waits for
//     the commit in flight, commits, or where the assignment is lost aborts, the open transaction and only then
//     unassigns. The group metadata is copied once, when an assignment arrives, and that copy alone is sent; a copy
//     that isn't valid counts as an assignment lost.
//   - Every assignment opens every task of the thread, kept stores too (task_opener.h).
//   - An abort drops the overlay and rewinds every task of the thread: the tasks are destroyed and opened again. One
//     function ends a transaction that isn't committed, EndTransaction, and it drops the tasks; what it has missed is
//     refused by the transaction's serial number (Task::PrepareCommit).
//   - What has failed is not used again: after an error of Step nothing is committed any more, whoever calls Stop.
//   - A fenced producer (its transaction timed out, or a newer process has this name) is replaced only when a heartbeat
//     has had time to tell whether the membership still stands; where it doesn't, the consumer's error ends the thread.
//   - After a commit with unknown outcome: new producers, init_transactions, then the tasks are opened.
//
// How a commit is made, and how the next one's rows are processed meanwhile, stands in commit.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/time_spent.h"
#include "src/kafka/client.h"
#include "src/runtime/commit.h"
#include "src/runtime/commit_pace.h"
#include "src/runtime/runtime.h"
#include "src/runtime/task.h"
#include "src/runtime/task_set.h"

namespace tidemark {

// What the thread shows to metrics, readiness and the janitor; a copy, taken under a lock.
struct ThreadStatus {
  enum class State { kUnassigned, kOpening, kRunning, kFailed };
  State state = State::kUnassigned;
  std::vector<TaskStatus> tasks;
  std::vector<TaskId> opening;
  Offset restore_position = 0, restore_target = 0;
  int64_t commits = 0, aborts = 0;
  int64_t last_commit_us = 0;  // monotonic
  int64_t last_step_us = 0;    // monotonic; healthz looks at it
  int64_t commit_time_us = 0;  // of the last commit, from its preparation to its application
  int64_t commit_time_sum_us = 0;
  // Commits by duration: bucket i counts those of at most kCommitBucketsMs[i]; the last one all.
  std::vector<int64_t> commit_histogram;
  std::map<std::string, std::string> topic_ids;  // of the tasks' inputs, when they were opened
  std::string trouble;                           // why a partition can't be read; "" where all can
  std::map<TopicPartition, Offset> trims;        // internal topics may be trimmed below these
  std::vector<TimeSpent::Share> spent;           // kThreadActivities
};
// What a stream thread's time goes to; all that waits for nobody is the first.
inline constexpr const char* kThreadActivities[] = {"working", "waiting for records",
                                                    "waiting for Kafka to acknowledge what was written",
                                                    "waiting for Kafka to decide a commit"};
inline constexpr int64_t kCommitBucketsMs[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000};

class StreamThread {
 public:
  StreamThread(const Runtime& runtime, int index);
  ~StreamThread();

  // Creates the clients and subscribes. Unavailable: may be called again.
  absl::Status Start();
  // One turn of the loop: polls for at most `max_wait_us`, processes what came, commits what is due. An error is final:
  // the thread has aborted what was open and is to be destroyed.
  absl::Status Step(int64_t max_wait_us);
  // Commits what is open, unless a Step has failed, and closes the consumer; `leave_group` gives up the static
  // membership.
  absl::Status Stop(bool leave_group);

  // Any thread may call.
  ThreadStatus status() const;
  // The next Step leaves the group and joins it again (ownership.h says when that helps).
  void RequestRejoin() { rejoin_.store(true, std::memory_order_relaxed); }
  // When the decision of the commit in flight began, monotonic; 0: there is none.
  int64_t deciding_since_us() const { return pipeline_.deciding_since_us(); }

 private:
  using State = ThreadStatus::State;

  absl::Status Join();
  absl::Status Rejoin();
  absl::StatusOr<PollResult> Poll(int64_t max_wait_us);
  absl::Status OnPolled(PollResult polled);
  absl::Status OnRebalance(const Rebalance& rebalance);
  absl::Status OnAssigned(const std::vector<TopicPartition>& partitions);
  absl::Status LeaveTasks(bool commit);
  absl::Status ContinueOpening();
  absl::Status BeginRunning();
  absl::Status GatherWhileDeciding();
  absl::Status ProcessPolled(PollResult polled);
  absl::Status RetryWaiting();
  absl::Status PauseWaiting();
  absl::Status CommitIfFull();
  absl::Status AdvanceAll();
  absl::Status CommitIfDue();
  absl::Status BeginCommit();
  absl::StatusOr<bool> FinishCommit(int64_t max_wait_us);
  absl::Status Recover(const absl::Status& cause);
  absl::Status Fail(const absl::Status& cause);
  void EndTransaction(const absl::Status& cause);
  int64_t WaitUs(int64_t max_wait_us) const;
  void ObservePace();
  std::vector<Task*> TasksToCommit() const;
  void Publish(bool with_tasks);

  const Runtime& runtime_;
  const std::string thread_id_, group_instance_id_;

  TimeSpent spent_;  // before what is measured
  State state_ = State::kUnassigned;
  std::unique_ptr<Consumer> consumer_;
  CommitPipeline pipeline_;
  TaskSet tasks_;  // they point at the pipeline's transaction: destroyed before it

  // The assignment, and the member's identity, copied when it arrived.
  std::vector<TopicPartition> assigned_;
  std::shared_ptr<const GroupMetadata> group_;
  std::set<TopicPartition> paused_;  // of a running thread: those whose next record has to wait for something

  // When to commit. Monotonic; -1: nothing to commit, or only positions over control records have moved.
  CommitPace pace_;
  int64_t dirty_since_us_ = -1, moved_since_us_ = -1;
  int64_t commit_began_us_ = 0;  // of the commit in flight

  // After failures: opening waits until then, so many have come in a row, and stores were restored for damage.
  int64_t retry_at_us_ = 0;
  int failures_ = 0;
  bool disk_was_damaged_ = false;

  bool unpublished_ = false;  // a commit has been made since status_ was told of the tasks
  int64_t published_us_ = 0;  // when that was

  std::atomic<bool> rejoin_{false};
  mutable absl::Mutex mutex_;
  ThreadStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
