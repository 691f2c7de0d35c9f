// The run of an application, as OpenLineage has runs: it begins with the first worker and ends with the last, however
// many come and go between. Workers agree on it by what each says in the status topic (live.proto), without a protocol:
//
//   listens --nobody has a run, for kListenUs--> has begun one: START
//      |                                            |
//      +--another has one: that one, silently       +--another has one that began before: ABORT, then that one
//
// Of those that have the same run the one whose name sorts first says every so often that it goes on (RUNNING), and who
// stops while nobody else has the run says how it has ended. So two workers that begin within the same seconds may tell
// of two runs, one of which is aborted, and two that stop so may both say that the run is complete: catalogues go by
// the run's id. A last worker that is killed says nothing; the next one begins another run.
//
// It decides only: no clock, no thread, no result depends on it. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/time.h"

namespace tidemark {

struct LineageEvent {
  const char* type = "RUNNING";  // START, RUNNING, COMPLETE, ABORT, FAIL
  int64_t wall_us = 0;
  std::string run;    // a UUID
  std::string error;  // of FAIL
};
// An event as JSON, in one line.
using LineageText = std::function<std::string(const LineageEvent&)>;

class LineageRun {
 public:
  static constexpr int64_t kListenUs = 3 * kSecond;

  struct Other {
    std::string worker, run;  // "": it has none (any more)
    double began_ms = 0;
  };

  // `new_run`: makes an id.
  LineageRun(std::string worker, int64_t every_us, std::function<std::string()> new_run)
      : worker_(std::move(worker)), every_us_(every_us), new_run_(std::move(new_run)) {}

  // What is to be told, now that these others are there.
  std::vector<LineageEvent> Step(int64_t monotonic_us, int64_t wall_us, const std::vector<Other>& others);
  // The same as the last thing: how this worker has ended.
  std::vector<LineageEvent> Finish(int64_t wall_us, const absl::Status& ended);

  // What the others are told.
  const std::string& run() const { return run_; }
  double began_ms() const { return began_ms_; }

 private:
  const std::string worker_;
  const int64_t every_us_;
  const std::function<std::string()> new_run_;
  std::vector<Other> others_;
  std::string run_;
  double began_ms_ = 0;
  bool own_ = false;         // this worker has told of its beginning
  int64_t listens_us_ = -1;  // monotonic; since when
  int64_t told_us_ = 0;      // monotonic; that the run goes on, or began
};

// A UUID of version 7: its time, then what is random.
std::string NewRunId(int64_t wall_us);

}  // namespace tidemark
