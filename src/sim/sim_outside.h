// The faults of what is not Kafka: a database, a lake. Every call may fail before or after its effect, and now and then
// the whole thing is away for a while.
#pragma once

#include <cstdint>

#include "src/sim/sim_clock.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

struct OutsideFaults {
  double failed = 0;       // of any call, before its effect
  double lost_answer = 0;  // of any call, after its effect: it has worked and says it hasn't
  double outage = 0;       // of any call: from it on everything fails for up to `outage_us`
  int64_t outage_us = 3'000'000;
};

class SimOutside {
 public:
  SimOutside(SimRandom* random, SimClock* clock) : random_(random), clock_(clock) {}

  OutsideFaults& faults() { return faults_; }
  // Nothing fails any more.
  void Heal() {
    faults_ = OutsideFaults();
    away_until_us_ = 0;
  }

  // Asked first and last in every call.
  bool FailsBefore() {
    if (clock_->MonotonicUs() < away_until_us_) return true;
    if (random_->Chance(faults_.outage)) {
      away_until_us_ = clock_->MonotonicUs() + static_cast<int64_t>(random_->Below(faults_.outage_us));
      return true;
    }
    return random_->Chance(faults_.failed);
  }
  bool FailsAfter() { return random_->Chance(faults_.lost_answer); }

 private:
  SimRandom* const random_;
  SimClock* const clock_;
  OutsideFaults faults_;
  int64_t away_until_us_ = 0;
};

}  // namespace tidemark::sim
