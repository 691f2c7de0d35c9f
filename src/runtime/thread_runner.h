// Runs a Step() loop on a thread of its own: the same objects that the simulator steps by hand.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

namespace tidemark {

// Start, Step until stopped or failed, Stop. The functions run on the runner's thread only.
class ThreadRunner {
 public:
  struct Loop {
    std::string name;
    std::function<absl::Status()> start;  // tried again after an error that passes (src/base/action.h)
    std::function<absl::Status()> step;
    std::function<absl::Status()> stop;
  };

  // `stop` is read between steps and outlives the runner.
  ThreadRunner(Loop loop, const std::atomic<bool>* stop);
  ~ThreadRunner();  // joins

  const std::string& name() const { return loop_.name; }
  bool finished() const { return finished_.load(std::memory_order_acquire); }
  // The error that ended it; OK while it runs or after a requested stop.
  absl::Status status() const;

 private:
  absl::Status Run();

  const Loop loop_;
  const std::atomic<bool>* const stop_;
  std::atomic<bool> finished_{false};
  mutable absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace tidemark
