#include "src/base/timestamp_format.h"

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

// absl's %Y takes as many digits as there are, so that "%Y%m%d" couldn't be read; years have four here.
std::string WithFourDigits(std::string_view format) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    const bool letter = format[i] == '%' && i + 1 < format.size();
    if (!letter) {
      out += format[i];
    } else if (format[i + 1] == 'Y') {
      out += "%E4Y";
      ++i;
    } else {
      out += format.substr(i++, 2);
    }
  }
  return out;
}

// absl has %z with an offset as "+03", "+0300" or "+03:00" by many names; %s are seconds since 1970.
bool HasOffset(std::string_view format) {
  for (size_t i = 0; i + 1 < format.size(); ++i) {
    if (format[i] != '%') continue;
    std::string_view letter = format.substr(++i);
    if (letter[0] == 's') return true;
    if (letter.starts_with("E*")) letter.remove_prefix(2);
    if (letter.starts_with("E")) letter.remove_prefix(1);
    while (letter.starts_with(':')) letter.remove_prefix(1);
    if (letter.starts_with('z')) return true;
  }
  return false;
}

}  // namespace

TimestampFormat::TimestampFormat(const std::string& format, absl::TimeZone zone)
    : absl_format_(WithFourDigits(format)), zone_(zone), has_offset_(HasOffset(format)) {}

absl::StatusOr<TimestampFormat> TimestampFormat::Make(const std::string& format, const std::string& zone) {
  absl::TimeZone found = absl::UTCTimeZone();
  if (!zone.empty() && !absl::LoadTimeZone(zone, &found)) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no time zone '", zone, "' (names are such as Asia/Damascus)"));
  }
  TimestampFormat made(format, found);
  // What it writes it has to read back, to the day at least; a day above 12, so that day and month can't be one.
  const absl::Time sample = absl::FromCivil(absl::CivilSecond(2026, 3, 24, 15, 6, 7), absl::UTCTimeZone());
  const std::optional<int64_t> back = made.Parse(absl::FormatTime(made.absl_format_, sample, found));
  const int64_t day_us = int64_t{86'400} * 1'000'000;
  if (!back || *back > absl::ToUnixMicros(sample) + day_us || *back < absl::ToUnixMicros(sample) - day_us) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", format, "' doesn't tell day, month and year; a format is such as '%d/%m/%Y %H:%M'"));
  }
  return made;
}

std::optional<int64_t> TimestampFormat::Parse(std::string_view text) const {
  absl::Time time;
  std::string error;
  const absl::TimeZone utc = absl::UTCTimeZone();
  if (!absl::ParseTime(absl_format_, absl::string_view(text.data(), text.size()), utc, &time, &error))
    return std::nullopt;
  // absl's own words for times without end.
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) return std::nullopt;
  if (!has_offset_ && zone_ != utc) {
    const auto local = utc.At(time);
    const auto there = zone_.At(local.cs);
    time = (there.kind == absl::TimeZone::TimeInfo::REPEATED ? there.post : there.pre) + local.subsecond;
  }
  // Beyond 64 bits of microseconds.
  const int64_t us = absl::ToUnixMicros(time);
  if (us == INT64_MAX || us == INT64_MIN) return std::nullopt;
  return us;
}

}  // namespace tidemark
