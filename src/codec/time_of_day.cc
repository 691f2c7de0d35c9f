#include "src/codec/time_of_day.h"

#include <array>
#include <cstdio>

namespace tidemark {
namespace {

constexpr int64_t kHourUs = 3'600'000'000, kMinuteUs = 60'000'000, kSecondUs = 1'000'000;
constexpr int64_t kLongestUs = 839 * kHourUs;

}  // namespace

std::optional<std::string> TimeOfDayText(int64_t us) {
  if (us <= -kLongestUs || us >= kLongestUs) return std::nullopt;
  const int64_t size = us < 0 ? -us : us;
  std::array<char, 48> text{};
  int length =
      std::snprintf(text.data(), text.size(), "%s%02d:%02d:%02d", us < 0 ? "-" : "", static_cast<int>(size / kHourUs),
                    static_cast<int>(size / kMinuteUs % 60), static_cast<int>(size / kSecondUs % 60));
  if (const auto micros = static_cast<int>(size % kSecondUs); micros != 0) {
    length += std::snprintf(text.data() + length, text.size() - static_cast<size_t>(length), ".%06d", micros);
  }
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace tidemark
