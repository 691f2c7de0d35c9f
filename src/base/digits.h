// Decimal digits, eight at a time: read and written as the bytes of one word, without a branch for each. Pure.
//
// Lemire, "Number parsing at a gigabyte per second", 2021; Mula, "SIMD-ized parsing of numbers", 2014: neighbours are
// added up to numbers of two, of four and of eight digits, or taken apart likewise.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tidemark {

static_assert(std::endian::native == std::endian::little);  // a text's first byte is its word's lowest

// How many digits a word of text begins with, 0 to 8, and their number.
struct DigitWord {
  explicit DigitWord(uint64_t word) {
    constexpr uint64_t kHighHalves = 0xF0F0F0F0F0F0F0F0, kZeros = 0x3030303030303030, kSixes = 0x0606060606060606;
    constexpr uint64_t kEven = 0x000000FF000000FF, kHundreds = 0x000F424000000064, kOnes = 0x0000271000000001;
    // Not null in the first byte that is no digit; above it there may be false marks.
    const uint64_t others = ((word & kHighHalves) ^ kZeros) | (((word + kSixes) & kHighHalves) ^ kZeros);
    count = std::countr_zero(others) / 8;
    if (count == 0) return;
    word = (word - kZeros) << (64 - 8 * count);  // zeros in front
    word = word * 10 + (word >> 8);
    value = static_cast<uint32_t>(((word & kEven) * kHundreds + (word >> 16 & kEven) * kOnes) >> 32);
  }
  int count = 0;
  uint32_t value = 0;
};

// The end of the digits that begin at `p`, and their number in `value` modulo 2^64: up to 19 of them fit. Nothing
// behind `end` is read.
inline const char* ReadDigits(const char* p, const char* end, uint64_t* value) {
  static constexpr uint64_t kPowers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
  *value = 0;
  if (end - p < 8) {
    for (; p != end && static_cast<unsigned char>(*p - '0') < 10; ++p) {
      *value = *value * 10 + static_cast<uint64_t>(*p - '0');
    }
    return p;
  }
  uint64_t word = 0;
  std::memcpy(&word, p, 8);
  DigitWord digits(word);
  *value = digits.value;
  p += digits.count;
  while (digits.count == 8 && p != end) {
    // At the text's end, with zero bytes behind it.
    const auto left = std::min<ptrdiff_t>(end - p, 8);
    std::memcpy(&word, p + left - 8, 8);
    digits = DigitWord(word >> (64 - 8 * left));
    *value = *value * kPowers[digits.count] + digits.value;
    p += digits.count;
  }
  return p;
}

// The eight digits of a number below 10^8, each a byte from 0 to 9, the first one lowest.
inline uint64_t SplitDigits(uint32_t value) {
  const uint64_t fours = value / 10'000 | uint64_t{value % 10'000} << 32;
  const uint64_t hundreds = (fours * 10'486 >> 20) & 0x0000007F0000007F;  // of each four digits: divided by 100
  const uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
  const uint64_t tens = (twos * 103 >> 10) & 0x000F000F000F000F;
  return tens | (twos - 10 * tens) << 8;
}

// Writes the number without leading zeros and returns its end. There is room for 28 bytes at `p`.
inline char* WriteDigits(char* p, uint64_t value) {
  constexpr uint64_t kZeros = 0x3030303030303030, kLimit = 100'000'000;
  if (value >= kLimit) {
    p = WriteDigits(p, value / kLimit);
    const uint64_t word = SplitDigits(static_cast<uint32_t>(value % kLimit)) | kZeros;
    std::memcpy(p, &word, 8);
    return p + 8;
  }
  const uint64_t digits = SplitDigits(static_cast<uint32_t>(value));
  const int leading = std::min(std::countr_zero(digits) / 8, 7);
  const uint64_t word = (digits | kZeros) >> (8 * leading);
  std::memcpy(p, &word, 8);
  return p + 8 - leading;
}

}  // namespace tidemark
