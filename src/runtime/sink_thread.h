// A sink thread: follows the feed topic of one external sink in a consumer group of its own, "<application>.<sink>", at
// the pace of the outside. A database or a lake that is away delays only this thread. Runs as a loop over Step().
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/client.h"
#include "src/runtime/edge_reader.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/whole_commits.h"

namespace tidemark {

// What the thread shows to metrics and readiness; a copy, taken under a lock.
struct SinkStatus {
  std::string sink;
  std::string group;
  bool assigned = false;
  int64_t rows = 0, refused = 0;
  int64_t last_success_us = 0;  // monotonic
  int64_t last_step_us = 0;     // monotonic
  // Since when the thread is inside a call to the outside, which has deadlines of its own; 0: it isn't. Monotonic.
  int64_t outside_since_us = 0;
  std::string last_error;        // "" since the last success
  int64_t failing_since_us = 0;  // monotonic; the first failure since the last success
  std::map<TopicPartition, Offset> positions;
  std::map<TopicPartition, Offset> trims;
  std::vector<TimeSpent::Share> spent;
};

class SinkThread {
 public:
  SinkThread(const Runtime& runtime, int sink, std::unique_ptr<FeedSink> feed_sink);

  // Looks at the outside first. InvalidArgument: the user's mistake. An outside that is away doesn't keep it from
  // starting.
  absl::Status Start();
  // An error is final: only Stop may follow, and makes nothing durable any more.
  absl::Status Step(int64_t max_wait_us);
  absl::Status Stop(bool leave_group);

  // Any thread may call. Interrupt: a call that waits for the outside is given up (the feed still has its rows), and so
  // is every later one.
  void Interrupt() { feed_sink_->Interrupt(); }
  // Any thread may call: the next Step leaves the group and joins it again (ownership.h says when that helps).
  void RequestRejoin() { rejoin_.store(true, std::memory_order_relaxed); }
  SinkStatus status() const;
  // Any thread may call: nothing that this worker has decided, or took over as decided, is still on its way.
  bool settled() const;

 private:
  //                 partitions come                taken over
  //   kUnassigned ------------------> kTakingOver ------------> kRunning
  //     ^    ^                         ^   |    ^                |    ^
  //     |    |                         |   +----+                |    | Progress is through
  //     |    |                         |  failed: again          v    |
  //     |    |                         |  after a pause        kWaiting
  //     |    |                         |                         |
  //     |    |                         +-------------------------+
  //     |    |    kRunning, kWaiting: what was taken has been dropped, to be read again
  //     +----+--- partitions go: from each of the others
  //
  //   kFailed: a final error, from anywhere and for good
  enum class State {
    kUnassigned,
    kTakingOver,  // the consumer is paused; the position isn't known
    kRunning,     // reads, takes, makes progress
    kWaiting,  // the outside is away or slow: the consumer is paused, what was taken is kept, progress is tried after a
               // pause
    kFailed,
  };
  // Polled records that the sink hasn't taken yet.
  struct Pending {
    std::unique_ptr<Fetch> fetch;
    size_t next = 0;
  };

  bool owns() const { return state_ == State::kRunning || state_ == State::kWaiting; }
  absl::Status Rejoin();
  absl::Status OnRebalance(const Rebalance& rebalance);
  absl::Status Turn();
  absl::Status TakeOver();
  absl::Status Work();
  absl::Status LookOutside();
  absl::Status TakeSome();
  absl::Status TakePiece(Pending* pending);
  absl::Status TakeCommit(Pending* pending);
  void GiveUp(bool lost);
  absl::Status ActOn(const absl::Status& status);
  void Succeeded();
  absl::Status Outside(absl::FunctionRef<absl::Status()> call);
  void Publish();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  const std::shared_ptr<arrow::Schema> schema_;
  const bool whole_commits_;
  const std::unique_ptr<FeedSink> feed_sink_;
  std::unique_ptr<Consumer> consumer_;

  State state_ = State::kUnassigned;
  std::vector<TopicPartition> assigned_;
  std::shared_ptr<const GroupMetadata> group_;
  std::deque<Pending> pending_;
  std::map<int32_t, Offset> ends_;             // reached behind what is pending
  std::map<int32_t, FeedPosition> positions_;  // behind what was taken, past control records
  std::map<int32_t, EdgeReader> readers_;      // of the records before them, and of those in `whole_`
  std::map<int32_t, WholeCommits> whole_;      // of whole commits: what was read behind the positions
  int64_t retry_at_us_ = 0;
  int64_t looked_us_ = 0;  // monotonic; when the outside was there
  int failures_ = 0;
  int64_t decisions_ = 0;  // the sink's when it last succeeded
  int64_t last_success_us_ = 0;
  std::string last_error_;
  int64_t failing_since_us_ = 0;

  std::atomic<bool> rejoin_{false};
  mutable absl::Mutex mutex_;
  SinkStatus status_ ABSL_GUARDED_BY(mutex_);
  bool owns_nothing_ ABSL_GUARDED_BY(mutex_) = false;  // a member of the group, without partitions
};

// The edge that feeds a sink.
const Edge& FeedOf(const Plan& plan, int sink);

}  // namespace tidemark
