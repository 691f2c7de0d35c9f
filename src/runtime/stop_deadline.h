// Bounds how long a worker takes to stop, whatever brokers, databases and client libraries do: a stop that isn't over
// after so long ends the process, as a crash would. What isn't committed by then is left to the brokers' fencing
// and processed again at the next start.
//
// Made before the first call that may wait for somebody, and destroyed when all has been let go. Has a thread of its
// own, since the main thread joins others and closes stores meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/time.h"

namespace tidemark {

class StopDeadline {
 public:
  // The process is gone within `within_us` of the first stop request, or of Begin; a little of that is for it to end
  // in. `requests` may be null: there are none.
  StopDeadline(const std::atomic<int>* requests, int64_t within_us);
  ~StopDeadline();  // the stop is over

  StopDeadline(const StopDeadline&) = delete;
  StopDeadline& operator=(const StopDeadline&) = delete;

  // Any thread: the stop begins, for another reason than a request.
  void Begin() { begun_ = true; }
  // What a process that ends at the deadline says it was waiting for, and why it stops (OK: it was told to); and its
  // exit code.
  void Expect(std::string waits_for, const absl::Status& cause, int exit_code);

 private:
  void Run();
  [[noreturn]] void EndProcess();

  const std::atomic<int>* const requests_;
  const int64_t longest_us_;
  std::atomic<bool> begun_{false}, over_{false};
  absl::Mutex mutex_;
  std::string waits_for_ ABSL_GUARDED_BY(mutex_);
  absl::Status cause_ ABSL_GUARDED_BY(mutex_);
  int exit_code_ ABSL_GUARDED_BY(mutex_) = 1;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace tidemark
