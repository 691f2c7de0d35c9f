#include "src/expr/time_zone.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include <absl/strings/ascii.h>
#include <absl/time/civil_time.h>

#include "src/expr/calendar.h"

namespace tidemark::internal {
namespace {

// Names of the database that PostgreSQL takes for abbreviations, of fixed offsets, before it looks there.
constexpr std::string_view kAbbreviations[] = {"CET", "EET", "EST", "HST", "MET", "MST", "WET"};

// A name, not a path or one of Abseil's own spellings.
bool IsName(std::string_view name) {
  if (name.empty() || name.size() > 64 || !absl::ascii_isupper(name[0]) || name.starts_with("Fixed/")) return false;
  if (std::find(std::begin(kAbbreviations), std::end(kAbbreviations), name) != std::end(kAbbreviations)) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '/' || c == '_' || c == '-' || c == '+'; });
}

}  // namespace

std::optional<TimeZone> TimeZone::Find(std::string_view name) {
  absl::TimeZone zone;
  if (!IsName(name) || !absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
  return TimeZone(zone);
}

int64_t TimeZone::OffsetAt(int64_t us) const {
  return zone_.At(absl::FromUnixSeconds(FloorDiv(us, kUsPerSecond))).offset * kUsPerSecond;
}

std::optional<int64_t> TimeZone::ToLocal(int64_t us) const {
  int64_t local = 0;
  if (__builtin_add_overflow(us, OffsetAt(us), &local)) return std::nullopt;
  return local;
}

std::optional<int64_t> TimeZone::FromLocal(int64_t local) const {
  const int64_t seconds = FloorDiv(local, kUsPerSecond);
  const auto info = zone_.At(absl::CivilSecond(1970, 1, 1) + seconds);
  const absl::Time point = info.kind == absl::TimeZone::TimeInfo::REPEATED ? info.post : info.pre;
  int64_t us = 0;
  if (__builtin_sub_overflow(local, (seconds - absl::ToUnixSeconds(point)) * kUsPerSecond, &us)) return std::nullopt;
  return us;
}

int64_t TimeZone::FirstAt(int64_t local) const {
  const int64_t seconds = FloorDiv(local, kUsPerSecond);
  const auto info = zone_.At(absl::CivilSecond(1970, 1, 1) + seconds);
  const bool skipped = info.kind == absl::TimeZone::TimeInfo::SKIPPED;
  const int64_t point = absl::ToUnixSeconds(skipped ? info.trans : info.pre);
  int64_t us = 0;
  if (__builtin_mul_overflow(point, kUsPerSecond, &us) ||
      __builtin_add_overflow(us, skipped ? 0 : local - seconds * kUsPerSecond, &us)) {
    return point < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
  return us;
}

}  // namespace tidemark::internal
