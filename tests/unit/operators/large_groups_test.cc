// Groups with so many values that commits write what has changed in them: what is read again is what stood.
#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/window/large_groups.h"
#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::string_view kResults = "n int64, s int64 null, d int64, m int64 null, lo int64 null";

WindowSpec ManyValues(bool input_updates) {
  WindowSpec spec = Spec(0, 0, 0, /*on_update=*/true);
  spec.late_topic.reset();
  spec.input_updates = input_updates;
  spec.aggregates = {
      {"n", "count(*)"}, {"s", "sum(v)"}, {"d", "count(distinct v)"}, {"m", "mode(v)"}, {"lo", "min(v)"}};
  return spec;
}

Node Single(const WindowSpec& spec) {
  Node node = SingleNode(spec, kResults);
  if (spec.input_updates) node.inputs[0].hidden = UpdateHidden();
  return node;
}

// What the rows that stand come to, by place.
std::map<std::string, std::string> Model(const std::vector<TestRow>& standing) {
  std::map<std::string, std::map<int64_t, int64_t>> values;
  for (const TestRow& row : standing) ++values[std::get<std::string>(row.cells[0])][std::get<int64_t>(row.cells[1])];
  std::map<std::string, std::string> results;
  for (const auto& [place, times] : values) {
    int64_t n = 0, sum = 0;
    for (const auto& [value, count] : times) {
      n += count;
      sum += value * count;
    }
    const auto most =
        std::max_element(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    results[place] =
        absl::StrCat(place, "|", n, "|", sum, "|", times.size(), "|", most->first, "|", times.begin()->first);
  }
  return results;
}

struct Stream {
  std::vector<TestRow> changes, standing;
};

// Rows come, and where they may, go again and are replaced; of three places, in turns of their own, so that some groups
// are left alone for long. Now and then a place loses all.
Stream RandomStream(uint64_t seed, int n, bool updates) {
  std::mt19937_64 random(seed);
  Stream stream;
  const auto make = [&] {
    return Row(absl::StrCat("p", random() % 8 == 0 ? random() % 3 : 0).c_str(), static_cast<int64_t>(random() % 3'000),
               0);
  };
  for (int i = 0; i < n; ++i) {
    auto& standing = stream.standing;
    const auto change = [&](TestRow row, Op op) {
      row.op = op;
      stream.changes.push_back(std::move(row));
    };
    if (updates && i % 1'500 == 1'499) {
      const std::string place = absl::StrCat("p", random() % 3);
      const auto gone = std::partition(standing.begin(), standing.end(), [&](const TestRow& row) {
        return std::get<std::string>(row.cells[0]) != place;
      });
      for (auto row = gone; row != standing.end(); ++row) change(*row, Op::kDelete);
      standing.erase(gone, standing.end());
    }
    const uint64_t what = !updates || standing.empty() ? 0 : random() % 5;
    if (what == 1) {
      const size_t at = random() % standing.size();
      change(standing[at], Op::kDelete);
      standing.erase(standing.begin() + static_cast<int64_t>(at));
    } else if (what == 2) {
      TestRow& row = standing[random() % standing.size()];
      change(row, Op::kUpdateBefore);
      row = make();
      change(row, Op::kUpdateAfter);
    } else {
      standing.push_back(make());
      change(standing.back(), Op::kInsert);
    }
  }
  return stream;
}

class LargeGroupsOfARow : public testing::TestWithParam<std::tuple<bool, size_t, bool>> {};

TEST_P(LargeGroupsOfARow, StandAfterCrashesAsTheyWere) {
  const auto [updates, batch_size, little_memory] = GetParam();
  MemoryBudget little(1 << 10), enough(int64_t{1} << 30);
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const Stream stream = RandomStream(seed, 4'000, updates);
    Harness h(Single(ManyValues(updates)), {}, little_memory ? &little : &enough);
    h.FeedWithCrashes(stream.changes, batch_size, seed, 60, 700);
    h.Commit();
    EXPECT_GT(h.store().needs_format(), 0u) << "some groups were large";
    EXPECT_EQ(Fold(h.out().rows, {0}), Model(stream.standing)) << seed;
    h.Crash();
    TestRow more = Row("p0", -1, 0);
    more.op = Op::kInsert;
    h.Process({more});
    h.Commit();
    std::vector<TestRow> standing = stream.standing;
    standing.push_back(more);
    EXPECT_EQ(Fold(h.out().rows, {0}), Model(standing)) << seed;
  }
}
INSTANTIATE_TEST_SUITE_P(All, LargeGroupsOfARow,
                         testing::Combine(testing::Bool(), testing::Values(1, 2, 7, 100), testing::Bool()));

TEST(LargeGroups, ACommitWritesWhatHasCome) {
  Harness h(Single(ManyValues(false)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 10'000; ++i) rows.push_back(Row("p", i, 0));
  h.Feed(rows, 1000);
  h.Commit();
  const int64_t whole = h.store().written_bytes();
  for (int64_t i = 0; i < 200; ++i) {
    rows.push_back(Row("p", 50'000 + i, 0));
    h.Process({rows.back()});
    h.Commit();
    if (i % 100 == 0) h.Crash();
  }
  // Once more whole after each crash, as nothing had been noted of the group, and 200 times what has come.
  EXPECT_GT(whole, 10'000 * 4);
  EXPECT_LT(h.store().written_bytes() - whole, 3 * whole + 200 * 200);
  EXPECT_EQ(Fold(h.out().rows, {0}), Model(rows));
}

TEST(LargeGroups, AGroupThatIsGoneLeavesNothing) {
  Harness h(Single(ManyValues(true)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 2'000; ++i) rows.push_back(Row("p", i, 0));
  h.Feed(rows, 1000);
  h.Commit();
  for (int64_t i = 0; i < 20; ++i) {
    rows.push_back(Row("p", 5'000 + i, 0));
    h.Process({rows.back()});
    h.Commit();
  }
  EXPECT_GT(h.store().Count("d"), 0);
  for (TestRow& row : rows) row.op = Op::kDelete;
  h.Feed(rows, 1000);
  h.Commit();
  EXPECT_EQ(h.store().Count("d"), 0);
  EXPECT_THAT(Fold(h.out().rows, {0}), IsEmpty());
  // Another group gets its number.
  h.Process({Row("q", 1, 0)});
  h.Commit();
  h.Crash();
  h.Process({Row("q", 2, 0)});
  h.Commit();
  EXPECT_THAT(Fold(h.out().rows, {0}), ElementsAre(Pair("q", "q|2|3|2|1|1")));
}

TEST(LargeGroups, TheirRecordsAreReadInTheOrderInWhichTheyWereWritten) {
  LargeGroups groups;
  groups.Begin(7, 10'000);
  groups.Begin(3, 10'000);
  std::map<uint32_t, std::string> log;
  for (const auto& [group, text] : std::vector<std::pair<uint32_t, std::string>>{{7, "a"}, {3, "b"}, {7, "c"}}) {
    std::string changes = text;
    const std::optional<uint32_t> number = groups.Add(group, &changes);
    ASSERT_TRUE(number);
    log[*number] = changes;
  }
  LargeGroups loaded;
  std::vector<std::pair<uint32_t, std::string>> seen;
  const auto load = [&] {
    loaded = LargeGroups();
    seen.clear();
    for (auto record = log.rbegin(); record != log.rend(); ++record) {
      const std::string_view bytes = record->second;
      EXPECT_TRUE(loaded.LoadRecord(record->first, &bytes).ok());
    }
    return loaded.FinishLoad([&](uint32_t group, std::string_view changes) {
      seen.emplace_back(group, changes);
      return absl::OkStatus();
    });
  };
  ASSERT_TRUE(load().ok());
  EXPECT_THAT(seen, ElementsAre(Pair(3, "b"), Pair(7, "a"), Pair(7, "c")));
  std::string more = "d";
  EXPECT_FALSE(loaded.Add(7, &more)) << "not written whole since";
  std::vector<uint32_t> erased;
  loaded.Forget(7, [&](uint32_t number) { erased.push_back(number); });
  EXPECT_EQ(erased.size(), 2u);
  for (const uint32_t number : erased) log.erase(number);
  ASSERT_TRUE(load().ok());
  EXPECT_THAT(seen, ElementsAre(Pair(3, "b")));
}

TEST(LargeGroups, ARecordThatIsLostIsMissed) {
  LargeGroups groups;
  groups.Begin(1, 10'000);
  std::string first = "a", second = "b";
  groups.Add(1, &first);
  ASSERT_TRUE(groups.Add(1, &second));
  LargeGroups loaded;
  const std::string_view bytes = second;
  ASSERT_TRUE(loaded.LoadRecord(1, &bytes).ok());
  EXPECT_EQ(loaded.FinishLoad([](uint32_t, std::string_view) { return absl::OkStatus(); }).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tidemark
