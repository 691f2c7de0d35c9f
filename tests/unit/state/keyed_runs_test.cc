#include "state/keyed_runs.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

using Model = std::map<std::string, std::string>;
using Changes = std::map<std::string, std::optional<std::string>>;  // nothing: erased

void Add(KeyedRuns* runs, const Changes& changes) {
  std::vector<KeyedRuns::Entry> entries;
  for (const auto& [key, value] : changes) entries.push_back({key, value ? std::string_view(*value) : "", !value});
  runs->Add(entries);
  const absl::Status status = runs->MergeSome(5 * runs->TakeWrittenBytes() + (1 << 20));
  ASSERT_TRUE(status.ok()) << status;
}

Model ReadAll(KeyedRuns* runs, std::string_view after = "") {
  Model all;
  std::optional<std::string> next = std::string(after);
  std::string last;
  while (next) {
    KeyedRuns::Entries entries;
    const std::string from = *next;
    const absl::Status status = runs->Read(from, &entries, &next);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) break;
    for (const KeyedRuns::Entry& entry : entries.list) {
      EXPECT_TRUE(all.empty() || last < entry.key) << "out of order";
      last = entry.key;
      all[last] = entry.value;
    }
  }
  return all;
}

std::optional<std::string> Ask(KeyedRuns* runs, const std::string& key) {
  KeyedRuns::Question question{.key = key, .hash = KeyedRuns::Hash(key)};
  const absl::Status status = runs->Find({&question, 1});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(!question.found || runs->MayHold(key, question.hash));
  return question.found ? std::optional(question.value) : std::nullopt;
}

std::unique_ptr<KeyedRuns> Open(FakeStore* store) {
  auto runs = std::make_unique<KeyedRuns>(store, "p");
  const absl::Status status = runs->Load();
  EXPECT_TRUE(status.ok()) << status;
  return runs;
}

std::string Key(uint64_t number) { return absl::StrCat("key", number * 0x9E3779B97F4A7C15 >> 40); }

TEST(KeyedRuns, HoldWhatWasAddedLastWhateverIsMergedReopenedAndAborted) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t keys = seed % 2 == 0 ? 300 : 20'000;
    FakeStore store;
    Model committed, model;
    auto runs = Open(&store);
    for (int step = 0; step < 40; ++step) {
      Changes changes;
      const uint64_t low = random() % keys, many = random() % (keys / 3) + 1;
      for (uint64_t i = 0; i < many; ++i) {
        const std::string key = Key((low + i * (1 + random() % 3)) % keys);
        changes[key] = random() % 4 == 0
                           ? std::nullopt
                           : std::optional(std::string(random() % (keys > 1000 ? 600 : 40), 'a' + step % 26));
      }
      Add(runs.get(), changes);
      for (const auto& [key, value] : changes) {
        if (value) {
          model[key] = *value;
        } else {
          model.erase(key);
        }
      }
      if (random() % 3 != 0) {
        store.Commit();
        committed = model;
      }
      if (random() % 5 == 0) {
        store.Rollback();
        model = committed;
        runs = Open(&store);
      }
      std::vector<std::string> asked;
      for (int i = 0; i < 200; ++i) asked.push_back(Key(random() % (keys + 50)));
      std::sort(asked.begin(), asked.end());
      std::vector<KeyedRuns::Question> questions;
      for (const std::string& key : asked) questions.push_back({.key = key, .hash = KeyedRuns::Hash(key)});
      ASSERT_TRUE(runs->Find(absl::MakeSpan(questions)).ok());
      for (const KeyedRuns::Question& question : questions) {
        const auto it = model.find(std::string(question.key));
        ASSERT_EQ(question.found, it != model.end()) << question.key;
        if (question.found) {
          ASSERT_EQ(question.value, it->second);
        }
      }
    }
    EXPECT_EQ(ReadAll(runs.get()), model);
    const std::string middle = Key(7);
    EXPECT_EQ(ReadAll(runs.get(), middle), Model(model.lower_bound(middle), model.end()));
    const int64_t memory = runs->MemoryBytes();
    runs = Open(&store);
    EXPECT_EQ(ReadAll(runs.get()), model);
    EXPECT_LE(runs->MemoryBytes(), memory * 11 / 10 + 1000);
    EXPECT_GT(seed % 2 == 0 ? 2u : runs->ranges(), 1u) << "the test is of many ranges too";
    runs->Drop();
    EXPECT_TRUE(store.live().empty());
  }
}

TEST(KeyedRuns, AnErasedRecordStaysErasedWhenNewerRunsMerge) {
  FakeStore store;
  auto runs = Open(&store);
  Changes old;
  for (int i = 0; i < 5000; ++i) old[absl::StrCat("k", 10'000 + i)] = std::string(100, 'o');
  Add(runs.get(), old);
  for (int i = 0; i < 4; ++i) Add(runs.get(), {{absl::StrCat("k", 10'000 + i), std::nullopt}});  // become one run
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Ask(runs.get(), absl::StrCat("k", 10'000 + i)), std::nullopt);
  EXPECT_EQ(ReadAll(runs.get()).size(), 4996u);
}

// As of rows that lie in their order: what has gone is far less than the run that it hides, and no key comes there
// again.
TEST(KeyedRuns, WhatIsErasedInItsOrderLeavesTheDisk) {
  FakeStore store;
  auto runs = Open(&store);
  constexpr int kRows = 20'000, kAtOnce = 200;
  const auto key = [](int number) { return absl::StrCat("row", 1'000'000 + number); };
  Changes changes;
  for (int i = 0; i < kRows; ++i) changes[key(i)] = std::string(100, 'v');
  Add(runs.get(), changes);
  const size_t full = store.live().size();
  for (int i = 0; i < kRows; i += kAtOnce) {
    changes.clear();
    for (int k = i; k < i + kAtOnce; ++k) changes[key(k)] = std::nullopt;
    Add(runs.get(), changes);
  }
  EXPECT_LT(store.live().size(), full / 20);
}

TEST(KeyedRuns, KeysAndValuesMayBeLargerThanAValueOfTheStore) {
  FakeStore store;
  auto runs = Open(&store);
  const std::string key(2 * kMaxValueBytes, 'k'), value(3 * kMaxValueBytes, 'v');
  Add(runs.get(), {{"a", "1"}, {key, value}, {key + "x", "2"}, {"z", "3"}});
  runs = Open(&store);
  EXPECT_EQ(Ask(runs.get(), key), value);
  EXPECT_EQ(Ask(runs.get(), key + "x"), "2");
  EXPECT_EQ(Ask(runs.get(), "z"), "3");
  runs->Drop();
  EXPECT_TRUE(store.live().empty());
}

TEST(KeyedRuns, NoAddWritesMoreThanARangeHoweverManyRecordsThereAre) {
  FakeStore store;
  auto runs = Open(&store);
  int64_t most = 0, all = 0;
  for (uint64_t add = 0; add < 150; ++add) {
    Changes changes;
    for (uint64_t i = 0; i < 1500; ++i) changes[Key(add % 50 * 1500 + i)] = std::string(60, 'v');
    // As an owner does: a piece of the keys at a time, and a look at what that took.
    Changes piece;
    for (const auto& [key, value] : changes) {
      piece[key] = value;
      if (piece.size() < 300) continue;
      std::vector<KeyedRuns::Entry> entries;
      for (const auto& [k, v] : piece) entries.push_back({k, *v});
      runs->Add(entries);
      const int64_t added = runs->TakeWrittenBytes();
      ASSERT_TRUE(runs->MergeSome(4 * added).ok());
      piece.clear();
      const int64_t written = added + runs->TakeWrittenBytes();
      most = std::max(most, written);
      all += written;
    }
  }
  EXPECT_LT(most, 10 << 20);
  EXPECT_LT(all, 8 * 150 * 1500 * 80) << "bytes are written again too often";
  EXPECT_GT(runs->ranges(), 2u);
  EXPECT_LT(runs->MemoryBytes(), 75'000 * 4);
}

TEST(KeyedRuns, WhatIsReadInOrderCanBeDroppedBehindTheReader) {
  FakeStore store;
  auto runs = Open(&store);
  Changes changes;
  for (uint64_t i = 0; i < 60'000; ++i) changes[Key(i)] = std::string(100, 'v');
  Add(runs.get(), changes);
  for (int i = 0; i < 3; ++i) Add(runs.get(), changes);  // cuts it
  ASSERT_GT(runs->ranges(), 2u);
  size_t read = 0;
  std::optional<std::string> next = "";
  while (next) {
    KeyedRuns::Entries entries;
    const std::string from = *next;
    ASSERT_TRUE(runs->Read(from, &entries, &next).ok());
    read += entries.list.size();
    if (next) runs->DropBefore(*next);
    runs = Open(&store);
    EXPECT_FALSE(next && Ask(runs.get(), std::string(entries.list.front().key)).has_value());
  }
  EXPECT_EQ(read, changes.size());
  EXPECT_EQ(runs->ranges(), 1u);
}

TEST(KeyedRuns, ManyRecordsAreDroppedSomeAtATime) {
  FakeStore store;
  auto runs = Open(&store);
  Changes changes;
  for (uint64_t i = 0; i < 60'000; ++i) changes[Key(i)] = std::string(100, 'v');
  for (int i = 0; i < 4; ++i) Add(runs.get(), changes);
  int calls = 0;
  for (;; ++calls) {
    const size_t before = store.live().size();
    const bool done = runs->DropSome(100);
    EXPECT_LT(before - store.live().size(), 2000u);
    if (done) break;
  }
  EXPECT_GT(calls, 1);
  EXPECT_TRUE(store.live().empty());
}

TEST(KeyedRuns, ADamagedBlockIsAnErrorNotAnAnswer) {
  FakeStore store;
  auto runs = Open(&store);
  Add(runs.get(), {{"a", "1"}, {"b", "2"}});
  for (const auto& [key, value] : FakeStore::Map(store.live())) {
    if (!key.starts_with("pr")) continue;
    std::string damaged = value;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    store.Put(key, damaged);
  }
  KeyedRuns::Question question{.key = "a", .hash = KeyedRuns::Hash("a")};
  EXPECT_EQ(runs->Find({&question, 1}).code(), absl::StatusCode::kDataLoss);
  store.Put(store.live().begin()->first, "x");
  KeyedRuns again(&store, "p");
  EXPECT_EQ(again.Load().code(), absl::StatusCode::kDataLoss);
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(KeyedRuns, AMutationMakesOldRecordsAnswer) {
  FakeStore store;
  auto runs = Open(&store);
  Add(runs.get(), {{"a", "old"}});
  Add(runs.get(), {{"a", "new"}});
  EXPECT_EQ(Ask(runs.get(), "a"), "new");
  SetMutation(Mutation::kOldRecordBeatsNew, true);
  EXPECT_EQ(Ask(runs.get(), "a"), "old");
  SetMutation(Mutation::kOldRecordBeatsNew, false);
}
#endif

// Newer is what has the larger number, however many runs there have been.
TEST(KeyedRuns, RunsBehindTheFirstFourBillionAreStillTheNewest) {
  FakeStore store;
  auto runs = Open(&store);
  Add(runs.get(), {{"a", "old"}, {"b", "old"}});
  // As if there had been so many before this one.
  const FakeStore::Map few = store.live();
  for (const auto& [key, value] : few) {
    std::string moved = key;  // "p", 'f' or 'r', the run's number, ...
    uint64_t number = ReadBigEndian(std::string_view(key).substr(2, 8)) + (uint64_t{1} << 32) - 1;
    for (size_t i = 9; i >= 2; --i, number >>= 8) moved[i] = static_cast<char>(number & 0xFF);
    store.Delete(key);
    store.Put(moved, value);
  }
  runs = Open(&store);
  for (int i = 0; i < 3; ++i) {
    Add(runs.get(), {{"a", absl::StrCat("new ", i)}});
    runs = Open(&store);
    EXPECT_EQ(Ask(runs.get(), "a"), absl::StrCat("new ", i));
    EXPECT_EQ(Ask(runs.get(), "b"), "old");
  }
  EXPECT_EQ(ReadAll(runs.get()), (Model{{"a", "new 2"}, {"b", "old"}}));
}

// Keys of four bytes that tell, and eight more; some of the former have thousands of entries.
TEST(KeyedRunsTest, AllEntriesBehindTheBytesThatTellAreFoundWhateverRunsAndRangesTheyLieIn) {
  FakeStore store;
  KeyedRuns runs(&store, "p", 4);
  std::mt19937_64 random(1);
  struct Held {
    std::string value;
    int found_in = -1;  // the last wave that has found it
  };
  std::unordered_map<std::string, Held> model;
  std::unordered_map<std::string, int64_t> entries_of;  // by the bytes that tell
  const auto told = [](uint64_t number) { return absl::StrCat("k", 100 + number); };
  for (int wave = 0; wave < 60; ++wave) {
    Changes changes;
    for (int i = 0; i < 3000; ++i) {
      const uint64_t number = random() % 3 == 0 ? 7 : random() % 800;
      const std::string key = told(number) + absl::StrCat(absl::Dec(random() % 100'000'000, absl::kZeroPad8));
      if (!model.contains(key)) changes[key] = std::string(20 + random() % 60, 'v') + absl::StrCat(number);
    }
    for (const auto& [key, value] : changes) {
      model[key].value = *value;
      ++entries_of[key.substr(0, 4)];
    }
    Add(&runs, changes);
    std::vector<std::string> keys;
    for (uint64_t number = 0; number < 900; number += 1 + random() % 30) keys.push_back(told(number));
    if (wave % 2 == 0) keys.push_back(told(7));
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    std::vector<KeyedRuns::Question> questions;
    for (const std::string& key : keys) questions.push_back({.key = key, .hash = KeyedRuns::Hash(key)});
    int64_t right = 0, visits = 0;
    const absl::Status status = runs.FindAll(questions, [&](size_t q, std::string_view key, std::string_view value) {
      const auto held = model.find(std::string(key));
      ++visits;
      right += held != model.end() && held->second.value == value && key.substr(0, 4) == keys[q] &&
               std::exchange(held->second.found_in, wave) != wave;
    });
    ASSERT_TRUE(status.ok()) << status;
    int64_t expected = 0;
    for (const std::string& key : keys) expected += entries_of[key];
    ASSERT_EQ(right, expected) << "wave " << wave;
    EXPECT_EQ(visits, expected) << "each once";
  }
  EXPECT_GT(runs.ranges(), 2u);
  EXPECT_EQ(runs.entries(), static_cast<int64_t>(model.size()));
}

}  // namespace
}  // namespace tidemark
