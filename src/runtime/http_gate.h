// Where bodies that clients post come in: any worker answers, whoever reads them afterwards (http_source.h).
//
// What is accepted is one record of the source's log of requests: the whole body, after each of its rows was decoded as
// the source will. One record is in or it isn't, so all rows of a body are; it is written by an idempotent producer
// with acks=all, and 202 is said when the brokers have acknowledged it. A transaction for each body would do the same
// and cost two round trips more; one for many would hold answers back until it ends, and an abort would take back what
// was good. Which of two requests with one key counts isn't decided here, where two workers may have them at once, but
// by the order of the log. So no request waits for another, no worker must be found or asked, and no rebalance is felt.
//
// What the law of exactly once asks:
//   nothing accepted is lost     202 comes after the acknowledgement, and the log isn't trimmed before its rows are in
//   nothing refused is in        4xx is said before anything is written; 503 only of what was certainly not written
//   no retry doubles             see http_source.h; 504 is said where the outcome isn't known, and asks for one
//
// Who posts with wait=committed is answered when the rows show (visible_waits.h), with 200; and with 202 where they
// don't in time: they are in all the same.
//
// Heads are looked at on the HTTP server's thread (HttpEntrance), bodies on one of the gate's own, so that the server
// answers probes at once whatever is posted; Done comes from the appender's. Open and Close: the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/clock.h"
#include "src/base/task_thread.h"
#include "src/codec/formats.h"
#include "src/http/server.h"
#include "src/kafka/appender.h"
#include "src/plan/plan.h"

namespace tidemark {

// What one source's door has answered, since the process began.
struct HttpGateStatus {
  std::string source;
  std::map<int, int64_t> answers;  // by status
  int64_t rows = 0;                // accepted
  int64_t waiting_bytes = 0;       // written, and not acknowledged yet
};

class HttpGate {
 public:
  // Runs a task, one at a time, in their order.
  using RunTask = std::function<void(std::function<void()> task)>;

  // Finds out when what stands at that place of a source's log of requests shows, until then (monotonic) at most.
  using AwaitVisible = std::function<void(const std::string& source, int32_t partition, Offset offset, int64_t until_us,
                                          std::function<void(bool visible)> done)>;

  // All outlive it. `run`: for bodies, a thread of the gate's own if it is null.
  HttpGate(const Plan& plan, const Formats& formats, Clock* clock, RunTask run = nullptr);
  // Behind the server that has its Entrances.
  ~HttpGate();

  // Reads the files of tokens. InvalidArgument: one can't be read; or anybody could post, as a source has no tokens and
  // the address isn't this machine's own.
  absl::Status Prepare(const std::string& http_address);
  HttpEntrances Entrances();
  // What bodies may take while they are on their way: of the budget of the process, and never less than two need.
  int64_t most_body_bytes() const;
  // The topics are there: from now on bodies are accepted. `await` outlives this; null: nobody is waited for.
  void Open(std::unique_ptr<Appender> appender, AwaitVisible await = nullptr);
  // Nothing is accepted any more; what is under way gets its answer, for as long as that takes at most.
  void Close(int64_t max_wait_us);

  // Any thread.
  std::vector<HttpGateStatus> status() const;

 private:
  struct Door;

  const int64_t memory_bytes_;
  absl::Status prepared_;  // of the doors
  std::vector<std::shared_ptr<Door>> doors_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<Appender> appender_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<TaskThread> thread_;  // null: `run` was given
  RunTask run_;
};

}  // namespace tidemark
