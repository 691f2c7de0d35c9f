// How long a stream thread gathers rows for a commit. That is the topology's commit_interval, unless the thread is
// behind: a commit costs the same whether it carries ten rows or a hundred thousand, partial aggregates add up what one
// commit holds, and a row at the end of a backlog waits for all that stands before it anyway. So the interval is
// stretched to a quarter of the time that the backlog takes to be read at the present rate, never beyond three seconds:
// what is read last becomes visible at most a quarter later than it would have.
//
// The input that catches up first decides, as its rows are the ones that would wait; inputs that bring nothing don't
// count. Kept by one stream thread.
#pragma once

#include <cstdint>
#include <vector>

#include "src/base/record.h"
#include "src/base/time.h"

namespace tidemark {

class CommitPace {
 public:
  static constexpr int64_t kLongestUs = 3 * kSecond;

  // A source partition: the position in it, and its end as far as known; -1: not known.
  struct Input {
    Offset position = 0;
    Offset end = -1;
  };

  explicit CommitPace(int64_t commit_interval_us)
      : commit_interval_us_(commit_interval_us), interval_us_(commit_interval_us) {}

  // From the first row that a commit takes to its beginning, in microseconds.
  int64_t interval_us() const { return interval_us_; }

  // Whether it is stretched.
  bool Behind() const { return interval_us_ > commit_interval_us_; }

  // Other inputs, or a thread that has done something else meanwhile.
  void Reset();
  // At the beginning of each commit, with the same inputs in the same order every time. `now_us`: monotonic.
  void Observe(int64_t now_us, std::vector<Input> inputs);

 private:
  const int64_t commit_interval_us_;
  int64_t interval_us_;
  int64_t observed_us_ = 0;
  std::vector<Input> inputs_;  // when that was; empty after Reset
};

}  // namespace tidemark
