// The simulator's only source of chance: the same seed gives the same run.
#pragma once

#include <cstdint>
#include <random>

#include "src/sim/sim_digest.h"

namespace tidemark::sim {

class SimRandom {
 public:
  // `digest`, where there is one, hears of every draw and outlives this.
  explicit SimRandom(uint64_t seed, SimDigest* digest = nullptr) : engine_(seed), digest_(digest) {}

  // 0 .. n-1; n > 0.
  uint64_t Below(uint64_t n) { return Draw() % n; }
  bool Chance(double probability) {
    if (probability <= 0) return false;  // draws nothing, so that a fault that is off changes nothing
    return static_cast<double>(Draw() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  uint64_t Draw() {
    const uint64_t drawn = engine_();
    if (digest_ != nullptr) digest_->Add(drawn);
    return drawn;
  }

  std::mt19937_64 engine_;
  SimDigest* const digest_;
};

}  // namespace tidemark::sim
