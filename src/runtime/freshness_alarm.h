// When the freshness of one sink or view raises alarms, and when they are over. Knows ages alone: no Kafka, no clock.
//
//   warn       the age has reached `warn`
//   predicted  it has reached half of `max`, and if it goes on growing as it did lately it reaches `max` within half of
//              `max`
//   breach     it has reached `max`
//
// An alarm that is raised is over when its condition has been gone by a distance (an age below 80% of what raised it),
// and for a while (a twentieth of `max`, two seconds at least), so that an age around a bound is one alarm. An age that
// is only a lower bound, because nothing has been confirmed since the process began, raises alarms and ends none.
//
// Used by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "src/plan/alarm_spec.h"

namespace tidemark {

enum class AlarmKind { kWarn, kPredicted, kBreach };
inline constexpr std::array<AlarmKind, 3> kAlarmKinds = {AlarmKind::kWarn, AlarmKind::kPredicted, AlarmKind::kBreach};
std::string_view AlarmName(AlarmKind kind);

class FreshnessAlarm {
 public:
  explicit FreshnessAlarm(const FreshnessSpec& spec) : spec_(spec) {}

  // The age at a time, both in microseconds; times never go back. `confirmed`: else it is a lower bound.
  void Observe(int64_t now_us, int64_t age_us, bool confirmed);

  // Since when it is raised, a time of Observe; nothing: it isn't.
  std::optional<int64_t> since(AlarmKind kind) const { return states_[static_cast<size_t>(kind)].since_us; }
  // It is known not to be raised: there was a confirmed age.
  bool known() const { return known_; }
  // By how the age has grown lately; 0: `max` is reached. Nothing: it doesn't grow, or isn't known for long enough.
  std::optional<int64_t> breach_in_us() const { return breach_in_us_; }

 private:
  struct State {
    std::optional<int64_t> since_us, gone_since_us;
  };
  void Judge(AlarmKind kind, int64_t now_us, bool holds, bool gone);
  void Predict(int64_t now_us, int64_t age_us);

  const FreshnessSpec spec_;
  std::array<State, kAlarmKinds.size()> states_;
  std::deque<std::pair<int64_t, int64_t>> ages_;  // (time, age), the newest last
  std::optional<int64_t> breach_in_us_;
  bool known_ = false;
};

}  // namespace tidemark
