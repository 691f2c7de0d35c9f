// Time zones by their name in the tz database of the machine, as Abseil reads it (/usr/share/zoneinfo, or where TZDIR
// says). A local time is what a clock there shows, as microseconds since 1970 on that clock. Immutable, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

namespace tidemark::internal {

class TimeZone {
 public:
  // Nothing where there is no such zone. Abbreviations (CET, PST) aren't names: they say an offset, not a place.
  static std::optional<TimeZone> Find(std::string_view name);

  // The microseconds that a clock there is ahead of UTC at a point in time.
  int64_t OffsetAt(int64_t us) const;
  // Nothing beyond the range of time.
  std::optional<int64_t> ToLocal(int64_t us) const;
  // A time that a clock skips, in spring, counts as before the change; of one that it shows twice, the later one.
  std::optional<int64_t> FromLocal(int64_t local) const;
  // The first point in time at which a clock there shows this local time or, where it skips that, a later one; beyond
  // the range of time its end.
  int64_t FirstAt(int64_t local) const;

 private:
  explicit TimeZone(absl::TimeZone zone) : zone_(zone) {}

  absl::TimeZone zone_;
};

}  // namespace tidemark::internal
