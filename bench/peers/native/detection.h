// A detection's five fields out of JSON, by hand: one pass, no allocation, fields in any order. Trusts the input to be
// the generator's: what isn't is an error, not a dead letter.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tidemark::bench {

struct ParsedDetection {
  int64_t location = -1, camera = -1, oid = -1, time_ms = -1;
  std::string_view location_text;  // its digits, which are the key of what goes out
  std::string_view item;
};

inline bool Parse(std::string_view json, ParsedDetection* out) {
  const char* at = json.data();
  const char* const end = at + json.size();
  const auto take = [&](char c) { return at < end && *at == c && (++at, true); };
  if (!take('{')) return false;
  int found = 0;
  do {
    if (!take('"')) return false;
    const auto* quote = static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
    if (quote == nullptr) return false;
    const std::string_view name(at, static_cast<size_t>(quote - at));
    at = quote + 1;
    if (!take(':')) return false;
    if (name == "item_name") {
      if (!take('"')) return false;
      quote = static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
      if (quote == nullptr) return false;
      out->item = {at, static_cast<size_t>(quote - at)};
      at = quote + 1;
      ++found;
      continue;
    }
    int64_t number = 0;
    const auto [stop, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return false;
    const std::string_view digits(at, static_cast<size_t>(stop - at));
    at = stop;
    ++found;
    if (name == "geographical_location_oid") {
      out->location = number;
      out->location_text = digits;
    } else if (name == "video_camera_oid") {
      out->camera = number;
    } else if (name == "detection_oid") {
      out->oid = number;
    } else if (name == "timestamp_detected") {
      out->time_ms = number;
    } else {
      --found;
    }
  } while (take(','));
  return found == 5 && take('}');
}

}  // namespace tidemark::bench
