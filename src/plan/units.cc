#include "src/plan/units.h"

#include <array>
#include <charconv>
#include <utility>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

using UnitTable = std::pair<std::string_view, int64_t>;

// Largest first: formatting takes the first that divides.
constexpr std::array<UnitTable, 6> kDurations = {
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}}};
constexpr std::array<UnitTable, 9> kSizes = {{{"TiB", int64_t{1} << 40},
                                              {"GiB", int64_t{1} << 30},
                                              {"MiB", int64_t{1} << 20},
                                              {"KiB", int64_t{1} << 10},
                                              {"GB", 1'000'000'000},
                                              {"MB", 1'000'000},
                                              {"KB", 1'000},
                                              {"B", 1},
                                              {"", 1}}};

template <size_t N>
std::optional<int64_t> Parse(std::string_view text, const std::array<UnitTable, N>& units) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    int64_t product = 0;
    if (__builtin_mul_overflow(number, factor, &product)) return std::nullopt;
    return product;
  }
  return std::nullopt;
}

template <size_t N>
std::string Format(int64_t value, const std::array<UnitTable, N>& units, size_t last) {
  for (size_t i = 0; i < last; ++i) {
    if (value % units[i].second == 0) return absl::StrCat(value / units[i].second, std::string(units[i].first));
  }
  return absl::StrCat(value);
}

}  // namespace

std::optional<int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return 0;
  const auto us = Parse(text, kDurations);
  // Event time is written in milliseconds at best; microseconds exist for formatting only.
  if (us && text.substr(text.size() - 2) == "us") return std::nullopt;
  return us;
}

std::optional<int64_t> ParseSize(std::string_view text) { return Parse(text, kSizes); }

std::string FormatDuration(int64_t us) { return us == 0 ? "0s" : Format(us, kDurations, kDurations.size()); }

std::string FormatSize(int64_t bytes) { return bytes == 0 ? "0B" : Format(bytes, kSizes, 4); }

}  // namespace tidemark
