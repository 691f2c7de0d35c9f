// Timestamps as people write them: a text in a stated format ("%d/%m/%Y %H:%M"), read as local time of a zone.
// Immutable once made; any thread may parse.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace tidemark {

class TimestampFormat {
 public:
  // `format`: strptime's letters (%Y are four digits) and those of absl::ParseTime (%E*S seconds with a fraction, %Ez
  // an offset with a colon). `zone`: a name such as Asia/Damascus; empty: UTC. InvalidArgument: a format that day,
  // month and year can't be read from, or a zone that isn't known.
  static absl::StatusOr<TimestampFormat> Make(const std::string& format, const std::string& zone);

  // Microseconds since the epoch; nothing where the text isn't written so. An offset in the text counts before the
  // zone. A local time that a change of clocks skips counts as before the change; of one that it repeats, the later
  // one: as AT TIME ZONE has it (src/expr/time_zone.h). What is finer than microseconds is cut off towards the past.
  std::optional<int64_t> Parse(std::string_view text) const;

 private:
  TimestampFormat(const std::string& format, absl::TimeZone zone);

  std::string absl_format_;
  absl::TimeZone zone_;
  bool has_offset_ = false;  // the texts have one
};

}  // namespace tidemark
