// How late a group is, in time, from committed positions and ends of logs alone: so long ago the logs ended where the
// group stands now. As precise as it is observed often. Used by one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "src/base/record.h"

namespace tidemark {

class LiveLag {
 public:
  // `ends`: that were asked for before `positions` were, at `now_us`.
  void Observe(int64_t now_us, const std::map<TopicPartition, Offset>& ends,
               const std::map<TopicPartition, Offset>& positions) {
    seen_.emplace_back(now_us, ends);
    while (!seen_.empty() && Reached(seen_.front().second, positions)) {
      reached_us_ = seen_.front().first;
      seen_.pop_front();
    }
    if (seen_.size() > kMost) seen_.erase(seen_.begin() + 1);  // the oldest says how late it is
    lag_us_ = seen_.empty() ? 0 : now_us - (reached_us_ >= 0 ? reached_us_ : seen_.front().first);
    known_ = known_ || reached_us_ >= 0;
  }

  int64_t lag_us() const { return lag_us_; }
  // It has been as far as the logs were at some time: before, lag_us is how long that has been waited for.
  bool known() const { return known_; }

 private:
  using Positions = std::map<TopicPartition, Offset>;
  static constexpr size_t kMost = 1'000;

  static bool Reached(const Positions& ends, const Positions& positions) {
    return std::all_of(ends.begin(), ends.end(), [&](const auto& end) {
      const auto at = positions.find(end.first);
      return end.second == 0 || (at != positions.end() && at->second >= end.second);
    });
  }

  std::deque<std::pair<int64_t, Positions>> seen_;
  int64_t reached_us_ = -1, lag_us_ = 0;
  bool known_ = false;
};

}  // namespace tidemark
