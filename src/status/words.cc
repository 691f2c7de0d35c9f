#include "src/status/words.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

namespace tidemark {

std::string Seconds(double s) {
  if (s < 9.5) return absl::StrFormat(s < 0.95 ? "%.1f s" : "%.0f s", s);
  if (s < 120) return absl::StrFormat("%.0f s", s);
  if (s < 7200) return absl::StrFormat("%.0f min", s / 60);
  return s < 172800 ? absl::StrFormat("%.0f h", s / 3600) : absl::StrFormat("%.0f d", s / 86400);
}

std::string Rate(double per_s) { return per_s > 0 && per_s < 9.5 ? absl::StrFormat("%.1f", per_s) : Count(per_s); }

std::string Percent(double share) { return absl::StrFormat("%.0f%%", share * 100); }

std::string UtcTime(double wall_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(static_cast<int64_t>(wall_ms)),
                          absl::UTCTimeZone());
}

}  // namespace tidemark
