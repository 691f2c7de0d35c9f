// Where a thread's time goes, by activity: what a page or an alert says of it ("PostgreSQL COMMIT takes 78% of its
// time") is measured here. A switch reads the clock once, so it belongs around batches, calls and commits, not rows.
//
// One thread switches, any thread may read.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"

namespace tidemark {

class TimeSpent {
 public:
  struct Share {
    std::string activity;
    int64_t us = 0;  // since the object was made
  };

  // The thread does `names[0]` at first. `clock` outlives this.
  TimeSpent(Clock* clock, std::vector<std::string> names)
      : clock_(clock), names_(std::move(names)), us_(names_.size()), since_us_(clock->MonotonicUs()) {}

  // From now on the thread does this. Returns what it has done until now.
  size_t Switch(size_t activity) {
    const int64_t now = clock_->MonotonicUs();
    const size_t before = doing_.load(std::memory_order_relaxed);
    const int64_t took = now - since_us_.load(std::memory_order_relaxed);
    // A reader takes the sums first: it may miss what is being switched from, and never counts it twice.
    since_us_.store(now, std::memory_order_release);
    doing_.store(activity, std::memory_order_release);
    us_[before].store(us_[before].load(std::memory_order_relaxed) + took, std::memory_order_release);
    return before;
  }

  // Any thread. By activity, with what is being done up to now.
  std::vector<Share> Get() const {
    std::vector<Share> shares;
    for (size_t i = 0; i < names_.size(); ++i) shares.push_back({names_[i], us_[i].load(std::memory_order_acquire)});
    const int64_t since = since_us_.load(std::memory_order_acquire);
    Share& doing = shares[doing_.load(std::memory_order_acquire)];
    const int64_t now = clock_->MonotonicUs();
    if (now > since) doing.us += now - since;
    return shares;
  }

  // An activity for the length of a scope; behind it the thread does what it did before. `spent` may be null: nobody
  // measures.
  class Doing {
   public:
    Doing(TimeSpent* spent, size_t activity) : spent_(spent), before_(spent == nullptr ? 0 : spent->Switch(activity)) {}
    ~Doing() {
      if (spent_ != nullptr) spent_->Switch(before_);
    }
    Doing(const Doing&) = delete;
    Doing& operator=(const Doing&) = delete;

   private:
    TimeSpent* const spent_;
    const size_t before_;
  };

 private:
  Clock* const clock_;
  const std::vector<std::string> names_;
  std::vector<std::atomic<int64_t>> us_;
  std::atomic<int64_t> since_us_;
  std::atomic<size_t> doing_{0};
};

}  // namespace tidemark
