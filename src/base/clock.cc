#include "src/base/clock.h"

#include <chrono>

namespace tidemark {
namespace {

class MachineClock final : public Clock {
 public:
  int64_t WallUs() override { return Microseconds(std::chrono::system_clock::now().time_since_epoch()); }
  int64_t MonotonicUs() override { return Microseconds(std::chrono::steady_clock::now().time_since_epoch()); }

 private:
  template <typename Duration>
  static int64_t Microseconds(Duration d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  }
};

}  // namespace

Clock* SystemClock() {
  static MachineClock clock;
  return &clock;
}

}  // namespace tidemark
