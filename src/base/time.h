// Event time and durations. Inside Tidemark every point in time is a whole number of microseconds since the Unix epoch
// (UTC), whatever form the source wrote it in; every duration is a whole number of microseconds.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace tidemark {

// A point in event time. A type of its own, so that it is never mixed with an offset or with the wall clock.
struct EventTime {
  int64_t us = 0;

  friend constexpr auto operator<=>(EventTime, EventTime) = default;
};

// "Nothing is known yet" and "nothing will ever come": the ends of the watermark's range.
inline constexpr EventTime kMinTime{std::numeric_limits<int64_t>::min()};
inline constexpr EventTime kMaxTime{std::numeric_limits<int64_t>::max()};

// Saturating arithmetic: adding to minus or plus infinity stays there, and nothing wraps.
constexpr EventTime operator+(EventTime t, int64_t duration_us) {
  if (t == kMinTime || t == kMaxTime) return t;
  int64_t sum = 0;
  if (__builtin_add_overflow(t.us, duration_us, &sum)) return duration_us < 0 ? kMinTime : kMaxTime;
  return EventTime{sum};
}
constexpr EventTime operator-(EventTime t, int64_t duration_us) {
  if (t == kMinTime || t == kMaxTime) return t;
  int64_t diff = 0;
  if (__builtin_sub_overflow(t.us, duration_us, &diff)) return duration_us < 0 ? kMaxTime : kMinTime;
  return EventTime{diff};
}

// The start of the bucket of `width_us` that `t` lies in, by floor division, so that times before 1970 fall where
// times after it would. `width_us` > 0.
constexpr EventTime FloorTo(EventTime t, int64_t width_us) {
  int64_t rest = t.us % width_us;
  if (rest < 0) rest += width_us;
  return t - rest;
}

inline constexpr int64_t kMillisecond = 1'000;
inline constexpr int64_t kSecond = 1'000'000;

}  // namespace tidemark
