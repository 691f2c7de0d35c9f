// Decides a commit when asked, or some asks later, and says so at once or later still: so rows of the next commit are
// processed both before and after the decision, and crashes fall between it and its becoming known. Nobody is to be
// woken, as nothing is decided while a Poll waits.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "src/runtime/decider.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

class SimDecider final : public Decider {
 public:
  // `undecided`: of the process, commits that nobody has begun to decide.
  SimDecider(SimRandom* random, int* undecided) : random_(random), undecided_(undecided) {}

  void Start(std::function<absl::Status()> decide, std::function<void()>) override {
    decide_ = std::move(decide);
    ++*undecided_;
  }

  std::optional<absl::Status> Wait(int64_t max_wait_us) override {
    const bool now = max_wait_us == kForever;
    if (decide_ != nullptr && (now || random_->Below(2) == 0)) {
      --*undecided_;
      verdict_ = std::exchange(decide_, nullptr)();
    }
    if (now || random_->Below(2) == 0) return std::exchange(verdict_, std::nullopt);
    return std::nullopt;
  }

 private:
  SimRandom* const random_;
  int* const undecided_;
  std::function<absl::Status()> decide_;
  std::optional<absl::Status> verdict_;
};

}  // namespace tidemark::sim
