// The join of two tables that change against a model: of the rows that stand in both, SQL's join.
#include "operators/join/tables_spec.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "src/base/mutation.h"
#include "tests/unit/operators/partitions.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// How the rows of a side are told apart: by the join's column alone, by another one alone, or by both.
enum class By { kJoin, kOther, kBoth };

struct Options {
  std::array<bool, 2> outer = {};
  By left = By::kOther, right = By::kJoin;
  std::string key = "int64 null";
  bool wide = false;
};

ColumnList KeyOf(By by) {
  return by == By::kJoin ? ColumnList{1} : by == By::kOther ? ColumnList{0} : ColumnList{0, 1};
}

// left (i, k, a), right (j, k, b): out (i, k, a, j, b).
Node JoinNode(const Options& options) {
  TableJoinSpec spec;
  spec.on = {ColumnList{1}, ColumnList{1}};
  if (options.left != By::kJoin) spec.key[0] = {0};
  if (options.right != By::kJoin) spec.key[1] = {0};
  spec.outer = options.outer;
  spec.columns = {0, 2};
  const Schema left = Columns("i int64 null, k " + options.key + ", a string null");
  const Schema right = Columns("j int64 null, k " + options.key + ", b string null");
  Node node = MakeNode(spec, left, UpdateHidden(),
                       Columns("i int64 null, k " + options.key + ", a string null, j int64 null, b string null"));
  node.inputs[0].mode = {true, KeyOf(options.left)};
  node.inputs.push_back(
      {.nodes = {}, .schema = right, .hidden = UpdateHidden(), .mode = {true, KeyOf(options.right)}, .passed = {}});
  node.mode = {true, {1}};
  if (options.left != By::kJoin) node.mode.key.push_back(0);
  if (options.right != By::kJoin) node.mode.key.push_back(3);
  return node;
}

std::string KeyText(const TestRow& row, const ColumnList& key) {
  TestRow cells;
  for (const size_t c : key) cells.cells.push_back(row.cells[c]);
  return CellsText(cells);
}

using Standing = std::map<std::string, TestRow>;  // by key

// Changes of one table, exact: what takes a row back is that row. Two partitions a side, each with keys of its own.
std::vector<Partition> RandomInput(uint64_t seed, int changes, const Options& options, std::array<Standing, 2>* stand) {
  std::mt19937_64 random(seed);
  std::vector<Partition> partitions = {{.port = 0}, {.port = 0}, {.port = 1}, {.port = 1}};
  for (int n = 0; n < changes; ++n) {
    const size_t p = random() % 4, side = p / 2;
    const By by = side == 0 ? options.left : options.right;
    const auto key = static_cast<int64_t>(random() % 6);
    const auto other = static_cast<int64_t>(random() % 8) * 2 + static_cast<int64_t>(p % 2);
    TestRow row{.time = int64_t{n} * 1000};
    // Told apart by the join's column, each partition has its own values of it.
    const int64_t k = by == By::kJoin ? key * 2 + static_cast<int64_t>(p % 2) : key;
    row.cells = {
        other,
        k == 5                  ? Cell()
        : options.key[0] == 's' ? Cell(absl::StrCat("key ", k))
                                : Cell(k),
        random() % 9 == 0 ? Cell() : Cell(absl::StrCat("v", random() % 3, std::string(options.wide ? 700 : 0, '-')))};
    Standing& now = (*stand)[side];
    const std::string name = KeyText(row, KeyOf(by));
    const auto old = now.find(name);
    std::vector<TestRow>& out = partitions[p].rows;
    const bool goes = old != now.end() && random() % 3 == 0;
    if (old != now.end()) {
      out.push_back(old->second);
      out.back().op = goes ? Op::kDelete : Op::kUpdateBefore;
    }
    if (goes) {
      now.erase(old);
      continue;
    }
    out.push_back(row);
    out.back().op = old != now.end() ? Op::kUpdateAfter : Op::kInsert;
    now[name] = row;
  }
  return partitions;
}

std::map<std::string, std::string> Model(const std::array<Standing, 2>& stand, const Options& options,
                                         const Node& node) {
  std::map<std::string, std::string> out;
  const auto add = [&](const TestRow* left, const TestRow* right) {
    TestRow row;
    row.cells.resize(5);
    if (left != nullptr) std::copy(left->cells.begin(), left->cells.end(), row.cells.begin());
    if (right != nullptr) row.cells = {row.cells[0], right->cells[1], row.cells[2], right->cells[0], right->cells[2]};
    EXPECT_TRUE(out.emplace(KeyText(row, node.mode.key), CellsText(row)).second) << CellsText(row);
  };
  std::set<const TestRow*> matched;
  for (const auto& [i, left] : stand[0]) {
    for (const auto& [j, right] : stand[1]) {
      if (left.cells[1].index() == 0 || left.cells[1] != right.cells[1]) continue;
      matched.insert(&left);
      matched.insert(&right);
      add(&left, &right);
    }
  }
  for (const size_t s : {0, 1}) {
    for (const auto& [name, row] : stand[s]) {
      if (options.outer[s] && !matched.contains(&row)) s == 0 ? add(&row, nullptr) : add(nullptr, &row);
    }
  }
  return out;
}

// That a row goes with the time that it came with.
void CheckTimes(const std::vector<TestRow>& changes) {
  std::multimap<std::string, int64_t> times;
  for (const TestRow& row : changes) {
    const std::string text = CellsText(row);
    if (row.op == Op::kInsert || row.op == Op::kUpdateAfter) {
      times.emplace(text, row.time);
      continue;
    }
    const auto [from, to] = times.equal_range(text);
    const auto found = std::find_if(from, to, [&](const auto& entry) { return entry.second == row.time; });
    ASSERT_NE(found, to) << ToString(row);
    times.erase(found);
  }
}

class TablesModelTest : public testing::TestWithParam<size_t> {};

TEST_P(TablesModelTest, WhatStandsIsTheJoinOfWhatStandsInBoth) {
  for (uint64_t seed = 1; seed <= 9; ++seed) {
    Options options;
    options.outer = {seed % 2 == 1, seed % 4 >= 2};
    options.left = static_cast<By>(seed % 3);
    options.right = static_cast<By>(seed / 3 % 3);
    if (seed % 5 == 0) options.key = "string null";
    options.wide = seed % 6 == 1;
    std::array<Standing, 2> stand;
    const std::vector<Partition> input = RandomInput(seed, 140, options, &stand);
    const Node node = JoinNode(options);
    const auto expected = Model(stand, options, node);
    for (const auto& [crashes, spilled] : {std::pair(false, false), {true, false}, {true, true}}) {
      MemoryBudget nothing(0, 0);
      Driver driver(input, node, GetParam(), seed * 2 + crashes, crashes, spilled ? &nothing : nullptr,
                    [](const TestRow&) { return kMaxTime.us; });
      driver.Run();
      Harness& harness = driver.harness();
      EXPECT_EQ(Fold(harness.out().rows, node.mode.key), expected) << "seed " << seed;
      CheckTimes(harness.out().rows);
      harness.CheckLedger();
    }
    if (testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, TablesModelTest, testing::Values(1, 2, 7, 1000));

// ---- Edges, one by one

TestRow Row(Op op, Cell i, Cell k, const std::string& value, int64_t time = 0) {
  return {.cells = {i, k, value}, .time = time, .op = op};
}
std::vector<std::string> Take(Harness* harness) {
  std::vector<std::string> out;
  const char* const names[] = {"+", "-U", "+U", "-"};
  for (const TestRow& row : harness->out().rows) {
    out.push_back(absl::StrCat(names[static_cast<size_t>(row.op)], " ", CellsText(row)));
  }
  harness->out().rows.clear();
  return out;
}

TEST(TablesTest, AChangeOfEitherSideReplacesTheRowsItIsPartOfAndNoOthers) {
  Harness harness(JoinNode({}));
  harness.Process(
      {Row(Op::kInsert, 1, 7, "order 1"), Row(Op::kInsert, 2, 7, "order 2"), Row(Op::kInsert, 3, 8, "order 3")});
  EXPECT_THAT(Take(&harness), IsEmpty());
  harness.Process({Row(Op::kInsert, 50, 7, "Ann")}, 1);
  EXPECT_THAT(Take(&harness), ElementsAre("+ 1|7|order 1|50|Ann", "+ 2|7|order 2|50|Ann"));
  harness.Process({Row(Op::kUpdateBefore, 50, 7, "Ann"), Row(Op::kUpdateAfter, 50, 7, "Anna")}, 1);
  EXPECT_THAT(Take(&harness), ElementsAre("-U 1|7|order 1|50|Ann", "+U 1|7|order 1|50|Anna", "-U 2|7|order 2|50|Ann",
                                          "+U 2|7|order 2|50|Anna"));
  harness.Process({Row(Op::kUpdateBefore, 2, 7, "order 2"), Row(Op::kUpdateAfter, 2, 7, "order 2b")});
  EXPECT_THAT(Take(&harness), ElementsAre("-U 2|7|order 2|50|Anna", "+U 2|7|order 2b|50|Anna"));
  harness.Process({Row(Op::kDelete, 50, 7, "Anna")}, 1);
  EXPECT_THAT(Take(&harness), ElementsAre("- 1|7|order 1|50|Anna", "- 2|7|order 2b|50|Anna"));
}

TEST(TablesTest, ARowWhoseForeignKeyChangesLeavesItsMatchAndMeetsAnother) {
  Harness harness(JoinNode({.outer = {true, false}}));
  harness.Process({Row(Op::kInsert, 50, 7, "Ann"), Row(Op::kInsert, 51, 8, "Bob")}, 1);
  harness.Process({Row(Op::kInsert, 1, 7, "order")});
  EXPECT_THAT(Take(&harness), ElementsAre("+ 1|7|order|50|Ann"));
  harness.Process({Row(Op::kUpdateBefore, 1, 7, "order"), Row(Op::kUpdateAfter, 1, 8, "order")});
  EXPECT_THAT(Take(&harness), ElementsAre("- 1|7|order|50|Ann", "+ 1|8|order|51|Bob"));
  harness.Process({Row(Op::kUpdateBefore, 1, 8, "order"), Row(Op::kUpdateAfter, 1, Cell(), "order")});
  EXPECT_THAT(Take(&harness), ElementsAre("- 1|8|order|51|Bob", "+ 1|NULL|order|NULL|NULL"));
  harness.Process({Row(Op::kUpdateBefore, 1, Cell(), "order"), Row(Op::kUpdateAfter, 1, 9, "order")});
  EXPECT_THAT(Take(&harness), ElementsAre("- 1|NULL|order|NULL|NULL", "+ 1|9|order|NULL|NULL"));
}

TEST(TablesTest, ARowOfAnOuterSideStandsAloneUntilItsFirstMatchAndAgainAfterItsLast) {
  Harness harness(JoinNode({.outer = {true, true}, .left = By::kJoin}));
  harness.Process({Row(Op::kInsert, 1, 7, "a")});
  EXPECT_THAT(Take(&harness), ElementsAre("+ 1|7|a|NULL|NULL"));
  harness.Process({Row(Op::kInsert, 50, 7, "b")}, 1);
  EXPECT_THAT(Take(&harness), ElementsAre("-U 1|7|a|NULL|NULL", "+U 1|7|a|50|b"))
      << "one key, so one row replaces another";
  harness.Process({Row(Op::kDelete, 1, 7, "a")});
  EXPECT_THAT(Take(&harness), ElementsAre("-U 1|7|a|50|b", "+U NULL|7|NULL|50|b")) << "its key is the right one's";
  harness.Process({Row(Op::kDelete, 50, 7, "b")}, 1);
  EXPECT_THAT(Take(&harness), ElementsAre("- NULL|7|NULL|50|b"));
}

TEST(TablesTest, WhatDoesNotChangeARowEmitsNothingAndKeepsItsTime) {
  Harness harness(JoinNode({}));
  harness.Process({Row(Op::kInsert, 1, 7, "a", 10)});
  harness.Process({Row(Op::kInsert, 50, 7, "b", 20)}, 1);
  Take(&harness);
  harness.Process({Row(Op::kUpdateBefore, 50, 7, "b", 20), Row(Op::kUpdateAfter, 50, 7, "b", 30)}, 1);
  EXPECT_THAT(Take(&harness), IsEmpty());
  harness.Process({Row(Op::kDelete, 50, 7, "b", 30)}, 1);
  ASSERT_THAT(harness.out().rows, SizeIs(1));
  EXPECT_EQ(harness.out().rows[0].time, 20);
}

TEST(TablesTest, AMatchThatLooksLikeNoneAndANullThatStaysOneEmitNothing) {
  Options options{.outer = {true, false}};
  Node node = JoinNode(options);
  node.spec.As<TableJoinSpec>().columns = {2};
  node.output = Columns("i int64 null, k int64 null, a string null, b string null");
  Harness harness(node);
  harness.Process({Row(Op::kInsert, 1, 7, "a", 10), Row(Op::kInsert, 2, Cell(), "a", 10)});
  EXPECT_THAT(Take(&harness), SizeIs(2));
  TestRow nobody = Row(Op::kInsert, 50, 7, "", 5);
  nobody.cells[2] = Cell();
  harness.Process({nobody}, 1);
  harness.Process({Row(Op::kUpdateBefore, 2, Cell(), "a", 10), Row(Op::kUpdateAfter, 2, Cell(), "a", 10)});
  EXPECT_THAT(Take(&harness), IsEmpty());
  harness.Process({Row(Op::kDelete, 1, 7, "a", 10)});
  EXPECT_THAT(Take(&harness), ElementsAre("- 1|7|a|NULL"));
}

TEST(TablesTest, WhatTakesBackARowThatIsNotKnownDoesNothing) {
  Harness harness(JoinNode({.outer = {true, true}}));
  harness.Process({Row(Op::kDelete, 1, 7, "a")});
  EXPECT_THAT(Take(&harness), IsEmpty());
  harness.Process({Row(Op::kUpdateBefore, 2, 7, "a"), Row(Op::kUpdateAfter, 2, 7, "b")});
  EXPECT_THAT(Take(&harness), ElementsAre("+ 2|7|b|NULL|NULL"));
}

int64_t StateBytes(Harness& harness) {
  int64_t bytes = 0;
  for (const auto& [key, value] : harness.store().live()) bytes += static_cast<int64_t>(key.size() + value.size());
  return bytes;
}

TEST(TablesTest, AHotKeyCostsAChangeOfARowAPageAndItsRowsLeaveNothingBehind) {
  constexpr int64_t kRows = 4'000;
  for (const bool spilled : {false, true}) {
    MemoryBudget nothing(0, 0);
    Harness harness(JoinNode({}), {}, spilled ? &nothing : nullptr);
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < kRows; ++i) rows.push_back(Row(Op::kInsert, i, 7, "v"));
    harness.Process(rows);
    harness.Commit();
    harness.Crash();
    const int64_t before = StateBytes(harness);
    harness.Process({Row(Op::kUpdateBefore, 5, 7, "v"), Row(Op::kUpdateAfter, 5, 7, "w")});
    harness.Commit();
    if (!spilled) {
      EXPECT_LT(StateBytes(harness) - before, before / 8) << "of " << before;
    }
    harness.Process({Row(Op::kInsert, 50, 7, "Ann")}, 1);
    EXPECT_THAT(Take(&harness), SizeIs(kRows));
    for (TestRow& row : rows) row.op = Op::kDelete;
    harness.Process(rows);
    EXPECT_THAT(Take(&harness), SizeIs(kRows));
    for (int64_t i = 0; i < 60; ++i) {  // the state is cleaned in proportion to what is written
      harness.Process({Row(i % 2 ? Op::kDelete : Op::kInsert, 1, 9, std::string(100'000, 'x'))});
      harness.Commit();
    }
    if (!spilled) {
      EXPECT_LT(StateBytes(harness), before / 2);
    }
  }
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST(TablesTest, AMutationThatForgetsMatchesIsSeen) {
  SetMutation(Mutation::kMatchesNotTakenBack, true);
  Harness harness(JoinNode({}));
  harness.Process({Row(Op::kInsert, 1, 7, "a"), Row(Op::kInsert, 2, 7, "a")});
  harness.Process({Row(Op::kInsert, 50, 7, "b"), Row(Op::kDelete, 50, 7, "b")}, 1);
  SetMutation(Mutation::kMatchesNotTakenBack, false);
  EXPECT_THAT(Take(&harness), SizeIs(3));
}
#endif

}  // namespace
}  // namespace tidemark
