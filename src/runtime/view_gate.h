// Where views are asked (docs/views.md): GET /v1/views/NAME and POST /v1/views/NAME/query, and followed by
// GET /v1/views/NAME/changes (view_stream.h). Who may, what was asked, how
// long one waits for a position, and the answer with what it is of. Every worker answers everything from the rows that
// its readers hold (view_reader.h), so no request waits for another worker, for a broker or for a task.
//
// Heads are looked at on the HTTP server's thread, answers are computed by threads of the gate's own, a few at a time;
// more than so many questions under way are told 429. Constructor, Prepare, Entrances and Open: the main thread.
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
#include "src/http/server.h"
#include "src/kafka/appender.h"
#include "src/plan/plan.h"
#include "src/runtime/view_reader.h"

namespace tidemark {

// What one view has answered here since the process began.
struct ViewGateStatus {
  std::string view;
  std::map<int, int64_t> answers;  // by status
  int64_t rows = 0;                // that were told
  int64_t followers = 0;           // streams of changes that are open
  int64_t unaudited = 0;           // requests whose audit record the brokers didn't take in time
};

class ViewGate {
 public:
  // `plan` and `clock` outlive it. `run`: computes answers; threads of the gate's own if it is null.
  using RunTask = std::function<void(std::function<void()> task)>;
  ViewGate(const Plan& plan, Clock* clock, RunTask run = nullptr);
  // Behind the server that has its Entrances.
  ~ViewGate();

  // Reads the files of tokens. InvalidArgument: one can't be read; or anybody could ask, as a view has no tokens and
  // the address isn't this machine's own.
  absl::Status Prepare(const std::string& http_address);
  HttpEntrances Entrances();
  // From now on the readers' rows are told. `audit` writes audit records; null where no view has any.
  void Open(const std::vector<std::shared_ptr<ViewReader>>& readers, std::unique_ptr<Appender> audit = nullptr);
  // Nothing is answered any more; who waits for a position is told so. Audit records are waited for, so long at most.
  void Close(int64_t max_wait_us = 0);

  // Any thread.
  std::vector<ViewGateStatus> status() const;

 private:
  struct Door;

  std::vector<std::shared_ptr<Door>> doors_;
  std::vector<std::shared_ptr<ViewReader>> readers_;
  std::shared_ptr<Appender> audit_;  // shared with the doors
  RunTask run_;
  std::unique_ptr<TaskThread> threads_;  // null: `run` was given
};

}  // namespace tidemark
