// Dedup's memory of keys under a budget: what is in the table and what in runs must not show.
#include "operators/dedup/seen_keys.h"

#include <random>
#include <unordered_map>

#include <gtest/gtest.h>

#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

const DedupSpec kSpec{.by = {0}, .within_us = 20 * kSecond, .grace_us = 5 * kSecond};

template <typename Key>
Key MakeKey(uint64_t id) {
  if constexpr (std::is_same_v<Key, IntKey>) {
    return MixIntKey(id);
  } else {
    return {MixIntKey(id).bits, MixIntKey(~id).bits};
  }
}

template <typename Key>
std::unique_ptr<SeenKeys<Key>> OpenKeys(FakeStore* store, MemoryBudget* memory, const DedupSpec& spec = kSpec) {
  auto keys = std::make_unique<SeenKeys<Key>>(spec, Schema());
  const absl::Status opened = keys->Open(store, memory);
  EXPECT_TRUE(opened.ok()) << opened;
  return keys;
}

template <typename Key>
class SeenKeysTest : public testing::Test {};
using BothKeys = testing::Types<IntKey, HashedKey>;
TYPED_TEST_SUITE(SeenKeysTest, BothKeys);

// Rows of new, recent and old keys, judged against a map that never forgets; time moves on, commits come at random,
// and so do crashes, after which both stand where the last commit left them.
template <typename Key>
void CompareWithModel(uint64_t seed, MemoryBudget* memory, bool expect_runs) {
  std::mt19937_64 random(seed);
  FakeStore store;
  auto keys = OpenKeys<Key>(&store, memory);
  std::unordered_map<uint64_t, int64_t> model, committed_model;
  EventTime watermark = kMinTime, committed_watermark = kMinTime;
  uint64_t commit = 0, next_id = 0, committed_id = 0;
  int64_t now = 0, duplicates = 0, accepted_again = 0, reads = 0;
  for (int step = 0; step < 400; ++step) {
    for (int row = 0; row < 250; ++row) {
      const uint64_t kind = random() % 10;
      uint64_t id = next_id;
      if (kind < 2 && next_id > 0) id = next_id - 1 - random() % std::min<uint64_t>(next_id, 300);
      if (kind == 2 && next_id > 0) id = random() % next_id;
      if (id == next_id) ++next_id;
      now += static_cast<int64_t>(random() % 2000);
      const int64_t time = now - static_cast<int64_t>(random() % (6 * kSecond));
      if (keys->IsLate(time, now)) continue;
      const auto known = model.find(id);
      const bool duplicate = known != model.end() && time - known->second < kSpec.within_us;
      int64_t accepted = 0;
      ASSERT_EQ(keys->IsDuplicate(MakeKey<Key>(id), time, &accepted), duplicate) << "id " << id << " in step " << step;
      ASSERT_TRUE(keys->status().ok()) << keys->status();
      if (duplicate) {
        ASSERT_EQ(accepted, known->second);
        ++duplicates;
      } else {
        accepted_again += known != model.end();
        model[id] = time;
      }
    }
    watermark = EventTime{now};
    ASSERT_TRUE(keys->Advance(watermark).ok());
    if (random() % 3 != 0) {
      ASSERT_TRUE(keys->Commit(++commit).ok());
      store.Commit();
      committed_model = model;
      committed_watermark = watermark;
      committed_id = next_id;
    }
    if (random() % 12 == 0) {
      reads += keys->runs().reads();
      store.Rollback();
      model = committed_model;
      next_id = committed_id;
      keys.reset();  // its share of the budget goes first
      keys = OpenKeys<Key>(&store, memory);
      ASSERT_TRUE(keys->Advance(committed_watermark).ok());
    }
  }
  reads += keys->runs().reads();
  EXPECT_GT(duplicates, 1000);
  EXPECT_GT(accepted_again, 100);
  EXPECT_EQ(reads > 1000, expect_runs) << reads;
  ASSERT_TRUE(keys->Advance(EventTime{now} + 30 * kSecond).ok());
  ASSERT_TRUE(keys->Commit(++commit).ok());
  for (const auto& [key, value] : store.live()) EXPECT_TRUE(key == "w" || key == "s") << key << " is left";
}

TYPED_TEST(SeenKeysTest, VerdictsDontDependOnTheBudget) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    CompareWithModel<TypeParam>(seed, nullptr, false);
    MemoryBudget huge(int64_t{1} << 40, 0), small(300'000, 0), tiny(100'000, 0), none(0, 0);
    CompareWithModel<TypeParam>(seed, &huge, false);
    CompareWithModel<TypeParam>(seed, &small, true);
    CompareWithModel<TypeParam>(seed, &tiny, true);
    CompareWithModel<TypeParam>(seed, &none, true);
  }
}

// Keys that are all new, in the order of time.
template <typename Key>
void FeedNew(SeenKeys<Key>* keys, uint64_t from, uint64_t to) {
  int64_t accepted = 0;
  for (uint64_t id = from; id < to; ++id) {
    ASSERT_FALSE(keys->IsDuplicate(MakeKey<Key>(id), static_cast<int64_t>(id), &accepted)) << id;
  }
}

const DedupSpec kLongSpec{.by = {0}, .within_us = 100 * kSecond, .grace_us = 0};

TYPED_TEST(SeenKeysTest, MemoryStaysInTheBudgetAndNoKeyIsForgotten) {
  constexpr uint64_t kKeys = 600'000;
  constexpr int64_t kBudget = 3 << 20;
  FakeStore store;
  MemoryBudget memory(kBudget, 0);
  auto keys = OpenKeys<TypeParam>(&store, &memory, kLongSpec);
  uint64_t commit = 0;
  for (uint64_t id = 0; id < kKeys; id += 5000) {
    FeedNew(keys.get(), id, id + 5000);
    ASSERT_TRUE(keys->Commit(++commit).ok());
    ASSERT_LT(keys->MemoryBytes(), kBudget * 115 / 100) << id;
  }
  for (const bool reopened : {false, true}) {
    if (reopened) {
      keys.reset();
      keys = OpenKeys<TypeParam>(&store, &memory, kLongSpec);
    }
    EXPECT_LT(keys->MemoryBytes(), kBudget * 115 / 100);
    int64_t accepted = 0;
    for (uint64_t id = 0; id < kKeys; ++id) {
      ASSERT_TRUE(keys->IsDuplicate(MakeKey<TypeParam>(id), static_cast<int64_t>(id) + 10, &accepted)) << id;
      ASSERT_EQ(accepted, static_cast<int64_t>(id));
    }
    EXPECT_LT(keys->runs().vain_reads(), kKeys / 10);
  }
}

TYPED_TEST(SeenKeysTest, WhereTheBudgetShrinksACommitWritesLittleAndMemoryFollows) {
  FakeStore store;
  constexpr int64_t kBudget = 24 << 20;
  MemoryBudget memory(kBudget, 0);
  auto keys = OpenKeys<TypeParam>(&store, &memory, kLongSpec);
  FeedNew(keys.get(), 0, kBudget / 3 / sizeof(Seen<TypeParam>));
  ASSERT_TRUE(keys->Commit(1).ok());
  ASSERT_TRUE(keys->runs().empty());
  MemoryBudget::Share other(&memory), another(&memory);
  other.Update(kBudget);
  uint64_t commit = 1;
  while (keys->MemoryBytes() > kBudget / 3) {
    const int64_t before = store.written_bytes();
    ASSERT_TRUE(keys->Commit(++commit).ok());
    ASSERT_LT(store.written_bytes() - before, 1'200'000);
    ASSERT_LT(commit, 20u);
  }
  EXPECT_GT(commit, 2u);
}

TYPED_TEST(SeenKeysTest, ABlockThatIsMissingIsAnErrorAndNotANewKey) {
  FakeStore store;
  MemoryBudget memory(0, 0);
  auto keys = OpenKeys<TypeParam>(&store, &memory, kLongSpec);
  FeedNew(keys.get(), 0, 1000);
  ASSERT_TRUE(keys->Commit(1).ok());
  std::vector<std::string> blocks;
  for (const auto& [key, value] : store.live()) {
    if (key.starts_with("r")) blocks.push_back(key);
  }
  ASSERT_FALSE(blocks.empty());
  for (const std::string& key : blocks) store.Delete(key);
  int64_t accepted = 0;
  EXPECT_TRUE(keys->IsDuplicate(MakeKey<TypeParam>(5), 5, &accepted));
  EXPECT_TRUE(absl::IsDataLoss(keys->status())) << keys->status();
  EXPECT_FALSE(keys->Commit(2).ok());
}

// Keys that are anything but uniform, as they could be chosen: all in one block of a run.
TEST(SeenRuns, ABlockOfManyPartsIsSearchedToItsEnd) {
  FakeStore store;
  SeenRuns<IntKey> runs(&store, 100 * kSecond);
  std::vector<Seen<IntKey>> entries;
  for (uint64_t i = 0; i < 100'000; ++i) entries.push_back({IntKey{uint64_t{3} << 56 | i}, static_cast<int64_t>(i)});
  ASSERT_TRUE(runs.Add(3, entries, -1).ok());
  for (uint64_t i = 0; i < 100'000; i += 999) EXPECT_EQ(*runs.Find(entries[i].key), entries[i].time_us);
  runs.Expire(100'000);
  EXPECT_TRUE(store.live().empty());
}

TEST(SeenRuns, RunsOfASizeBecomeOneAndTheNewestTimeOfAKeyCounts) {
  FakeStore store;
  SeenRuns<IntKey> runs(&store, 100 * kSecond);
  for (int64_t round = 0; round < 64; ++round) {
    std::vector<Seen<IntKey>> entries;
    for (uint64_t i = 0; i < 100; ++i) entries.push_back({IntKey{i << 45}, round * 1000 + static_cast<int64_t>(i)});
    ASSERT_TRUE(runs.Add(0, entries, -1).ok());
    ASSERT_LE(store.Count("f"), 7);
    for (uint64_t i = 0; i < 100; i += 7) EXPECT_EQ(*runs.Find(entries[i].key), entries[i].time_us);
  }
}

TEST(SeenRuns, RunsOfDifferentTimesStayApartSoThatTheyDieApart) {
  FakeStore store;
  SeenRuns<IntKey> runs(&store, 1000);
  for (int64_t round = 0; round < 8; ++round) {
    ASSERT_TRUE(runs.Add(0, {{IntKey{1}, round * 200}, {IntKey{2}, round * 200 + 199}}, -1).ok());
  }
  EXPECT_EQ(store.Count("f"), 8);
  runs.Expire(3 * 200 + 199);
  EXPECT_EQ(store.Count("f"), 4);
}

TEST(KeyFilter, HasAllItsKeysAndFewOthers) {
  constexpr uint64_t kKeys = 20'000;
  KeyFilter filter(kKeys);
  const auto key = [](uint64_t id) { return IntKey{MixIntKey(id).bits >> 8}; };
  for (uint64_t id = 0; id < kKeys; ++id) filter.Add(PlaceOf(key(id)), key(id).filter_bits());
  const KeyFilter loaded = KeyFilter::FromBytes(filter.bytes());
  uint64_t others = 0;
  for (uint64_t id = 0; id < 11 * kKeys; ++id) {
    const bool may = loaded.MayHold(PlaceOf(key(id)), key(id).filter_bits());
    ASSERT_TRUE(may || id >= kKeys);
    others += id >= kKeys && may;
  }
  EXPECT_LT(others, 10 * kKeys * 2 / 100);
}

}  // namespace
}  // namespace tidemark
