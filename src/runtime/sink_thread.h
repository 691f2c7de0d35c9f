// A sink thread: follows the feed topic of one external sink in a consumer group of its own, "<application>.<sink>", at
// the pace of the outside. A database that is away delays only this thread. Runs as a loop over Step().
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/client.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"

namespace tidemark {

// What the thread shows to metrics and readiness; a copy, taken under a lock.
struct SinkStatus {
  std::string sink;
  bool assigned = false;
  int64_t rows = 0, refused = 0;
  int64_t last_success_us = 0;  // monotonic
  int64_t last_step_us = 0;     // monotonic
  std::string last_error;       // "" since the last success
  std::map<TopicPartition, Offset> positions;
  std::map<TopicPartition, Offset> trims;
};

class SinkThread {
 public:
  SinkThread(const Runtime& runtime, int sink, std::unique_ptr<FeedSink> feed_sink);

  absl::Status Start();
  // An error is final.
  absl::Status Step(int64_t max_wait_us);
  absl::Status Stop(bool leave_group);

  // Any thread may call. Interrupt: a write that waits for the outside is given up (the feed still has its rows), and
  // so is every later one.
  void Interrupt() { feed_sink_->Interrupt(); }
  // Any thread may call: the next Step leaves the group and joins it again (ownership.h says when that helps).
  void RequestRejoin() { rejoin_.store(true, std::memory_order_relaxed); }
  SinkStatus status() const;

 private:
  absl::Status Rejoin();
  absl::Status OnRebalance(const Rebalance& rebalance);
  absl::Status TakeOver();
  absl::Status Take(const Fetch& fetch);
  absl::Status WritePending();
  absl::Status Handle(const absl::Status& status);
  void Publish();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::unique_ptr<FeedSink> feed_sink_;
  std::unique_ptr<Consumer> consumer_;

  std::vector<TopicPartition> assigned_;
  std::shared_ptr<const GroupMetadata> group_;
  bool running_ = false;                   // taken over: positions are known
  bool paused_ = false;                    // a write waits for the outside
  std::vector<FeedRows> pending_;          // polled, not yet written; the first may have been tried
  std::map<int32_t, Offset> positions_;    // reached, past control records
  int64_t retry_at_us_ = 0;
  int failures_ = 0;
  int64_t last_success_us_ = 0;
  std::string last_error_;

  std::atomic<bool> rejoin_{false};
  mutable absl::Mutex mutex_;
  SinkStatus status_ ABSL_GUARDED_BY(mutex_);
};

// The edge that feeds a sink.
const Edge& FeedOf(const Plan& plan, int sink);

}  // namespace tidemark
