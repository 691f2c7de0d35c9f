// How far time has come at an aggregation, as its state knows it, and what is over there (operators/horizon.h): the
// windows that end at the horizon or before have been emitted, as a whole or in part. Touched only by the stream
// thread.
//
// State key "w": the watermark. "e": the grace under which it has its horizon, 8 bytes; earlier versions wrote none.
#pragma once

#include <algorithm>
#include <cstdint>

#include <absl/status/status.h>

#include "operators/horizon.h"
#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

class WindowClock {
 public:
  // `grace_us` < 0: no windows, nothing is ever over.
  WindowClock(StateStore* store, int64_t grace_us)
      : store_(store), windows_(grace_us >= 0), horizon_(std::max<int64_t>(grace_us, 0)) {}

  absl::Status Load();
  EventTime time() const { return horizon_.time(); }
  EventTime over() const { return horizon_.over(); }
  // The watermark by which it is judged whether a window takes rows.
  EventTime judging() const { return horizon_.judging(); }
  void Advance(EventTime time) { horizon_.Advance(time); }
  // Writes what has changed.
  void Save();

 private:
  StateStore* const store_;
  const bool windows_;
  Horizon horizon_;
  EventTime stored_time_ = kMinTime;
  int64_t stored_grace_us_ = -1;  // under which the time stands in the state; -1: under none that is known
};

}  // namespace tidemark
