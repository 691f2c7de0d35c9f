#include "src/runtime/commit_pace.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tidemark {
namespace {

constexpr double kShareOfCatchingUp = 0.25;

}  // namespace

void CommitPace::Reset() {
  inputs_.clear();
  interval_us_ = commit_interval_us_;
}

void CommitPace::Observe(int64_t now_us, std::vector<Input> inputs) {
  const auto elapsed_us = static_cast<double>(now_us - observed_us_);
  double catching_up_us = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const auto read = static_cast<double>(inputs[i].position - inputs_[i].position);
    const auto left = static_cast<double>(std::max<Offset>(0, inputs[i].end - inputs[i].position));
    if (read > 0) catching_up_us = std::min(catching_up_us, left * elapsed_us / read);
  }
  const int64_t longest_us = std::max(commit_interval_us_, kLongestUs);
  const bool known = catching_up_us < std::numeric_limits<double>::infinity();
  const double wanted_us = known ? std::min(kShareOfCatchingUp * catching_up_us, static_cast<double>(longest_us)) : 0;
  interval_us_ = std::max(commit_interval_us_, static_cast<int64_t>(wanted_us));
  inputs_ = std::move(inputs);
  observed_us_ = now_us;
}

}  // namespace tidemark
