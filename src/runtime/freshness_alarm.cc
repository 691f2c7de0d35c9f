#include "src/runtime/freshness_alarm.h"

#include <algorithm>

#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr int64_t kShortestHoldUs = 2 * kSecond;
constexpr int64_t kShortestLookUs = 3 * kSecond, kLongestLookUs = 300 * kSecond;
constexpr size_t kMostAges = 4096;

}  // namespace

std::string_view AlarmName(AlarmKind kind) {
  switch (kind) {
    case AlarmKind::kWarn:
      return "warn";
    case AlarmKind::kPredicted:
      return "predicted";
    case AlarmKind::kBreach:
      break;
  }
  return "breach";
}

void FreshnessAlarm::Observe(int64_t now_us, int64_t age_us, bool confirmed) {
  known_ = known_ || confirmed;
  Predict(now_us, age_us);
  const auto below = [&](int64_t bound_us) { return confirmed && age_us < bound_us / 10 * 8; };
  Judge(AlarmKind::kWarn, now_us, age_us >= spec_.warn_us, below(spec_.warn_us));
  Judge(AlarmKind::kBreach, now_us, age_us >= spec_.max_us, below(spec_.max_us));
  const bool comes = age_us >= spec_.max_us / 2 && breach_in_us_ && *breach_in_us_ <= spec_.max_us / 2;
  Judge(AlarmKind::kPredicted, now_us, comes, below(spec_.max_us / 2) || (confirmed && !breach_in_us_));
}

void FreshnessAlarm::Judge(AlarmKind kind, int64_t now_us, bool holds, bool gone) {
  State& state = states_[static_cast<size_t>(kind)];
  if (!state.since_us) {
    if (holds) state = {now_us, std::nullopt};
    return;
  }
  if (holds || !gone) {
    state.gone_since_us.reset();
    return;
  }
  if (!state.gone_since_us) state.gone_since_us = now_us;
  if (now_us - *state.gone_since_us >= std::max(kShortestHoldUs, spec_.max_us / 20)) state = {};
}

// The slope between now and a tenth of `max` ago.
void FreshnessAlarm::Predict(int64_t now_us, int64_t age_us) {
  const int64_t look_us = std::clamp(spec_.max_us / 10, kShortestLookUs, kLongestLookUs);
  ages_.emplace_back(now_us, age_us);
  while (ages_.size() > 2 && (ages_[1].first <= now_us - look_us || ages_.size() > kMostAges)) ages_.pop_front();
  breach_in_us_.reset();
  const auto [then_us, age_then_us] = ages_.front();
  if (age_us >= spec_.max_us) {
    breach_in_us_ = 0;
  } else if (now_us - then_us >= look_us / 2 && age_us > age_then_us) {
    const double slope = static_cast<double>(age_us - age_then_us) / static_cast<double>(now_us - then_us);
    if (slope > 0.02) breach_in_us_ = static_cast<int64_t>(static_cast<double>(spec_.max_us - age_us) / slope);
  }
}

}  // namespace tidemark
