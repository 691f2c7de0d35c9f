#include "operators/window/exact_double.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(ExactDouble, WhatIsTakenBackLeavesNoTrace) {
  ExactDouble sum;
  for (const double value : {1e300, 1e100, 1.0, 5e-324}) sum.Add(value);
  sum.Take(1e300);
  sum.Take(1e100);
  EXPECT_EQ(sum.Total(), 1.0);
  sum.Take(1.0);
  EXPECT_EQ(sum.Total(), 5e-324);
  sum.Take(5e-324);
  std::string bytes, empty;
  sum.Save(&bytes);
  ExactDouble().Save(&empty);
  EXPECT_EQ(bytes, empty);
}

// __int128 adds up what has 53 bits between 2^-30 and 2^60 exactly, and becomes the nearest double.
TEST(ExactDouble, ASumIsRoundedOnceWhateverTheOrderAndTheCuts) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    ExactDouble all, parts[3];
    __int128 expected = 0;
    for (uint64_t n = random() % 40; n > 0; --n) {
      const auto mantissa = static_cast<int64_t>(random() >> (11 + random() % 50));
      const int exponent = static_cast<int>(random() % 38);
      const double value = std::ldexp(static_cast<double>(random() % 2 ? mantissa : -mantissa), exponent - 30);
      const auto scaled = static_cast<__int128>(std::ldexp(value, 30));
      const bool take = random() % 3 == 0;
      take ? all.Take(value) : all.Add(value);
      take ? parts[n % 3].Take(value) : parts[n % 3].Add(value);
      expected += take ? -scaled : scaled;
    }
    EXPECT_EQ(all.Total(), std::ldexp(static_cast<double>(expected), -30));
    std::string bytes;
    parts[2].Save(&bytes);
    std::string_view rest = bytes;
    ExactDouble merged;
    ASSERT_TRUE(merged.Load(&rest));
    EXPECT_TRUE(rest.empty());
    merged.Merge(parts[0]);
    merged.Merge(parts[1]);
    EXPECT_EQ(merged.Total(), all.Total());
    std::string one, other;
    merged.Save(&one);
    all.Save(&other);
    EXPECT_EQ(one, other) << "one sum, two forms";
  }
}

TEST(ExactDouble, HalvesGoToTheEvenNeighbourAndALittleMoreDecides) {
  const double half = std::ldexp(1.0, -53);
  ExactDouble sum;
  sum.Add(1.0);
  sum.Add(half);
  EXPECT_EQ(sum.Total(), 1.0);
  sum.Add(5e-324);
  EXPECT_EQ(sum.Total(), std::nextafter(1.0, 2.0));
  sum.Take(5e-324);
  sum.Take(5e-324);
  EXPECT_EQ(sum.Total(), 1.0);
  sum.Add(2 * half);
  sum.Add(5e-324);
  EXPECT_EQ(sum.Total(), 1.0 + 4 * half);
}

TEST(ExactDouble, ASumThatLeavesTheRangeCanComeBack) {
  const double most = std::numeric_limits<double>::max();
  ExactDouble sum;
  for (int i = 0; i < 1000; ++i) sum.Add(-most);
  EXPECT_EQ(sum.Total(), -kInfinity);
  EXPECT_TRUE(sum.Beyond(sum.Total()));
  for (int i = 0; i < 999; ++i) sum.Take(-most);
  EXPECT_EQ(sum.Total(), -most);
  EXPECT_FALSE(sum.Beyond(sum.Total()));
}

TEST(ExactDouble, WhatIsNotFiniteIsCounted) {
  ExactDouble sum;
  sum.Add(2.5);
  sum.Add(kInfinity);
  EXPECT_EQ(sum.Total(), kInfinity);
  EXPECT_FALSE(sum.Beyond(sum.Total()));
  sum.Add(-kInfinity);
  EXPECT_TRUE(std::isnan(sum.Total()));
  sum.Take(kInfinity);
  EXPECT_EQ(sum.Total(), -kInfinity);
  sum.Add(std::nan(""));
  EXPECT_TRUE(std::isnan(sum.Total()));
  sum.Take(-kInfinity);
  sum.Take(std::nan(""));
  EXPECT_EQ(sum.Total(), 2.5);
}

TEST(ExactDouble, BytesThatAreNoSumAreRefused) {
  ExactDouble sum;
  sum.Add(1.5);
  std::string bytes;
  sum.Save(&bytes);
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string_view cut = std::string_view(bytes).substr(0, n);
    EXPECT_FALSE(ExactDouble().Load(&cut)) << n;
  }
}

}  // namespace
}  // namespace tidemark
