#include "operators/window/group_index.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

// Hashes of few bits, so that many share a home and some are equal.
TEST(GroupIndex, FindsWhatWasInsertedAndNotErased) {
  for (const uint64_t bits : {3, 8, 40}) {
    std::mt19937_64 random(bits);
    GroupIndex index;
    std::map<uint32_t, uint64_t> model;  // hash by slot
    uint32_t next = 0;
    for (int step = 0; step < 20'000; ++step) {
      const bool grow = model.empty() || random() % (step < 10'000 ? 3 : 5) < 2;
      if (grow && model.size() < 600) {
        const uint64_t hash = random() & ((uint64_t{1} << bits) - 1);
        index.Insert(hash, next);
        model[next++] = hash;
      } else {
        auto victim = model.lower_bound(static_cast<uint32_t>(random() % next));
        if (victim == model.end()) victim = model.begin();
        index.Erase(victim->second, victim->first);
        model.erase(victim);
      }
      if (step % 100 != 0) continue;
      for (uint32_t slot = 0; slot < next; ++slot) {
        const auto found = model.find(slot);
        const uint64_t hash = found != model.end() ? found->second : random() & 7;
        const uint32_t expected = found != model.end() ? slot : GroupIndex::kNoSlot;
        ASSERT_EQ(index.Find(hash, [&](uint32_t s) { return s == slot; }), expected) << bits << " " << step;
      }
    }
  }
}

TEST(GroupIndex, IsEmptyAfterClear) {
  GroupIndex index;
  EXPECT_EQ(index.Find(1, [](uint32_t) { return true; }), GroupIndex::kNoSlot);
  EXPECT_EQ(index.Candidate(1), GroupIndex::kNoSlot);
  index.Insert(1, 7);
  EXPECT_EQ(index.Candidate(1), 7u);
  index.Clear();
  EXPECT_EQ(index.Find(1, [](uint32_t) { return true; }), GroupIndex::kNoSlot);
  EXPECT_EQ(index.MemoryBytes(), 0u);
}

}  // namespace
}  // namespace tidemark
