// Simulated time: stands still until somebody advances it. Wall and monotonic time are the same but for their origin.
#pragma once

#include <cstdint>

#include "src/base/clock.h"

namespace tidemark::sim {

class SimClock : public Clock {
 public:
  explicit SimClock(int64_t wall_start_us = 1'700'000'000'000'000) : wall_start_us_(wall_start_us) {}

  int64_t WallUs() override { return wall_start_us_ + now_us_; }
  int64_t MonotonicUs() override { return now_us_; }
  void Advance(int64_t us) { now_us_ += us; }

 private:
  const int64_t wall_start_us_;
  int64_t now_us_ = 0;
};

}  // namespace tidemark::sim
