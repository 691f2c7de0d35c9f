// Durations and sizes as a topology file writes them: "100ms", "5s", "10m", "1h", "1d"; "64KiB", "128MiB", "2GiB".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

// Microseconds; nothing where the text isn't a whole number with a unit, or doesn't fit.
std::optional<int64_t> ParseDuration(std::string_view text);
// Bytes. A number without unit is a number of bytes; KB, MB, GB are powers of 1000, KiB, MiB, GiB, TiB powers of 1024.
std::optional<int64_t> ParseSize(std::string_view text);

// The shortest exact form: "1m30s" is "90s".
std::string FormatDuration(int64_t us);
std::string FormatSize(int64_t bytes);

}  // namespace tidemark
