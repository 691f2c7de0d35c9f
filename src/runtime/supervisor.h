// Runs a worker's threads and looks after them from the main thread: notices within a moment that one has ended, that a
// commit is never decided, or that a stop was asked for, and stops all of them. Makes no call itself that may wait for
// a broker, a database or a disk: whatever does so has a thread here.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/time.h"
#include "src/runtime/runtime.h"
#include "src/runtime/stop_deadline.h"
#include "src/runtime/thread_runner.h"

namespace tidemark {

// Tells a commit that is never decided. Only time that is seen go by counts, a second at most between two looks: in a
// process that was frozen every decision looks old.
class DecisionWatch {
 public:
  // A commit that isn't decided after this long won't be any more: the calls' time-outs make 20 s together.
  static constexpr int64_t kLongestUs = 120 * kSecond;

  // `since_us`: when the decision in flight began, 0: there is none. True: it has lasted too long.
  bool Overdue(int64_t now_us, int64_t since_us);

 private:
  int64_t since_us_ = 0, lasted_us_ = 0, looked_us_ = 0;
};

// Used by the main thread.
class Supervisor {
 public:
  // What becomes of a thread's work where it can't be stopped in time.
  enum class Work {
    kCommits,  // what it holds is processed again
    kReads,    // nothing is lost
  };

  // `stop_requests` may be null.
  Supervisor(RunControl* control, Clock* clock, const std::atomic<int>* stop_requests)
      : control_(*control), clock_(*clock), stop_requests_(stop_requests) {}

  // `deciding_since_us`: of a thread with commits, any thread may call.
  void Run(ThreadRunner::Loop loop, Work work, std::function<int64_t()> deciding_since_us = nullptr);

  // Returns where a stop is asked for or `done` is true (both OK), or with the error of a thread that has failed.
  // `done` is called between two looks at the threads, and must not block.
  absl::Status Watch(const std::function<bool()>& done);

  // Tells all threads to stop and returns when they have: `cause`, or the first error among theirs. `interrupt` is
  // called again and again for threads that wait for the outside while it takes longer than a moment. `exit_code`: what
  // the process ends with where none of them has an error, also at the deadline.
  absl::Status Stop(const absl::Status& cause, int exit_code, StopDeadline* deadline,
                    const std::function<void()>& interrupt);

  bool StopRequested() const { return stop_requests_ != nullptr && stop_requests_->load() > 0; }

 private:
  struct Thread {
    std::unique_ptr<ThreadRunner> runner;
    Work work;
    std::function<int64_t()> deciding_since_us;
    DecisionWatch decision;
  };

  // The names of threads of that kind that haven't ended, for a message; "" where all have.
  std::string Running(Work work) const;

  RunControl& control_;
  Clock& clock_;
  const std::atomic<int>* const stop_requests_;
  std::vector<Thread> threads_;
};

}  // namespace tidemark
