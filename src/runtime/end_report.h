// What a run to the end (--until_end) tells on standard output: a line of progress a second, and at the end the ledger
// and what became of open windows. Used by the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "src/runtime/end_watcher.h"
#include "src/runtime/worker_status.h"

namespace tidemark {

// "progress 100 of 100 records, 5 records/s; waiting for sink lake: 12 records of its feed (s3: timed out)".
// `elapsed_us`: since the first line.
std::string ProgressLine(const EndProgress& progress, const WorkerStatus& status, int64_t elapsed_us);

class EndReport {
 public:
  using Say = std::function<void(const std::string&)>;

  // `say` may be empty: then nothing is told.
  EndReport(Say say, bool close_windows) : say_(std::move(say)), close_windows_(close_windows) {}

  // At most a line a second.
  void Progress(const EndProgress& progress, const std::function<WorkerStatus()>& status, int64_t now_us);
  // `done`: all was processed. Else the run was told to stop before.
  void Final(const WorkerStatus& status, bool done) const;

 private:
  const Say say_;
  const bool close_windows_;
  int64_t next_us_ = 0, first_us_ = 0;  // monotonic
};

}  // namespace tidemark
