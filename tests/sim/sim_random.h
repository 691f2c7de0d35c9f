// The simulator's only source of chance: the same seed gives the same run.
#pragma once

#include <cstdint>
#include <random>

namespace tidemark::sim {

class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : engine_(seed) {}

  // 0 .. n-1; n > 0.
  uint64_t Below(uint64_t n) { return engine_() % n; }
  bool Chance(double probability) {
    if (probability <= 0) return false;  // draws nothing, so that a fault that is off changes nothing
    return static_cast<double>(engine_() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tidemark::sim
