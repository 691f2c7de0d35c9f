#include "src/base/digits.h"

#include <charconv>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

std::string Written(uint64_t value) {
  char text[28];
  return {text, WriteDigits(text, value)};
}

// Reads from memory that ends where the text does.
std::pair<size_t, uint64_t> Read(std::string_view text) {
  const std::unique_ptr<char[]> exact(new char[text.size()]);
  std::copy(text.begin(), text.end(), exact.get());
  uint64_t value = 7;
  const char* const end = ReadDigits(exact.get(), exact.get() + text.size(), &value);
  return {static_cast<size_t>(end - exact.get()), value};
}

// Numbers of every length, and those where it changes.
std::vector<uint64_t> Numbers() {
  std::vector<uint64_t> numbers = {0, ~uint64_t{0}};
  std::mt19937_64 random(5);
  for (uint64_t power = 1;; power *= 10) {
    for (const uint64_t n : {power - 1, power, power + 1}) numbers.push_back(n);
    for (int i = 0; i < 1'000; ++i)
      numbers.push_back(power + random() % (power > 1'000'000'000'000'000'000 ? power / 2 : 9 * power));
    if (power == 10'000'000'000'000'000'000U) return numbers;
  }
}

TEST(Digits, NumbersAreWrittenAsTheStandardLibraryWritesThem) {
  for (const uint64_t n : Numbers()) EXPECT_EQ(Written(n), std::to_string(n));
}

TEST(Digits, FourDigitsAreTakenApartRightInEitherHalf) {
  for (uint64_t n = 0; n < 10'000; ++n) {
    const uint64_t both = n * 10'000 + 9'999 - n;
    EXPECT_EQ(Written(both), std::to_string(both));
  }
}

TEST(Digits, NumbersOfUpToNineteenDigitsAreReadWhateverFollows) {
  for (const uint64_t n : Numbers()) {
    const std::string digits = std::to_string(n);
    if (digits.size() > 19) continue;
    for (const char* rest : {"", "}", ",\"x\":1", ".5", "/", ":", "e9 and more", "\xFA\xFF\xF0", "        "}) {
      EXPECT_EQ(Read(digits + rest), std::pair(digits.size(), n)) << digits << rest;
    }
  }
}

TEST(Digits, EveryByteButTheTenDigitsEndsANumber) {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte >= '0' && byte <= '9') continue;
    for (size_t at = 0; at < 17; ++at) {
      std::string text(17, '9');
      text[at] = static_cast<char>(byte);
      EXPECT_EQ(Read(text).first, at) << byte;
    }
  }
}

TEST(Digits, LeadingZerosCountAsDigits) {
  EXPECT_EQ(Read("0000000000012x"), std::pair(size_t{13}, uint64_t{12}));
  EXPECT_EQ(Read("00"), std::pair(size_t{2}, uint64_t{0}));
  EXPECT_EQ(Read(""), std::pair(size_t{0}, uint64_t{0}));
}

TEST(Digits, TheEndIsFoundBehindMoreDigitsThanANumberHolds) { EXPECT_EQ(Read(std::string(50, '8') + "x").first, 50u); }

}  // namespace
}  // namespace tidemark
