// How far time has come at an aggregation, as its state knows it. What was over stays over, also where a topology with
// more grace goes on with the state: it has been emitted, as a whole or in part, and what was in it is gone. Touched
// only by the stream thread.
//
// State key "w": the watermark. "e": the grace under which it was stored, 8 bytes; earlier versions wrote none.
#pragma once

#include <absl/status/status.h>

#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

class WindowClock {
 public:
  // `grace_us` < 0: no windows, nothing is ever over.
  WindowClock(StateStore* store, int64_t grace_us) : store_(store), grace_us_(grace_us) {}

  absl::Status Load();
  EventTime time() const { return time_; }
  void Advance(EventTime time) {
    if (time_ < time) time_ = time;
  }
  // Writes what has changed.
  void Save();

 private:
  StateStore* const store_;
  const int64_t grace_us_;
  EventTime time_ = kMinTime, stored_time_ = kMinTime;
  int64_t stored_grace_us_ = -1;  // under which the time stands in the state; -1: under none that is known
};

}  // namespace tidemark
