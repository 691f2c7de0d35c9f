// Idempotency-Keys: the memory that they take is bounded, and none of a day is forgotten.
#include "src/runtime/request_keys.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

std::optional<uint64_t> Found(const RequestKeys& keys, absl::uint128 key, int64_t since) {
  const auto found = keys.Find(key, since);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? *found : std::nullopt;
}

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
      EXPECT_EQ(Found(keys, absl::MakeUint128(key.first, key.second), 0), body);
      EXPECT_EQ(Found(keys, absl::MakeUint128(key.first, key.second + 1), 0), std::nullopt);
    }
    EXPECT_LE(keys.runs(), 23u + 8u) << "one of each hour that is over";
    keys.ForgetBefore(33);
    int64_t left = 0;
    for (const auto& [key, body] : model) left += Found(keys, absl::MakeUint128(key.first, key.second), 0).has_value();
    EXPECT_EQ(left, 777);
  }
}

TEST(RequestKeysTest, AnHourThatIsTooOldSaysNothing) {
  RequestKeys keys("");
  keys.Add(5, 1, 11);
  EXPECT_EQ(Found(keys, 1, 5), 11u);
  EXPECT_EQ(Found(keys, 1, 6), std::nullopt);
  keys.Add(7, 1, 12);
  keys.Add(6, 2, 13);  // a clock that has stepped back
  EXPECT_EQ(Found(keys, 1, 6), 12u);
  EXPECT_EQ(Found(keys, 2, 7), 13u);
}

TEST(RequestKeysTest, WithoutAFolderToWriteToTheyStayInMemory) {
  RequestKeys keys("/proc/nowhere", 10);
  for (uint64_t i = 0; i < 100; ++i) keys.Add(1, i, i);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(Found(keys, i, 0), i);
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

// Of memory, by its high-water mark. A sanitizer keeps what was freed, so there it says nothing.
int64_t PeakBytes() {
#ifdef __SANITIZE_ADDRESS__
  return 0;
#endif
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) << 10;
  }
  return 0;
}

TEST(RequestKeysTest, AMergeOfManyKeysTakesAFewPiecesOfMemory) {
  constexpr uint64_t kKeys = 1'000'000;  // 24 MB of them
  RequestKeys keys(::testing::TempDir(), 20'000);
  const auto next = [random = std::mt19937_64(7)]() mutable {
    const uint64_t high = random();
    return absl::MakeUint128(high, random());
  };
  auto added = next, again = next;
  int64_t before = 0;
  for (uint64_t i = 0; i < kKeys; ++i) {
    if (i == 40'000) before = PeakBytes();
    keys.Add(1, added(), i);
  }
  keys.Add(2, 1, 1);  // the hour is over
  EXPECT_EQ(keys.runs(), 1u);
  EXPECT_LT(PeakBytes() - before, 8 << 20);
  for (uint64_t i = 0; i < kKeys; ++i) {
    const absl::uint128 key = again();
    if (i % 10 == 0) {
      ASSERT_EQ(Found(keys, key, 0), i);
    }
  }
}

}  // namespace
}  // namespace tidemark
