// Variances of values that come and go, against those of what then stands, computed in long doubles.
#include "operators/window/exact_spread.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

template <typename T>
ExactSpread Of(const std::vector<T>& values) {
  ExactSpread spread;
  for (const T value : values) spread.Count(value, 1);
  return spread;
}

double Plain(const std::vector<double>& values, bool sample) {
  long double mean = 0, sum = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<long double>(values.size());
  for (const double value : values) sum += (value - mean) * (value - mean);
  return static_cast<double>(sum / static_cast<long double>(values.size() - (sample ? 1 : 0)));
}

TEST(ExactSpread, IsTheVarianceOfWhatStandsWhateverCameAndWent) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> standing;
    ExactSpread all, part;
    for (int i = 0; i < 100; ++i) {
      ExactSpread& spread = random() % 2 == 0 ? all : part;
      if (!standing.empty() && random() % 3 == 0) {
        spread.Count(standing.back(), -1);
        standing.pop_back();
        continue;
      }
      const double scale = std::pow(10, static_cast<double>(random() % 13) - 6);
      standing.push_back((static_cast<double>(random() % 2001) - 1000) * scale);
      spread.Count(standing.back(), 1);
    }
    all.Merge(part);
    std::string bytes;
    all.Save(&bytes);
    std::string_view from = bytes;
    ExactSpread again;
    ASSERT_TRUE(again.Load(&from) && from.empty());
    ASSERT_EQ(again.count(), static_cast<int64_t>(standing.size()));
    if (standing.size() < 2) continue;
    for (const bool sample : {false, true}) {
      const double expected = Plain(standing, sample);
      EXPECT_NEAR(again.Variance(sample), expected, expected * 1e-13);
    }
  }
}

TEST(ExactSpread, SmallDifferencesOfLargeValuesAreThere) {
  EXPECT_EQ(Of<double>({1e9, 1e9 + 1, 1e9 + 2}).Variance(true), 1);
  EXPECT_NEAR(Of<double>({1e12 + 0.25, 1e12 + 0.75}).Variance(false), 0.0625, 1e-9);
  EXPECT_EQ(Of<int64_t>({1'000'000'000'000, 1'000'000'000'002}).Variance(true), 2);
  EXPECT_EQ(Of<int64_t>({5, 5, 5}).Variance(true), 0);
  EXPECT_EQ(Of<int32_t>({-7, 7}).Variance(false), 49);
  const int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  EXPECT_NEAR(Of<int64_t>({least, most}).Variance(false) / std::pow(2, 126), 1, 1e-15);
  ExactSpread spread = Of<int64_t>({least, 4, 6});
  spread.Count(least, -1);
  EXPECT_EQ(spread.Variance(true), 2) << "what has gone leaves nothing";
}

TEST(ExactSpread, ValuesThatAreNoNumbersGiveNone) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(std::isnan(Of<double>({1, std::nan("")}).Variance(true)));
  EXPECT_TRUE(std::isnan(Of<double>({1, infinity}).Variance(true)));
  EXPECT_TRUE(std::isinf(Of<double>({1e200, -1e200}).Variance(true))) << "the square is out of range";
  ExactSpread spread = Of<double>({1, 3, infinity, 1e200});
  spread.Count(infinity, -1);
  spread.Count(1e200, -1);
  EXPECT_EQ(spread.Variance(true), 2);
}

}  // namespace
}  // namespace tidemark
