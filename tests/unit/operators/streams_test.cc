// The join of two streams against a model: which rows are late, and what SQL makes of the others.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/partitions.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

struct Options {
  int64_t before = 0, after = 0, grace = 0;
  bool left = false, right = false;
  std::string key = "int64 null";
};

// left (k, a), right (k, b): out (k, a, b).
Node JoinNode(const Options& options) {
  StreamJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.before_us = options.before;
  spec.after_us = options.after;
  spec.grace_us = options.grace;
  spec.outer = {options.left, options.right};
  spec.columns = {1};
  spec.late_topic = {true, true};
  Node node = MakeNode(spec, Columns("k " + options.key + ", a int64"), HiddenSet().With(Hidden::kWatermark),
                       Columns("k " + options.key + ", a int64 null, b string null"));
  node.inputs.push_back({.nodes = {},
                         .schema = Columns("k " + options.key + ", b string"),
                         .hidden = HiddenSet().With(Hidden::kWatermark),
                         .mode = {},
                         .passed = {}});
  node.side_topics = {{kLateSides[0], "l", 0}, {kLateSides[1], "r", 1}};
  node.hidden = HiddenSet();
  return node;
}

// Two sources of each input; rows of each lie out of order, some beyond what their watermark allows.
std::vector<Partition> RandomInput(uint64_t seed, int rows, int64_t out_of_orderness, bool text_keys) {
  std::mt19937_64 random(seed);
  std::vector<Partition> partitions = {{.port = 0}, {.port = 0}, {.port = 1}, {.port = 1}};
  for (int i = 0; i < rows; ++i) {
    Partition& partition = partitions[random() % 4];
    TestRow row;
    row.time = int64_t{i} * 400'000 - static_cast<int64_t>(random() % 8'000'000) - 20'000'000;
    const auto key = static_cast<int64_t>(random() % 6);
    row.cells = {key == 5 ? Cell() : text_keys ? Cell(absl::StrCat("key ", key)) : Cell(key)};
    if (partition.port == 0) {
      row.cells.emplace_back(int64_t{i});
    } else {
      row.cells.emplace_back(absl::StrCat("row ", i, std::string(random() % 30, '-')));
    }
    partition.newest = std::max(partition.newest, row.time);
    row.watermark = partition.newest - out_of_orderness;
    partition.rows.push_back(std::move(row));
  }
  return partitions;
}

bool IsLate(const TestRow& row, const Options& options) { return row.time + options.grace < row.watermark; }

std::string Text(const Cell& key, const TestRow* left, const TestRow* right) {
  TestRow out;
  out.cells = {key, left ? left->cells[1] : Cell(), right ? right->cells[1] : Cell()};
  out.time = std::max(left ? left->time : kMinTime.us, right ? right->time : kMinTime.us);
  return ToString(out);
}

// SQL over the rows that aren't late.
std::vector<std::string> Model(const std::vector<Partition>& partitions, const Options& options) {
  std::vector<const TestRow*> sides[2];
  for (const Partition& partition : partitions) {
    for (const TestRow& row : partition.rows) {
      if (!IsLate(row, options)) sides[partition.port].push_back(&row);
    }
  }
  std::vector<std::string> out;
  std::vector<bool> matched(sides[1].size());
  for (const TestRow* left : sides[0]) {
    bool any = false;
    for (size_t r = 0; r < sides[1].size(); ++r) {
      const TestRow* right = sides[1][r];
      if (left->cells[0].index() == 0 || left->cells[0] != right->cells[0]) continue;
      if (right->time < left->time - options.before || right->time > left->time + options.after) continue;
      any = matched[r] = true;
      out.push_back(Text(left->cells[0], left, right));
    }
    if (!any && options.left) out.push_back(Text(left->cells[0], left, nullptr));
  }
  for (size_t r = 0; r < sides[1].size(); ++r) {
    if (!matched[r] && options.right) out.push_back(Text(sides[1][r]->cells[0], nullptr, sides[1][r]));
  }
  return out;
}

class StreamsModelTest : public testing::TestWithParam<size_t> {};

TEST_P(StreamsModelTest, RowsAreWhatSqlMakesOfThoseThatAreNotLateInWhateverOrderTheInputsCome) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Options options;
    options.before = static_cast<int64_t>(seed % 4) * 2'500'000;
    options.after = static_cast<int64_t>(seed % 3) * 1'500'000;
    options.grace = seed % 5 == 0 ? 2'000'000 : 0;
    options.left = seed % 2 == 0;
    options.right = seed / 2 % 2 == 0;
    if (seed % 6 == 1) options.key = "string null";
    const std::vector<Partition> input = RandomInput(seed, 400, 6'000'000, seed % 6 == 1);
    const std::vector<std::string> expected = Model(input, options);
    for (const auto& [crashes, spilled] : {std::pair(false, false), {true, false}, {true, true}}) {
      MemoryBudget nothing(0, 0);
      Driver driver(input, JoinNode(options), GetParam(), seed * 2 + crashes, crashes, spilled ? &nothing : nullptr);
      if (seed % 3 == 0) driver.harness().out().set_full_after(5);
      driver.Run();
      EXPECT_THAT(Texts(driver.harness().out().rows), UnorderedElementsAreArray(expected)) << "seed " << seed;
      driver.harness().CheckLedger();
      const StepLedger& ledger = driver.harness().ledger();
      EXPECT_GE(ledger.late, options.grace == 0 ? 1 : 0);
      EXPECT_EQ(ledger.late, static_cast<int64_t>(driver.harness().out().late.size()));
      EXPECT_EQ(ledger.in, 400);
      if (spilled) driver.harness().Commit();  // what dropped buckets have left on disk
      EXPECT_EQ(driver.harness().store().Count("l"), 0) << "all that is over is deleted";
      EXPECT_EQ(driver.harness().store().Count("r"), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, StreamsModelTest, testing::Values(1, 2, 7, 1000));

// ---- Edges, one by one

TestRow Left(int64_t key, int64_t a, int64_t seconds) {
  return {.cells = {key < 0 ? Cell() : Cell(key), a}, .time = seconds * kSecond};
}
TestRow Right(int64_t key, const std::string& b, int64_t seconds) {
  return {.cells = {key < 0 ? Cell() : Cell(key), b}, .time = seconds * kSecond};
}
std::vector<std::string> Rows(Harness& harness) { return CellsText(harness.out().rows); }

TEST(StreamsTest, BothEndsOfTheIntervalBelongToIt) {
  Harness harness(JoinNode({.before = 5 * kSecond, .after = 2 * kSecond}));
  harness.Process({Left(1, 10, 100)}, 0);
  harness.Process({Right(1, "94", 94), Right(1, "95", 95), Right(1, "102", 102), Right(1, "103", 103)}, 1);
  EXPECT_THAT(Rows(harness), UnorderedElementsAre("1|10|95", "1|10|102"));
  EXPECT_EQ(harness.out().rows[0].time, 100 * kSecond) << "the later of the two times";
  EXPECT_EQ(harness.out().rows[1].time, 102 * kSecond);
}

TEST(StreamsTest, ARowWithoutMatchComesOnceWhenNothingCanMatchItAnyMore) {
  Harness harness(JoinNode({.before = 5 * kSecond, .after = 2 * kSecond, .grace = kSecond, .left = true}));
  harness.Process({Left(1, 10, 100), Left(2, 20, 100)}, 0);
  EXPECT_EQ(harness.Advance(103 * kSecond), EventTime{100 * kSecond});
  EXPECT_THAT(Rows(harness), IsEmpty()) << "a row at 102 isn't late yet";
  harness.Process({Right(2, "in time", 102)}, 1);
  EXPECT_EQ(harness.Advance(103 * kSecond + 1), EventTime{100 * kSecond + 1});
  EXPECT_THAT(Rows(harness), ElementsAre("2|20|in time", "1|10|NULL"));
  EXPECT_EQ(harness.out().rows[1].time, 100 * kSecond);
  harness.Commit();
  harness.Crash();
  harness.Advance(1000 * kSecond);
  EXPECT_EQ(harness.out().rows.size(), 2u);
  harness.Commit();
  EXPECT_EQ(harness.store().Count("l"), 0) << "it is deleted";
}

TEST(StreamsTest, AMatchThatCameBeforeACrashCountsAfterIt) {
  Harness harness(JoinNode({.after = 2 * kSecond, .left = true, .right = true}));
  harness.Process({Left(1, 10, 100)}, 0);
  harness.Commit();
  harness.Process({Right(1, "x", 101)}, 1);
  harness.Commit();
  harness.Crash();
  harness.Advance(1000 * kSecond);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|x"));
}

TEST(StreamsTest, ANullInTheKeyMatchesNothing) {
  Harness inner(JoinNode({.after = kSecond}));
  inner.Process({Left(-1, 10, 1)}, 0);
  inner.Process({Right(-1, "x", 1)}, 1);
  EXPECT_THAT(Rows(inner), IsEmpty());
  EXPECT_EQ(inner.ledger().unmatched, 2);
  Harness full(JoinNode({.after = kSecond, .left = true, .right = true}));
  full.Process({Left(-1, 10, 1)}, 0);
  full.Process({Right(-1, "x", 1)}, 1);
  EXPECT_THAT(Rows(full), ElementsAre("NULL|10|NULL", "NULL|NULL|x")) << "at once";
  EXPECT_EQ(full.ledger().passed, 2);
}

TEST(StreamsTest, ARowOfTheRightAloneShowsItsKey) {
  Harness harness(JoinNode({.after = kSecond, .right = true}));
  harness.Process({Right(7, "x", 1)}, 1);
  harness.Advance(100 * kSecond);
  EXPECT_THAT(Rows(harness), ElementsAre("7|NULL|x"));
}

TEST(StreamsTest, ARowOfAPartitionThatComesBackFromIdleIsLateByTheOperatorsTime) {
  Harness harness(JoinNode({.after = kSecond, .left = true}));
  harness.Process({Left(1, 10, 100)}, 0);
  harness.Advance(200 * kSecond);
  harness.Commit();
  harness.Crash(false);
  harness.Process({Right(1, "x", 100)}, 1);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|NULL"));
  EXPECT_EQ(harness.ledger().late, 1);
}

TEST(StreamsTest, ASideIsKeptAsLongAsTheOtherMayStillNeedIt) {
  Harness harness(JoinNode({.before = 10 * kSecond, .after = 10 * kSecond}));
  for (int64_t s = 0; s < 1000; ++s) harness.Process({Right(1, "ahead", s)}, 1);
  harness.Process({Left(1, 10, 500)}, 0);
  EXPECT_EQ(harness.out().rows.size(), 21u);
  harness.Advance(500 * kSecond);
  harness.Commit();
  const auto kept = harness.store().Count("rb");
  harness.Advance(990 * kSecond);
  harness.Commit();
  EXPECT_LE(harness.store().Count("rb"), 4) << "of " << kept;
}

TEST(StreamsTest, RowsLargerThanAValueOfStateAreKept) {
  Harness harness(JoinNode({.after = kSecond}));
  harness.Process({Right(1, std::string(700'000, 'x'), 1), Right(1, "small", 1)}, 1);
  harness.Commit();
  harness.Crash();
  harness.Process({Left(1, 10, 1)}, 0);
  ASSERT_EQ(harness.out().rows.size(), 2u);
  EXPECT_THAT(Rows(harness), UnorderedElementsAre("1|10|small", "1|10|" + std::string(700'000, 'x')));
}

TEST(StreamsTest, RowsThatHaveLeftMemoryAreFoundMatchedAndGivenOutAsTheOthers) {
  MemoryBudget nothing(0, 0);
  Harness harness(JoinNode({.before = 100 * kSecond, .after = 100 * kSecond, .left = true}), {}, &nothing);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 3000; ++i) rows.push_back(Left(i % 1500, i, i % 100));
  harness.Process(rows, 0);
  harness.Commit();
  EXPECT_EQ(harness.store().Count("lb"), 0) << "all of them have left";
  EXPECT_GT(harness.store().Count("lx"), 10);
  harness.Crash();
  // Two of each key that is asked for, at once.
  std::vector<TestRow> asked;
  for (int64_t key = 1400; key < 1600; ++key) asked.push_back(Right(key, "r", 50));
  harness.Process(asked, 1);
  EXPECT_EQ(harness.out().rows.size(), 200u);
  harness.Commit();
  harness.Crash();
  EXPECT_EQ(harness.Advance(199 * kSecond), EventTime{0}) << "a bucket is given out when it is over";
  EXPECT_EQ(harness.out().rows.size(), 200u);
  harness.Advance(1000 * kSecond);
  ASSERT_EQ(harness.out().rows.size(), 200u + 2800u);
  harness.Commit();
  harness.Commit();
  EXPECT_EQ(harness.store().Count("l"), 0);
}

TEST(StreamsTest, ClosingReachesFarEnoughForTheLastRowsWithoutMatchAlsoOnDisk) {
  MemoryBudget nothing(0, 0);
  const Node node = JoinNode({.before = 100 * kSecond, .after = 50 * kSecond, .grace = kSecond, .left = true});
  Harness harness(node, {}, &nothing);
  harness.Process({Left(1, 10, 0), Left(2, 20, 0)}, 0);
  harness.Commit();
  ASSERT_EQ(harness.store().Count("lb"), 0) << "they have left memory";
  harness.Advance(node.spec.kind().HoldsUs(node));
  EXPECT_THAT(Rows(harness), UnorderedElementsAre("1|10|NULL", "2|20|NULL"));
}

// With rows in memory, and on disk.
class MoreGraceTest : public testing::TestWithParam<bool> {};

TEST_P(MoreGraceTest, WhatWasOverStaysOver) {
  MemoryBudget nothing(0, 0);
  Options options{.before = 100 * kSecond, .after = 100 * kSecond, .grace = 0, .left = true};
  Harness harness(JoinNode(options), {}, GetParam() ? &nothing : nullptr);
  harness.Process({Left(1, 10, 10), Left(2, 20, 97), Left(3, 30, 110)}, 0);
  harness.Commit();
  harness.Advance(195 * kSecond);
  harness.Commit();
  const std::vector<std::string> before = Rows(harness);
  EXPECT_EQ(before.size(), GetParam() ? 0u : 1u) << "the row at 10, or none of a bucket that isn't over";
  options.grace = 150 * kSecond;
  harness.GoOnWith(JoinNode(options));
  EXPECT_EQ(Rows(harness), before);
  // By the old grace the first of each is late and the other isn't.
  harness.Process({Right(1, "late", 98), Right(2, "in time", 196)}, 1);
  harness.Process({Left(4, 40, 20), Left(5, 50, 197)}, 0);
  EXPECT_EQ(harness.ledger().late, 2);
  harness.Advance(344 * kSecond);
  harness.Commit();
  harness.Crash();
  harness.Process({Right(3, "by the new grace", 205)}, 1);
  harness.Advance(10'000 * kSecond);
  harness.Commit();
  EXPECT_THAT(Rows(harness), UnorderedElementsAre("1|10|NULL", "2|20|in time", "3|30|by the new grace", "5|50|NULL"));
  harness.Commit();
  EXPECT_EQ(harness.store().Count("l"), 0) << "all that is over is deleted";
  EXPECT_EQ(harness.store().Count("r"), 0);
}

INSTANTIATE_TEST_SUITE_P(InMemoryAndOnDisk, MoreGraceTest, testing::Bool());

TEST(StreamsTest, GraceThatGrewAndShrankAgainLeavesTheHorizonWhereItWas) {
  Options options{.before = 10 * kSecond, .after = 10 * kSecond, .grace = 0, .left = true};
  Harness harness(JoinNode(options));
  for (const int64_t grace : {0, 150, 0}) {
    options.grace = grace * kSecond;
    harness.GoOnWith(JoinNode(options));
    harness.Advance(195 * kSecond);
    harness.Commit();
  }
  harness.Process({Left(1, 10, 194), Left(2, 20, 196)}, 0);
  harness.Process({Right(2, "in time", 196)}, 1);
  EXPECT_EQ(harness.ledger().late, 1);
  EXPECT_THAT(Rows(harness), UnorderedElementsAre("2|20|in time"));
}

TEST(StreamsTest, AFullCommitStopsAmongRowsOnDiskAndTheNextGoesOnThere) {
  MemoryBudget nothing(0, 0);
  Harness harness(JoinNode({.after = kSecond, .right = true}), {}, &nothing);
  const std::string large(500, 'x');  // together more than a range of the runs
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 20'000; ++i) rows.push_back(Right(i, large, 5));
  for (size_t at = 0; at < rows.size(); at += 1000) {
    harness.Process({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(at + 1000)}, 1);
    harness.Commit();
  }
  harness.out().set_full_after(1);
  const uint64_t before = harness.commit();
  harness.Advance(100 * kSecond);
  EXPECT_GT(harness.commit(), before + 1);
  std::vector<std::string> found = Rows(harness);
  EXPECT_EQ(found.size(), rows.size());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(std::unique(found.begin(), found.end()), found.end()) << "each once";
}

TEST(StreamsTest, AKeyWithManyRowsOnBothSidesMeetsAllOfThem) {
  Harness harness(JoinNode({.before = kSecond, .after = kSecond}));
  const std::vector<TestRow> left(200, Left(1, 10, 5)), right(150, Right(1, "x", 5));
  harness.Process(left, 0);
  harness.Process(right, 1);
  EXPECT_EQ(harness.out().rows.size(), 200u * 150u);
}

}  // namespace
}  // namespace tidemark
