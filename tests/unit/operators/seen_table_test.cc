#include "operators/dedup/seen_table.h"

#include <random>

#include <absl/container/flat_hash_map.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(SeenTable, FindsWhatWasInsertedWhileOldEntriesAreDropped) {
  std::mt19937_64 random(3);
  SeenTable<IntKey> table;
  absl::flat_hash_map<uint64_t, int64_t> model;
  for (int64_t time = 0; time < 400'000; ++time) {
    const uint64_t id = random() % 100'000;
    const IntKey key = MixIntKey(id);
    int64_t* found = table.Find(key);
    const auto expected = model.find(id);
    const int64_t dead_until = time - 50'000;
    if (expected != model.end() && expected->second > dead_until) {
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(*found, expected->second);
    }
    if (found != nullptr) {
      ASSERT_EQ(*found, expected->second);
      *found = time;
    } else {
      table.FindOrInsert(key, time);
    }
    model[id] = time;
    table.SetDeadUntil(dead_until);
  }
  EXPECT_LT(table.size(), 100'000);
}

TEST(SeenTable, TakesAtMost24BytesAKey) {
  SeenTable<IntKey> table;
  constexpr int64_t kKeys = 1'000'000;
  for (int64_t i = 0; i < kKeys; ++i) table.FindOrInsert(MixIntKey(static_cast<uint64_t>(i)), i);
  EXPECT_EQ(table.size(), kKeys);
  EXPECT_LT(table.MemoryBytes(), 24 * kKeys);
}

// Keys that all want the same place: slow, but right.
TEST(SeenTable, KeysOfOneHomeFindTheirPlace) {
  SeenTable<HashedKey> table;
  for (uint64_t low = 0; low < 500; ++low) table.FindOrInsert({42, low * 7919 % 500}, static_cast<int64_t>(low));
  for (uint64_t low = 0; low < 500; ++low) ASSERT_EQ(*table.Find({42, low * 7919 % 500}), static_cast<int64_t>(low));
  EXPECT_EQ(table.Find({42, 500}), nullptr);
}

TEST(SeenTable, KeysOfTheLastHomeFindTheirPlace) {
  SeenTable<HashedKey> table;
  for (uint64_t low = 0; low < 500; ++low) table.FindOrInsert({~uint64_t{0}, low}, static_cast<int64_t>(low));
  for (uint64_t low = 0; low < 500; ++low) ASSERT_EQ(*table.Find({~uint64_t{0}, low}), static_cast<int64_t>(low));
  EXPECT_LT(table.MemoryBytes(), 200'000);
}

}  // namespace
}  // namespace tidemark
