#include "src/cli/reset_flags.h"

#include <optional>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "src/base/status.h"
#include "src/base/whole_file.h"
#include "src/plan/units.h"

namespace tidemark {

absl::StatusOr<ResetTo> ResetPlace(const ResetFlags& flags) {
  const int stated =
      flags.earliest + flags.latest + !flags.timestamp.empty() + !flags.offsets.empty() + !flags.shift_by.empty();
  if (stated != 1) {
    return absl::InvalidArgumentError(
        "say where to begin by one of --to_earliest, --to_latest, --to_timestamp, --to_offsets and --shift_by");
  }
  ResetTo to;
  if (flags.latest) to.at = ResetTo::At::kLatest;
  if (!flags.timestamp.empty()) {
    to.at = ResetTo::At::kTime;
    absl::Time time;
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, flags.timestamp, &time, &error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--to_timestamp: expected a time such as 2026-01-01T00:00:00Z, found '", flags.timestamp, "'"));
    }
    to.timestamp_ms = absl::ToUnixMillis(time);
  }
  if (!flags.shift_by.empty()) {
    to.at = ResetTo::At::kBack;
    const std::optional<int64_t> back =
        flags.shift_by[0] == '-' ? ParseDuration(std::string_view(flags.shift_by).substr(1)) : std::nullopt;
    if (!back || *back <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("--shift_by: expected how far back, such as -1h or -7d, found '",
                                                     flags.shift_by, "'; what lies ahead isn't skipped"));
    }
    to.back_us = *back;
  }
  if (!flags.offsets.empty()) {
    to.at = ResetTo::At::kOffsets;
    TM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(flags.offsets));
    absl::StatusOr<std::map<TopicPartition, Offset>> offsets = ParseResetOffsets(text);
    if (!offsets.ok()) return Annotate(offsets.status(), flags.offsets);
    to.offsets = *std::move(offsets);
  }
  return to;
}

}  // namespace tidemark
