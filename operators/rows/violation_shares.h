// How large a share of the rows breaks a rule of an expect step, in each stretch of event time, and whether that is
// more than the rule allows (`at_most: 1% per 5m`).
//
// A row belongs to the stretch of its time or, where that is over by the row's own watermark, to the one of that
// watermark. So which rows a stretch has follows from the topic's contents alone; it is judged when the operator's
// watermark reaches its end, as nothing that belongs to it can come any more. (Rows of a partition that comes back from
// idle may: they belong to the oldest stretch that isn't judged, also after a start.) A stretch that has too many ends
// the run, and does so again after every start, as its counts and its rows are the same then.
//
// State: a key for each stretch that isn't judged, by rule and by the stretch's length, so that another `at_most` of
// the rule begins anew; and one for how far the rule was judged. Written at commits only. Used by the task's stream
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "operators/rows/spec.h"
#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

class ViolationShares {
 public:
  // `rules` of the step, at least one with a share.
  explicit ViolationShares(const std::vector<ExpectSpec::Rule>& rules);

  absl::Status Open(StateStore* store);

  // A row was held against the rule of this number, which has a share. `watermark`: its own, kMinTime where it is never
  // late.
  void Count(size_t rule, EventTime time, EventTime watermark, bool broken);
  // Stretches that end at `time` or before are over. FailedPrecondition: one has more than its share.
  absl::Status Judge(EventTime time);
  void Commit();

 private:
  struct Stretch {
    int64_t rows = 0, broken = 0;
    bool changed = false;  // since the last commit
  };
  struct Share {
    ExpectSpec::Rule rule;
    std::string prefix;                         // of its keys
    std::map<int64_t, Stretch> stretches = {};  // by their beginning, those that aren't judged
    int64_t judged_until = kMinTime.us;         // the beginning of the oldest that may still get rows
    int64_t kept_until = kMinTime.us;           // what the state has of it
    // Where the last row went: mostly the next one goes there too.
    int64_t last_begin = 0;
    Stretch* last = nullptr;
  };

  absl::Status JudgeStretches(EventTime time);
  std::string Excess(const Share& share, int64_t begin, const Stretch& stretch) const;

  std::vector<Share> shares_;
  std::vector<Share*> by_rule_;       // null: the rule has none
  EventTime next_ = kMinTime;         // no stretch ends before
  std::vector<std::string> deleted_;  // keys, at the next commit
  StateStore* store_ = nullptr;
};

}  // namespace tidemark
