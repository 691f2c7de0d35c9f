// Simulated time: stands still until somebody advances it. Wall and monotonic time are the same but for their origin.
// One thread.
#pragma once

#include <cstdint>

#include "src/base/clock.h"
#include "src/sim/sim_digest.h"

namespace tidemark::sim {

class SimClock : public Clock {
 public:
  static constexpr int64_t kWallStartUs = 1'700'000'000'000'000;

  // `digest`, where there is one, hears of every reading and outlives this.
  explicit SimClock(SimDigest* digest = nullptr, int64_t wall_start_us = kWallStartUs)
      : digest_(digest), wall_start_us_(wall_start_us) {}

  int64_t WallUs() override { return wall_start_us_ + MonotonicUs(); }
  int64_t MonotonicUs() override {
    if (digest_ != nullptr) digest_->Add(static_cast<uint64_t>(now_us_));
    return now_us_;
  }
  void Advance(int64_t us) { now_us_ += us; }

 private:
  SimDigest* const digest_;
  const int64_t wall_start_us_;
  int64_t now_us_ = 0;
};

}  // namespace tidemark::sim
