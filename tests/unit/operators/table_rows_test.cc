// The rows of a joined table by their join key, against a map: groups that grow to many pages and shrink to none, rows
// of any size, in memory and on disk.
#include "operators/join/table_rows.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/state/fake_store.h"

namespace tidemark {
namespace {

using Group = std::map<std::string, std::pair<std::string, int64_t>>;

class World {
 public:
  explicit World(bool spilled) : memory_(spilled ? &budget_ : nullptr) { Open(); }

  void Put(const std::string& group, const std::string& key, std::string row, int64_t time) {
    Fetch(group);
    ASSERT_TRUE(rows_->Put(group, {key, row, time}).ok());
    model_[group][key] = {std::move(row), time};
  }
  void Erase(const std::string& group, const std::string& key) {
    Fetch(group);
    ASSERT_TRUE(rows_->Erase(group, key).ok());
    model_[group].erase(key);
  }
  void Reopen() {
    ASSERT_TRUE(rows_->Commit(++commit_).ok());
    store_.Commit();
    Open();
  }
  void Check(const std::string& group, const std::string& key) {
    Fetch(group);
    const Group& expected = model_[group];
    TableRows::Row row;
    const auto found = rows_->Find(group, key, &row);
    ASSERT_TRUE(found.ok()) << found.status();
    const auto it = expected.find(key);
    ASSERT_EQ(*found, it != expected.end());
    if (*found) {
      EXPECT_EQ(std::pair(std::string(row.row), row.time), it->second);
    }
    EXPECT_EQ(rows_->Count(group).value(), static_cast<int64_t>(expected.size()));
    Group all;
    const auto take = [&all](const TableRows::Row& r) {
      EXPECT_TRUE(all.emplace(r.key, std::pair(std::string(r.row), r.time)).second) << "twice";
      return absl::OkStatus();
    };
    ASSERT_TRUE(rows_->Visit(group, take).ok());
    EXPECT_EQ(all, expected);
  }
  const Group& group(const std::string& name) { return model_[name]; }
  TableRows& rows() { return *rows_; }

 private:
  void Fetch(std::string_view group) { ASSERT_TRUE(rows_->Fetch({&group, 1}).ok()); }
  void Open() {
    rows_ = std::make_unique<TableRows>(&store_, "l", memory_);
    ASSERT_TRUE(rows_->Load().ok());
  }

  MemoryBudget budget_{0, 0};
  MemoryBudget* const memory_;
  FakeStore store_;
  std::unique_ptr<TableRows> rows_;
  std::map<std::string, Group> model_;
  uint64_t commit_ = 0;
};

TEST(TableRowsTest, AGroupHasTheRowsThatWerePutAndNotErasedWhateverItsSize) {
  for (const bool spilled : {false, true}) {
    World world(spilled);
    std::mt19937_64 random(spilled ? 1 : 2);
    // Few and many rows, and rows larger than a page.
    const std::map<std::string, uint64_t> keys = {{"few", 4}, {"many", 400}, {"large", 12}};
    for (int step = 0; step < 2500; ++step) {
      const auto& [group, count] = *std::next(keys.begin(), static_cast<int64_t>(random() % keys.size()));
      const std::string key = absl::StrCat("key ", random() % count);
      const bool shrinks = step / 600 % 2 == 1;
      if (random() % 10 < (shrinks ? 8 : 2)) {
        world.Erase(group, key);
      } else {
        const uint64_t size = group == "large" ? random() % 20'000 : random() % 200;
        world.Put(group, key, std::string(size, static_cast<char>('a' + step % 26)), step);
      }
      if (step % 40 == 0) world.Check(group, key);
      if (step % 90 == 0) world.Reopen();
      if (testing::Test::HasFatalFailure()) return;
    }
    for (const auto& [group, count] : keys) {
      world.Check(group, "key 0");
      while (!world.group(group).empty()) world.Erase(group, std::string(world.group(group).begin()->first));
      world.Check(group, "key 0");
    }
    world.Reopen();
    EXPECT_EQ(world.rows().Count("many").value(), 0);
  }
}

}  // namespace
}  // namespace tidemark
