#include "operators/dedup/seen_log.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

constexpr int64_t kBucketUs = 1000;

std::map<uint64_t, int64_t> LoadAll(FakeStore* store) {
  std::map<uint64_t, int64_t> all;
  SeenLog<IntKey> log(store, kBucketUs);
  const absl::Status status = log.Load([&](absl::Span<const Seen<IntKey>> entries) {
    for (const Seen<IntKey>& entry : entries) all[entry.key.bits] = std::max(all[entry.key.bits], entry.time_us);
  });
  EXPECT_TRUE(status.ok()) << status;
  return all;
}

IntKey KeyIn(int segment, uint64_t number) { return {static_cast<uint64_t>(segment) << 56 | number}; }

TEST(SeenLog, WhatRunsCoverIsNotLoadedAndWhatComesLaterIs) {
  FakeStore store;
  SeenLog<IntKey> log(&store, kBucketUs);
  log.Add(KeyIn(1, 10), 5);
  log.Add(KeyIn(2, 20), 6);
  ASSERT_TRUE(log.Commit(1).ok());
  log.Add(KeyIn(1, 11), 7);
  log.Cover(1, 2);
  ASSERT_TRUE(log.Commit(2).ok());
  log.Add(KeyIn(1, 10), 2005);
  ASSERT_TRUE(log.Commit(3).ok());
  EXPECT_EQ(LoadAll(&store), (std::map<uint64_t, int64_t>{{KeyIn(1, 10).bits, 2005}, {KeyIn(2, 20).bits, 6}}));
}

// Values of many commits are merged while segments go to runs one after another.
TEST(SeenLog, MergingValuesBringsNoCoveredEntryBack) {
  std::mt19937_64 random(1);
  FakeStore store;
  SeenLog<IntKey> log(&store, kBucketUs);
  std::map<uint64_t, int64_t> uncovered;
  for (uint64_t commit = 1; commit <= 3000; ++commit) {
    for (int i = 0; i < 5; ++i) {
      const IntKey key = KeyIn(static_cast<int>(random() % kSegments), random() % 100);
      const auto time = static_cast<int64_t>(commit);
      log.Add(key, time);
      uncovered[key.bits] = time;
    }
    if (random() % 3 == 0) {
      const int segment = static_cast<int>(random() % kSegments);
      log.Cover(segment, commit);
      std::erase_if(uncovered, [&](const auto& entry) { return SegmentOf(IntKey{entry.first}) == segment; });
    }
    ASSERT_TRUE(log.Commit(commit).ok());
    if (commit % 500 != 0) continue;
    ASSERT_EQ(LoadAll(&store), uncovered) << commit;
  }
}

TEST(SeenLog, ValuesThatRunsCoverEntirelyAreDeleted) {
  FakeStore store;
  SeenLog<IntKey> log(&store, kBucketUs);
  for (uint64_t commit = 1; commit <= 10; ++commit) {
    for (int s = 0; s < kSegments; ++s) log.Add(KeyIn(s, commit), static_cast<int64_t>(commit));
    ASSERT_TRUE(log.Commit(commit).ok());
  }
  EXPECT_EQ(store.Count("b"), 10);
  for (int s = 0; s < kSegments; ++s) log.Cover(s, 11);
  ASSERT_TRUE(log.Commit(11).ok());
  EXPECT_EQ(store.Count("b"), 0);
}

}  // namespace
}  // namespace tidemark
