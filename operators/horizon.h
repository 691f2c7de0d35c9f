// How far time has come at an operator with a grace, and what is over there: what lies before the horizon, the
// watermark less the grace. A value, derived from what has come and from state.
//
// What was over stays over where a topology goes on with more grace: it has been emitted, and what it was made of is
// gone. So the horizon then stands until the watermark less the new grace has come to it. It judges rows. The watermark
// goes its own way: what is reached, what is kept longer than the grace and the output go by that.
//
// In state stand the watermark and the grace under which it has this horizon.
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/base/time.h"

namespace tidemark {

class Horizon {
 public:
  explicit Horizon(int64_t grace_us) : grace_us_(grace_us) {}

  // As they stand in state.
  void Restore(EventTime time, int64_t under_grace_us) {
    over_ = time - under_grace_us;
    Advance(time);
  }
  void Advance(EventTime time) {
    time_ = std::max(time_, time);
    over_ = std::max(over_, time_ - grace_us_);
  }

  EventTime time() const { return time_; }
  EventTime over() const { return over_; }  // at most time()
  // The watermark that has this horizon under the present grace: time(), or later where more was over already.
  EventTime judging() const { return std::max(time_, over_ + grace_us_); }
  int64_t under_grace_us() const { return over_ == time_ - grace_us_ ? grace_us_ : time_.us - over_.us; }

 private:
  int64_t grace_us_;
  EventTime time_ = kMinTime, over_ = kMinTime;
};

}  // namespace tidemark
