// The versions of a table's rows by key and time, against a map: changes in any order, questions, forgetting, with few
// and very many versions of a key, in memory and on disk.
#include "operators/join/table_versions.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

struct Kept {
  std::string row;
  bool none = false;
};
using Model = std::map<std::string, std::map<int64_t, Kept>>;

class World {
 public:
  explicit World(bool spilled) : budget_(0, 0), memory_(spilled ? &budget_ : nullptr) { Open(); }

  void Add(const std::string& key, int64_t time, std::string row, bool none) {
    const Version version{.time = time, .offset = offset_++, .none = none, .row = none ? std::string_view() : row};
    const TableVersions::Change change{key, version};
    ASSERT_TRUE(versions_->Add({&change, 1}).ok());
    model_[key][time] = {std::move(row), none};
  }
  void Forget(int64_t horizon) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(versions_->Forget(EventTime{horizon}).ok());
    horizon_ = std::max(horizon_, horizon);
  }
  void Commit() {
    ASSERT_TRUE(versions_->Commit(++commit_).ok());
    store_.Commit();
  }
  void Reopen() {
    Commit();
    Open();
  }
  // Some questions at once, of times that may be asked for.
  void Ask(std::mt19937_64* random, int64_t latest) {
    std::vector<TableVersions::Question> questions;
    std::vector<std::string> keys;
    for (const auto& [key, versions] : model_) keys.push_back(key);
    keys.emplace_back("unknown");
    for (int i = 0; i < 10; ++i) {
      const int64_t time = horizon_ + static_cast<int64_t>((*random)() % static_cast<uint64_t>(latest - horizon_ + 1));
      questions.push_back({.key = keys[(*random)() % keys.size()], .time = time});
    }
    ASSERT_TRUE(versions_->Find(absl::MakeSpan(questions)).ok());
    for (const TableVersions::Question& question : questions) {
      const auto& versions = model_[std::string(question.key)];
      auto version = versions.upper_bound(question.time);
      const bool found = version != versions.begin() && !(--version)->second.none;
      ASSERT_EQ(question.found, found) << question.key << " at " << question.time;
      if (found) {
        ASSERT_EQ(question.row, version->second.row) << question.key << " at " << question.time;
      }
    }
    model_.erase("unknown");
  }
  int64_t StateBytes() const {
    int64_t bytes = 0;
    for (const auto& [key, value] : store_.live()) bytes += static_cast<int64_t>(key.size() + value.size());
    return bytes;
  }
  int64_t horizon() const { return horizon_; }
  TableVersions& versions() { return *versions_; }

 private:
  void Open() {
    versions_ = std::make_unique<TableVersions>(&store_, memory_, kSecond);
    ASSERT_TRUE(versions_->Load().ok());
  }

  MemoryBudget budget_;
  MemoryBudget* const memory_;
  FakeStore store_;
  std::unique_ptr<TableVersions> versions_;
  Model model_;
  int64_t horizon_ = 0, offset_ = 0;
  uint64_t commit_ = 0;
};

class TableVersionsTest : public testing::TestWithParam<bool> {};

TEST_P(TableVersionsTest, AnswersWhatAMapWouldWhateverOrderChangesComeIn) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    World world(GetParam());
    const uint64_t keys = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 5 : 40;
    const int64_t jitter = seed % 2 == 0 ? 5 * kSecond : 300 * kSecond;
    int64_t latest = 0;
    for (int64_t i = 0; i < 1500; ++i) {
      const int64_t now = i * kSecond / 2;
      const int64_t time = std::max(world.horizon() + 1, now - static_cast<int64_t>(random() % jitter) + jitter);
      latest = std::max(latest, time);
      world.Add(absl::StrCat("key", random() % keys), time,
                std::string(random() % 400, static_cast<char>('a' + i % 26)), random() % 10 == 0);
      if (i % 7 == 0) world.Ask(&random, latest);
      if (i % 50 == 0) world.Forget(now - 200 * kSecond);
      if (i % 20 == 0) world.Commit();
      if (random() % 100 == 0) world.Reopen();
      if (HasFatalFailure()) return;
    }
    world.Forget(latest - 10 * kSecond);
    for (int i = 0; i < 20; ++i) world.Ask(&random, latest + kSecond);
  }
}

INSTANTIATE_TEST_SUITE_P(InMemoryAndOnDisk, TableVersionsTest, testing::Bool());

TEST(TableVersionsTest, KeysThatChangedAtOneTimeAreNotAllForgottenAtOnce) {
  World world(false);
  for (const int64_t time : {5, 6}) {
    for (int i = 0; i < 12'000; ++i) world.Add(absl::StrCat("key", i), time * kSecond, std::string(1000, 'x'), false);
  }
  world.Commit();
  const int64_t all = world.versions().MemoryBytes();
  ASSERT_TRUE(world.versions().Forget(EventTime{1000 * kSecond}).ok());
  EXPECT_GT(world.versions().MemoryBytes(), all / 4 * 3);
  world.Forget(1000 * kSecond);
  EXPECT_LT(world.versions().MemoryBytes(), all / 3 * 2);
}

TEST(TableVersionsTest, AKeyOfVeryManyVersionsCostsNeitherAChangeNorAQuestionInProportion) {
  World world(false);
  constexpr int64_t kVersions = 20'000;
  for (int64_t i = 0; i < kVersions; ++i)
    world.Add("key", i * kSecond, "some forty bytes of a row, or a bit more", false);
  world.Commit();
  const int64_t all = world.StateBytes();
  EXPECT_GT(all, kVersions * 40);
  world.Add("key", kVersions * kSecond, "one more", false);
  world.Commit();
  EXPECT_LT(world.StateBytes() - all, 64 << 10) << "one page and the list of pages";
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) world.Ask(&random, kVersions * kSecond);
  world.Forget((kVersions - 10) * kSecond);
  world.Commit();
  EXPECT_LT(world.versions().MemoryBytes(), 1 << 20) << "what others have replaced is gone";
}

}  // namespace
}  // namespace tidemark
