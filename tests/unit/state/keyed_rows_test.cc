// Rows by key against a map: what is in memory and what has left it must not show, nor what was aborted or reopened.
#include "state/keyed_rows.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/base/big_endian.h"
#include "src/base/varint.h"
#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

using Model = std::map<std::string, std::string>;

class World {
 public:
  World(bool ordered, int64_t budget, bool former = false) : World({.ordered = ordered}, budget, former) {}
  World(KeyedRows::Options options, int64_t budget, bool former = false)
      : options_(options), memory_(budget, budget), former_(former) {
    Open();
  }

  void Open() {
    rows_ = nullptr;
    rows_ = std::make_unique<KeyedRows>(&store_, "k", &memory_, options_);
    ASSERT_TRUE(rows_->Load().ok());
    if (!former_) return;
    const absl::Status status = rows_->LoadFormer("e", [](std::string_view record, std::string* key, std::string* row) {
      *key = record.substr(0, record.find('='));
      *row = record.substr(record.find('=') + 1);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  void Commit() {
    const absl::Status status = rows_->Commit(++commit_);
    ASSERT_TRUE(status.ok()) << status;
    store_.Commit();
    committed_ = model_;
  }
  void Abort() {
    store_.Rollback();
    model_ = committed_;
    Open();
  }
  void Fetch(const std::vector<std::string>& keys) {
    std::vector<std::string_view> views(keys.begin(), keys.end());
    const absl::Status status = rows_->Fetch(views);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Put(const std::string& key, const std::string& row) {
    rows_->Put(key, row);
    model_[key] = row;
  }
  void Delete(const std::string& key) { EXPECT_EQ(rows_->Delete(key), model_.erase(key) == 1) << key; }
  void Check(const std::string& key) {
    const auto it = model_.find(key);
    const auto row = rows_->Get(key);
    ASSERT_EQ(row.has_value(), it != model_.end()) << key;
    if (row) {
      EXPECT_EQ(*row, it->second);
    }
  }
  void CheckAll() {
    std::vector<std::string> keys;
    for (const auto& [key, row] : model_) keys.push_back(key);
    Fetch(keys);
    for (const std::string& key : keys) Check(key);
  }
  // Takes the rows with the smallest heads, as many as come, out of both.
  void TakeBelow(uint64_t end, size_t most) {
    EXPECT_LE(rows_->FirstHead(), model_.empty() ? KeyedRows::kNoHead : KeyedRows::Head(model_.begin()->first));
    const absl::StatusOr<uint64_t> recalled = rows_->Recall(end, most);
    ASSERT_TRUE(recalled.ok()) << recalled.status();
    std::vector<std::string> keys;
    const uint64_t until = rows_->VisitBelow(*recalled, most, [&](std::string_view key, std::string_view row) {
      keys.emplace_back(key);
      EXPECT_EQ(model_[keys.back()], row) << key;
    });
    std::vector<std::string> expected;
    for (const auto& [key, row] : model_) {
      if (KeyedRows::Head(key) < until) expected.push_back(key);
    }
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(keys, expected);
    for (const std::string& key : keys) Delete(key);
  }

  // The same in the order of keys: no more than that, whatever their heads.
  void TakeSome(const std::string& end, size_t most) {
    EXPECT_LE(rows_->FirstHead(), model_.empty() ? KeyedRows::kNoHead : KeyedRows::Head(model_.begin()->first));
    std::vector<std::string> keys;
    const absl::StatusOr<std::string> until =
        rows_->RecallSome(end, most, [&](std::string_view key, std::string_view row) {
          keys.emplace_back(key);
          EXPECT_EQ(model_[keys.back()], row) << key;
        });
    ASSERT_TRUE(until.ok()) << until.status();
    std::vector<std::string> expected;
    for (const auto& [key, row] : model_) {
      if (key < *until) expected.push_back(key);
    }
    EXPECT_EQ(keys, expected);
    EXPECT_LE(keys.size(), most);
    EXPECT_TRUE(keys.size() == most || *until == end || rows_->runs().entries() > 0) << "nothing stands in the way";
    for (const std::string& key : keys) Delete(key);
  }
  void CheckScan(const std::string& from, const std::string& end, size_t most) {
    std::vector<std::pair<std::string, std::string>> found, expected;
    const absl::Status status =
        rows_->Scan(from, end, most, [&](std::string_view key, std::string_view row) { found.emplace_back(key, row); });
    ASSERT_TRUE(status.ok()) << status;
    for (auto it = model_.lower_bound(from); it != model_.end() && it->first < end && expected.size() < most; ++it) {
      expected.push_back(*it);
    }
    EXPECT_EQ(found, expected);
  }

  FakeStore store_;
  const KeyedRows::Options options_;
  MemoryBudget memory_;
  const bool former_;
  std::unique_ptr<KeyedRows> rows_;
  Model model_, committed_;
  uint64_t commit_ = 0;
};

std::string Key(uint64_t number) { return absl::StrCat("key", number * 0x9E3779B97F4A7C15 >> 44); }
std::string OrderedKey(uint64_t head, uint64_t number) {
  std::string key;
  AppendBigEndian(head, 8, &key);
  return absl::StrCat(key, number);
}

TEST(KeyedRows, AreThoseOfAMapWhateverLeavesMemoryIsAbortedOrReopened) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t keys = seed % 2 == 0 ? 200 : 5000;
    World world(false, seed % 3 == 0 ? 0 : static_cast<int64_t>(keys) * 10);
    int64_t most_runs = 0;
    for (int step = 0; step < 150; ++step) {
      std::vector<std::string> batch;
      for (uint64_t i = 0; i < 1 + random() % 100; ++i) batch.push_back(Key(random() % keys));
      world.Fetch(batch);
      for (const std::string& key : batch) {
        world.Check(key);
        const uint64_t what = random() % 4;
        if (what == 0) world.Delete(key);
        if (what > 1) world.Put(key, std::string(random() % 200, static_cast<char>('a' + step % 26)));
        world.Check(key);
      }
      if (random() % 3 != 0) world.Commit();
      if (random() % 10 == 0) world.Abort();
      most_runs = std::max(most_runs, world.store_.Count("kf"));
    }
    world.CheckAll();
    EXPECT_GT(most_runs, 0) << "no row has left memory";
    for (const std::string& key : [&] {
           std::vector<std::string> all;
           for (const auto& [key, row] : world.model_) all.push_back(key);
           return all;
         }()) {
      world.Delete(key);
    }
    for (int i = 0; i < 5; ++i) world.Commit();
    world.Open();
    world.Fetch({Key(1), Key(2)});
    world.Check(Key(1));
  }
}

TEST(KeyedRows, ARowThatComesBackUnchangedIsNotWrittenAgain) {
  World world(false, 0);
  for (uint64_t i = 0; i < 1000; ++i) world.Put(Key(i), std::string(100, 'x'));
  for (int i = 0; i < 10; ++i) world.Commit();
  ASSERT_EQ(world.rows_->in_memory(), 0u);
  const int64_t written = world.store_.written_bytes();
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < 1000; ++i) keys.push_back(Key(i));
  for (int round = 0; round < 3; ++round) {
    world.Fetch(keys);
    EXPECT_EQ(world.rows_->in_memory(), 1000u);
    for (const std::string& key : keys) world.Check(key);
    for (int i = 0; i < 5; ++i) world.Commit();
    EXPECT_EQ(world.rows_->in_memory(), 0u);
  }
  EXPECT_EQ(world.store_.written_bytes(), written);
}

TEST(KeyedRows, OpeningReadsWhatWasInMemoryNotAllRows) {
  World world(false, 256 << 10);
  for (uint64_t i = 0; i < 30'000; ++i) {
    world.Put(absl::StrCat("k", i), std::string(50, 'r'));
    if (i % 1000 == 0) world.Commit();
  }
  for (int i = 0; i < 40; ++i) world.Commit();
  world.Open();
  EXPECT_LT(world.rows_->in_memory(), 3000u);
  EXPECT_LT(world.rows_->MemoryBytes(), 400 << 10);
  world.CheckAll();
}

TEST(KeyedRows, InTheOrderOfHeadsAreTakenAsTheyWouldBeFromMemory) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::mt19937_64 random(seed);
    World world(true, seed % 2 == 0 ? 0 : 2 << 10);
    uint64_t now = 1000, taken = 1000;
    int64_t most_runs = 0;
    for (int step = 0; step < 300; ++step) {
      std::vector<std::string> batch;
      for (uint64_t i = 0; i < 1 + random() % 60; ++i) {
        batch.push_back(OrderedKey(taken + random() % (now - taken + 10), random() % 5));
      }
      world.Fetch(batch);
      for (const std::string& key : batch) {
        world.Check(key);
        const uint64_t what = random() % 4;
        if (what == 0 && random() % 4 == 0) world.Delete(key);
        if (what > 1) world.Put(key, std::string(random() % 100, static_cast<char>('a' + step % 26)));
      }
      now += random() % 20;
      if (random() % 4 == 0) {
        // What is below `taken` has been taken, so nothing comes there again.
        const uint64_t end = taken + random() % (now - taken + 1);
        world.TakeBelow(end, 1 + random() % 40);
        if (random() % 2 == 0) world.TakeBelow(end, 1 + random() % 40);
      }
      most_runs = std::max(most_runs, world.store_.Count("kf"));
      if (random() % 3 != 0) world.Commit();
      if (random() % 12 == 0) world.Abort();
    }
    while (!world.model_.empty()) world.TakeBelow(KeyedRows::kNoHead, 100);
    EXPECT_EQ(world.rows_->FirstHead(), KeyedRows::kNoHead);
    EXPECT_GT(most_runs, 0) << "no row has left memory";
    world.Commit();
    EXPECT_EQ(world.store_.Count("kr"), 0) << "runs that nobody needs";
    EXPECT_EQ(world.rows_->in_memory(), 0u);
  }
}

TEST(KeyedRows, OfAnEarlierFormCountUntilTheyChangeAndMoveSomeACommit) {
  World world(false, int64_t{1} << 30, true);
  {
    StateLog log(&world.store_, "e");
    log.Begin(1);
    for (uint32_t i = 0; i < 10'000; ++i) log.Put(i, absl::StrCat("f", i, "=", i));
    ASSERT_TRUE(log.Commit().ok());
    log.Begin(2);
    log.Erase(17);
    ASSERT_TRUE(log.Commit().ok());
    world.store_.Commit();
  }
  for (int i = 0; i < 10'000; ++i) {
    if (i != 17) world.model_[absl::StrCat("f", i)] = absl::StrCat(i);
  }
  world.committed_ = world.model_;
  world.commit_ = 10;
  world.Open();
  world.CheckAll();
  world.Put("f1", "new");
  world.Delete("f2");
  world.Abort();
  world.CheckAll();
  world.Put("f1", "new");
  world.Delete("f2");
  world.Commit();
  EXPECT_GT(world.store_.Count("e"), 0) << "some a commit";
  world.Abort();
  world.CheckAll();
  world.Delete("f9999");
  for (int i = 0; i < 5; ++i) {
    world.Commit();
    world.Abort();
  }
  EXPECT_EQ(world.store_.Count("e"), 0);
  world.CheckAll();
}

// Thousands of rows share a head, and are taken some at a time all the same.
TEST(KeyedRows, InTheOrderOfKeysAreTakenSomeAtATimeWhateverTheirHeads) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::mt19937_64 random(seed);
    World world({.by_key = true}, seed % 3 == 0 ? 0 : 20'000);
    uint64_t now = 0;
    bool spilled = false;
    for (int step = 0; step < 200; ++step) {
      std::vector<std::string> batch;
      for (uint64_t i = 0; i < random() % 200; ++i) batch.push_back(OrderedKey(now + random() % 3, random() % 1000));
      world.Fetch(batch);
      for (const std::string& key : batch) {
        world.Check(key);
        random() % 4 == 0 ? world.Delete(key) : world.Put(key, std::string(random() % 60, 'x'));
      }
      spilled |= world.rows_->runs().entries() > 0;
      if (random() % 3 == 0) now += random() % 2;
      std::string end;
      AppendBigEndian(now, 8, &end);
      world.TakeSome(end, 1 + random() % 100);
      if (random() % 2 == 0) world.Commit();
      if (random() % 15 == 0) {
        world.Abort();
        now = now > 2 ? now - 2 : 0;
      }
    }
    EXPECT_TRUE(spilled);
    std::string end;
    AppendBigEndian(now + 1000, 8, &end);
    for (int i = 0; i < 1000 && !world.model_.empty(); ++i) {
      world.TakeSome(end, 50);
      if (i % 7 == 0) world.Commit();
    }
    EXPECT_TRUE(world.model_.empty());
  }
}

TEST(KeyedRows, AVeryLongKeyIsNoPlaceToStopAt) {
  World world({.by_key = true}, 0);
  std::string head;
  AppendBigEndian(5, 8, &head);
  for (int i = 0; i < 20; ++i) world.Put(absl::StrCat(head, std::string(100'000, 'k'), 10 + i), "row");
  for (int i = 0; i < 3; ++i) world.Commit();
  EXPECT_GT(world.rows_->runs().entries(), 0);
  std::string end;
  AppendBigEndian(6, 8, &end);
  for (int i = 0; i < 20 && !world.model_.empty(); ++i) {
    world.TakeSome(end, 2);
    world.Commit();
    if (i % 3 == 0) world.Abort();
  }
  EXPECT_TRUE(world.model_.empty());
}

TEST(KeyedRows, AScanShowsWhatIsInMemoryAndWhatHasLeftItInOneOrder) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    std::mt19937_64 random(seed);
    World world({.by_key = true}, seed % 2 == 0 ? 0 : 100'000);
    const auto key = [&] { return absl::StrCat("group", 10 + random() % 20, "/", 1000 + random() % 900); };
    for (int step = 0; step < 150; ++step) {
      std::vector<std::string> batch;
      for (uint64_t i = 0; i < 1 + random() % 100; ++i) batch.push_back(key());
      world.Fetch(batch);
      for (const std::string& each : batch) {
        random() % 3 == 0 ? world.Delete(each) : world.Put(each, std::string(random() % 100, 'y'));
      }
      const std::string group = absl::StrCat("group", 10 + random() % 20);
      world.CheckScan(group + "/", group + "0", random() % 40);
      if (random() % 4 == 0) world.CheckScan("", "z", 100'000);
      if (random() % 3 != 0) world.Commit();
      if (random() % 15 == 0) world.Abort();
    }
    EXPECT_GT(world.rows_->runs().entries(), 0);
  }
}

}  // namespace
}  // namespace tidemark
