// What a worker does beside its data path, every few seconds: closes the stores that a rebalance has taken away for
// good, trims internal topics behind their readers, and, more often, asks for the ends that lag is measured against.
// Slow calls all, so they have a thread of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/record.h"
#include "src/runtime/runtime.h"
#include "src/runtime/worker_status.h"

namespace tidemark {

class Housekeeping {
 public:
  // `look` tells what the worker does now.
  Housekeeping(const Runtime& runtime, std::function<WorkerStatus()> look)
      : runtime_(runtime), look_(std::move(look)) {}

  // One round where it is due, else a short wait. Brokers that are away end a round early: the next one tries again.
  // Always OK.
  absl::Status Step();

  // The ends (read_committed) found last. Any thread.
  std::map<TopicPartition, Offset> ends() const;

 private:
  using Trims = std::vector<std::pair<TopicPartition, Offset>>;

  void Tidy(const WorkerStatus& now);
  void Trim(const WorkerStatus& now);
  void LeaveOutFormerViews(const WorkerStatus& now, Trims* trims);
  void FindEnds(const WorkerStatus& now);

  const Runtime& runtime_;
  const std::function<WorkerStatus()> look_;
  int64_t next_us_ = 0;       // monotonic
  int64_t next_ends_us_ = 0;  // likewise
  std::map<TopicPartition, Offset> trimmed_;
  std::map<TopicPartition, std::string> view_topics_;  // ids, of views' logs that `trimmed_` is of
  mutable absl::Mutex mutex_;
  std::map<TopicPartition, Offset> ends_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
