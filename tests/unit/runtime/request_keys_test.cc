// Idempotency-Keys: the memory that they take is bounded, and none of a day is forgotten.
#include "src/runtime/request_keys.h"

#include <filesystem>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(RequestKeysTest, WhatWasSeenIsFoundWhereverItIsAndTheMemoryIsBounded) {
  for (const std::string& folder : {std::string(), std::string(::testing::TempDir())}) {
    RequestKeys keys(folder, 100);
    std::mt19937_64 random(7);
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> model;
    for (int64_t hour = 10; hour < 34; ++hour) {
      for (int i = 0; i < 777; ++i) {
        const uint64_t high = random(), low = random(), body = random();
        model[{high, low}] = body;
        keys.Add(hour, absl::MakeUint128(high, low), body);
        ASSERT_LE(keys.in_memory(), 100u);
      }
    }
    for (const auto& [key, body] : model) {
      EXPECT_EQ(keys.Find(absl::MakeUint128(key.first, key.second), 0), body);
      EXPECT_EQ(keys.Find(absl::MakeUint128(key.first, key.second + 1), 0), std::nullopt);
    }
    EXPECT_LE(keys.runs(), 23u + 8u) << "one of each hour that is over";
    keys.ForgetBefore(33);
    int64_t left = 0;
    for (const auto& [key, body] : model) left += keys.Find(absl::MakeUint128(key.first, key.second), 0).has_value();
    EXPECT_EQ(left, 777);
  }
}

TEST(RequestKeysTest, AnHourThatIsTooOldSaysNothing) {
  RequestKeys keys("");
  keys.Add(5, 1, 11);
  EXPECT_EQ(keys.Find(1, 5), 11u);
  EXPECT_EQ(keys.Find(1, 6), std::nullopt);
  keys.Add(7, 1, 12);
  keys.Add(6, 2, 13);  // a clock that has stepped back
  EXPECT_EQ(keys.Find(1, 6), 12u);
  EXPECT_EQ(keys.Find(2, 7), 13u);
}

TEST(RequestKeysTest, WithoutAFolderToWriteToTheyStayInMemory) {
  RequestKeys keys("/proc/nowhere", 10);
  for (uint64_t i = 0; i < 100; ++i) keys.Add(1, i, i);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(keys.Find(i, 0), i);
  EXPECT_EQ(keys.in_memory(), 100u);
}

TEST(RequestKeysTest, NoFileIsLeft) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "request_keys";
  std::filesystem::create_directories(folder);
  RequestKeys keys(folder, 10);
  for (uint64_t i = 0; i < 100; ++i) keys.Add(1, i, i);
  EXPECT_GT(keys.runs(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace
}  // namespace tidemark
