// approx_count_distinct's sketch: exact while there are few, within its error beyond, and the same whatever the order.
#include "operators/window/hyper_log_log.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

std::vector<uint64_t> Hashes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> hashes(count);
  for (uint64_t& hash : hashes) hash = random();
  return hashes;
}

HyperLogLog Of(const std::vector<uint64_t>& hashes) {
  HyperLogLog sketch;
  for (const uint64_t hash : hashes) sketch.Add(hash);
  return sketch;
}

std::string Saved(const HyperLogLog& sketch) {
  std::string bytes;
  sketch.Save(&bytes);
  return bytes;
}

TEST(HyperLogLog, FewAreCountedExactly) {
  HyperLogLog sketch;
  EXPECT_EQ(sketch.Estimate(), 0);
  const std::vector<uint64_t> hashes = Hashes(HyperLogLog::kExact, 1);
  for (size_t i = 0; i < hashes.size(); ++i) {
    sketch.Add(hashes[i]);
    sketch.Add(hashes[i / 2]);
    ASSERT_EQ(sketch.Estimate(), static_cast<int64_t>(i) + 1);
  }
}

TEST(HyperLogLog, ManyAreWithinFourStandardErrors) {
  for (const size_t count : {600, 2'000, 10'000, 100'000, 1'000'000}) {
    double squares = 0;
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const double error = static_cast<double>(Of(Hashes(count, seed)).Estimate()) / static_cast<double>(count) - 1;
      EXPECT_LT(std::abs(error), 4 * 0.01625) << count;
      squares += error * error;
    }
    EXPECT_LT(std::sqrt(squares / 5), 2 * 0.01625) << count;
  }
}

TEST(HyperLogLog, IsAFunctionOfTheSetAlone) {
  for (const size_t count : {10, 500, 512, 513, 700, 5'000}) {
    std::vector<uint64_t> hashes = Hashes(count, count);
    const std::string expected = Saved(Of(hashes));
    std::mt19937_64 random(7);
    for (int round = 0; round < 5; ++round) {
      std::shuffle(hashes.begin(), hashes.end(), random);
      // Parts that overlap, merged in any order, through saved bytes.
      std::vector<HyperLogLog> parts(4);
      for (const uint64_t hash : hashes) {
        parts[random() % 4].Add(hash);
        parts[random() % 4].Add(hash);
      }
      HyperLogLog all;
      for (const HyperLogLog& part : parts) {
        HyperLogLog loaded;
        const std::string bytes = Saved(part);
        std::string_view from = bytes;
        ASSERT_TRUE(loaded.Load(&from) && from.empty());
        all.Merge(loaded);
      }
      EXPECT_EQ(Saved(all), expected) << count;
      EXPECT_EQ(all.Estimate(), Of(hashes).Estimate());
    }
  }
}

TEST(HyperLogLog, WhatIsNoneIsRefused) {
  for (const std::string& bytes : {std::string(), std::string("\x02\x00", 2), std::string("\x01\x05zzz", 5)}) {
    std::string_view from = bytes;
    EXPECT_FALSE(HyperLogLog().Load(&from));
  }
}

}  // namespace
}  // namespace tidemark
