// Time that the runtime acts on. A parameter everywhere, so that the simulator owns it.
#pragma once

#include <cstdint>

namespace tidemark {

// Any thread may call.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall clock, microseconds since the epoch: record timestamps, `max_age`, logs.
  virtual int64_t WallUs() = 0;
  // Monotonic, microseconds since some start: deadlines and intervals.
  virtual int64_t MonotonicUs() = 0;
};

// The machine's clocks. Lives as long as the process.
Clock* SystemClock();

}  // namespace tidemark
