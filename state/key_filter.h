// A Bloom filter over the keys of one sorted run: answers from one cache line whether a key may be among them. Cut into
// lines by the key's value, so that building it in the order of the keys goes through memory once. Immutable but for
// Add.
//
// A line is eight words of 64 bits, each with one bit a key. About 0.5% of other keys are let through.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {

class KeyFilter {
 public:
  static constexpr int64_t kBitsAKey = 12;

  KeyFilter() = default;
  explicit KeyFilter(int64_t keys) : lines_(static_cast<size_t>(keys * kBitsAKey / 512 + 1)) {}
  static KeyFilter FromBytes(std::string_view bytes) {
    KeyFilter filter;
    filter.lines_.resize(bytes.size() / sizeof(Line));
    std::memcpy(filter.lines_.data(), bytes.data(), filter.lines_.size() * sizeof(Line));
    return filter;
  }

  // `place`: 32 bits, uniform, ascending with the key. `bits`: 48 others, in the upper part of the word.
  void Add(uint32_t place, uint64_t bits) {
    Line& line = lines_[Index(place)];
    for (int w = 0; w < 8; ++w) line.words[w] |= uint64_t{1} << (bits >> (16 + 6 * w) & 63);
  }
  [[gnu::always_inline]] void Prefetch(uint32_t place) const { __builtin_prefetch(&lines_[Index(place)]); }
  bool MayHold(uint32_t place, uint64_t bits) const {
    const Line& line = lines_[Index(place)];
    uint64_t all = 1;
    for (int w = 0; w < 8; ++w) all &= line.words[w] >> (bits >> (16 + 6 * w) & 63);
    return all != 0;
  }

  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(lines_.data()), lines_.size() * sizeof(Line)};
  }

 private:
  struct alignas(64) Line {
    uint64_t words[8] = {};
  };

  size_t Index(uint32_t place) const { return static_cast<size_t>(place) * lines_.size() >> 32; }

  std::vector<Line> lines_;
};

}  // namespace tidemark
