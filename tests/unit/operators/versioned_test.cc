// The join with versions against a model: which rows are late or have expired, and the newest version of each key at a
// time, of all that aren't late.
#include "operators/join/versioned_spec.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

struct Options {
  int64_t keep = 1000 * kSecond, ahead = 0, grace = 0;
  bool left = true, as_of = true, deleted = true, unmatched_when_expired = false;
  std::string key = "int64 null";
};

// stream (k, a, at), table (k, b, gone): out (k, a, at, b).
Node JoinNode(const Options& options) {
  VersionedJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.left = options.left;
  spec.columns = {1};
  spec.as_of = options.as_of ? "\"at\"" : "";
  spec.deleted = options.deleted ? "gone" : "";
  spec.keep_us = options.keep;
  spec.ahead_us = options.ahead;
  spec.grace_us = options.grace;
  spec.expired_unmatched = options.unmatched_when_expired;
  spec.unmatched_topic = !options.left;
  spec.late_topic = true;
  const std::string stream = "k " + options.key + ", a int64, at timestamp_us null";
  Node node = MakeNode(spec, Columns(stream), AllHidden(), Columns(stream + ", b string null"));
  node.inputs.push_back({.nodes = {},
                         .schema = Columns("k " + options.key + ", b string, gone bool null"),
                         .hidden = AllHidden(),
                         .mode = {},
                         .passed = {}});
  node.side_topics = {{kLateVersions, "l", 1}};
  if (!options.left) node.side_topics.push_back({kUnmatched, "u", 0});
  return node;
}

int64_t Reached(const TestRow& row) { return row.watermark == kMinTime.us ? row.time : row.watermark; }

// Two partitions of each input; rows of each lie out of order, some beyond what their watermark allows. Times repeat,
// so that several versions of a key have one time, in one partition and in two.
std::vector<Partition> RandomInput(uint64_t seed, int rows, int64_t out_of_orderness, bool text_keys, bool made) {
  std::mt19937_64 random(seed);
  std::vector<Partition> partitions = {{.port = 0}, {.port = 0}, {.port = 1}, {.port = 1}};
  for (int i = 0; i < rows; ++i) {
    const size_t p = random() % 4;
    Partition& partition = partitions[p];
    TestRow row;
    row.time = int64_t{i} * 400'000 - static_cast<int64_t>(random() % 8'000'000) - 20'000'000;
    if (random() % 2 == 0) row.time = FloorTo(EventTime{row.time}, 2 * kSecond).us;
    row.source = static_cast<int32_t>(partition.port);
    row.partition = static_cast<int32_t>(p % 2);
    row.offset = static_cast<int64_t>(partition.rows.size()) / 2;  // two rows of a record
    const auto key = static_cast<int64_t>(random() % 6);
    row.cells = {key == 5 ? Cell() : text_keys ? Cell(absl::StrCat("key ", key)) : Cell(key)};
    if (partition.port == 0) {
      row.cells.emplace_back(int64_t{i});
      const int64_t back = std::vector<int64_t>{-2, 0, 3, 20, 50}[random() % 5] * kSecond;
      row.cells.push_back(random() % 20 == 0 ? Cell() : Cell(row.time - back));
    } else {
      row.cells.emplace_back(absl::StrCat("row ", i, std::string(random() % 300, '-')));
      row.cells.push_back(random() % 6 == 0 ? Cell(int64_t{1}) : random() % 6 == 0 ? Cell() : Cell(int64_t{0}));
    }
    partition.newest = std::max(partition.newest, row.time);
    row.watermark = partition.newest - out_of_orderness;
    // What an operator made is never late, and comes before its time has come.
    if (made && partition.port == 0 && row.time >= row.watermark) {
      row.watermark = kMinTime.us;
      row.offset = -1;
      row.source = row.partition = 0;
    }
    partition.rows.push_back(std::move(row));
  }
  return partitions;
}

struct Expected {
  std::vector<std::string> rows, unmatched, late;
  size_t dead_letters = 0;
};

Expected Model(const std::vector<Partition>& partitions, const Options& options) {
  Expected out;
  // By key and time: the version that counts, of those that aren't late.
  const auto order = [](const TestRow& row) {
    const bool none = row.cells[2] == Cell(int64_t{1});
    return std::tuple(row.source, row.partition, row.offset, none, none ? "" : std::get<std::string>(row.cells[1]));
  };
  std::map<Cell, std::map<int64_t, const TestRow*>> versions;
  for (const Partition& partition : partitions) {
    for (const TestRow& row : partition.rows) {
      if (partition.port == 0 || row.cells[0].index() == 0) continue;
      if (row.time + options.grace < Reached(row)) continue;
      const TestRow*& version = versions[row.cells[0]][row.time];
      if (version == nullptr || order(*version) < order(row)) version = &row;
    }
  }
  for (const Partition& partition : partitions) {
    for (const TestRow& row : partition.rows) {
      if (partition.port == 1) {
        if (row.time + options.grace < Reached(row)) out.late.push_back(ToString(row));
        continue;
      }
      const Cell as_of = options.as_of ? row.cells[2] : Cell(row.time);
      std::optional<Cell> found;
      bool dead = false;
      if (row.cells[0].index() != 0 && as_of.index() != 0) {
        const int64_t time = std::get<int64_t>(as_of);
        const bool expired = time + options.keep + options.grace < Reached(row);
        dead = (options.as_of && time > row.time + options.ahead) || (expired && !options.unmatched_when_expired);
        const auto& of_key = versions[row.cells[0]];
        auto version = of_key.upper_bound(time);
        if (!expired && version != of_key.begin() && (--version)->second->cells[2] != Cell(int64_t{1})) {
          found = version->second->cells[1];
        }
      }
      TestRow with = row;
      with.cells.push_back(found ? *found : Cell());
      if (dead) {
        ++out.dead_letters;
      } else if (found || options.left) {
        out.rows.push_back(ToString(with));
      } else {
        out.unmatched.push_back(ToString(row));
      }
    }
  }
  return out;
}

class VersionedModelTest : public testing::TestWithParam<size_t> {};

TEST_P(VersionedModelTest, EachRowMeetsTheVersionOfItsTimeInWhateverOrderTheInputsCome) {
  int64_t late = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Options options;
    options.keep = std::vector<int64_t>{0, 10, 40, 1000}[seed % 4] * kSecond;
    options.ahead = seed % 3 == 0 ? 0 : 5 * kSecond;
    options.grace = seed % 5 == 0 ? 2 * kSecond : 0;
    options.left = seed % 2 == 0;
    options.as_of = seed % 4 != 2;
    options.unmatched_when_expired = seed % 3 == 1;
    if (seed % 6 == 1) options.key = "string null";
    const std::vector<Partition> input = RandomInput(seed, 400, 6'000'000, seed % 6 == 1, seed % 7 == 3);
    const Expected expected = Model(input, options);
    for (const auto& [crashes, spilled] : {std::pair(false, false), {true, false}, {true, true}}) {
      MemoryBudget nothing(0, 0);
      Driver driver(input, JoinNode(options), GetParam(), seed * 2 + crashes, crashes, spilled ? &nothing : nullptr,
                    Reached);
      if (seed % 3 == 0) driver.harness().out().set_full_after(5);
      driver.Run();
      Harness& harness = driver.harness();
      EXPECT_THAT(Texts(harness.out().rows), UnorderedElementsAreArray(expected.rows)) << "seed " << seed;
      EXPECT_THAT(Texts(harness.out().unmatched), UnorderedElementsAreArray(expected.unmatched)) << "seed " << seed;
      EXPECT_THAT(Texts(harness.out().late), UnorderedElementsAreArray(expected.late)) << "seed " << seed;
      EXPECT_EQ(harness.out().failures.size(), expected.dead_letters) << "seed " << seed;
      harness.CheckLedger();
      EXPECT_EQ(harness.ledger().in, 400);
      late += harness.ledger().late;
    }
  }
  EXPECT_GT(late, 50);
}

INSTANTIATE_TEST_SUITE_P(Batches, VersionedModelTest, testing::Values(1, 2, 7, 1000));

// ---- A table of changes

std::vector<std::string> Rows(const Harness& harness);

Node ChangesJoinNode(const Options& options) {
  Node node = JoinNode(options);
  node.spec.As<VersionedJoinSpec>().changes = true;
  node.spec.As<VersionedJoinSpec>().late_topic = false;
  node.inputs[1].hidden = AllHidden().With(Hidden::kOp);
  node.inputs[1].mode = {true, {0}};
  node.side_topics.erase(node.side_topics.begin());
  return node;
}

// What a source of changes makes of its records: pairs, ends, and the times at which these were told.
class ChangesOf {
 public:
  explicit ChangesOf(Partition* partition) : partition_(*partition) {}

  // `b` nothing: the row is deleted.
  void Add(int64_t key, std::optional<std::string> b, int64_t time, int64_t out_of_orderness) {
    partition_.newest = std::max(partition_.newest, time);
    const int64_t watermark = partition_.newest - out_of_orderness;
    ++offset_;
    const auto add = [&](Op op, const std::string& text, int64_t row_time, int64_t row_watermark) {
      partition_.rows.push_back({.cells = {key, text, int64_t{0}},
                                 .time = row_time,
                                 .watermark = row_watermark,
                                 .source = 1,
                                 .partition = static_cast<int32_t>(key % 2),
                                 .offset = offset_,
                                 .op = op});
      partition_.reached.push_back(watermark);
    };
    const auto before = stands_.find(key);
    if (before != stands_.end()) {
      add(b ? Op::kUpdateBefore : Op::kDelete, before->second.first, before->second.second, std::max(watermark, time));
      stands_.erase(before);
      if (!b) changed(key, std::nullopt, std::max(watermark, time));
    } else if (!b) {
      return;
    }
    if (!b) return;
    add(before == stands_.end() && partition_.rows.size() > 0 && partition_.rows.back().op == Op::kUpdateBefore &&
                partition_.rows.back().offset == offset_
            ? Op::kUpdateAfter
            : Op::kInsert,
        *b, time, watermark);
    stands_[key] = {*b, time};
    changed(key, b, std::max(watermark, time));
  }

  // By key, in their order: from when on, and the row.
  std::map<int64_t, std::vector<std::pair<int64_t, std::optional<std::string>>>> versions;

 private:
  void changed(int64_t key, const std::optional<std::string>& b, int64_t from) {
    auto& of_key = versions[key];
    of_key.emplace_back(of_key.empty() ? from : std::max(from, of_key.back().first), b);
  }

  Partition& partition_;
  int64_t offset_ = 0;
  std::map<int64_t, std::pair<std::string, int64_t>> stands_;
};

// A stream of two partitions, and a table whose rows come, are replaced and go, by times that lie out of order, some
// behind the watermark; batches part halves of updates, and rows of the table leave memory.
TEST_P(VersionedModelTest, ARowMeetsTheRowThatAChangingTableHadAtItsTime) {
  constexpr int64_t kOutOfOrder = 4 * kSecond;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Partition> input = RandomInput(seed, 400, kOutOfOrder, false, false);
    input[2] = input[3] = {.port = 1};
    ChangesOf even(&input[2]), odd(&input[3]);
    for (int64_t i = 0; i < 400; ++i) {
      const auto key = static_cast<int64_t>(random() % 5);
      const int64_t time = i * 400'000 - static_cast<int64_t>(random() % 7'000'000) - 20'000'000;
      std::optional<std::string> b;
      if (random() % 4 != 0) b = absl::StrCat("row ", i, std::string(random() % 300, '-'));
      (key % 2 == 0 ? even : odd).Add(key, b, time, kOutOfOrder);
    }
    even.versions.merge(odd.versions);
    const Options options{.keep = 1000 * kSecond, .ahead = 5 * kSecond, .left = seed % 2 == 0, .deleted = false};
    std::vector<std::string> expected, unmatched;
    for (const size_t p : {0, 1}) {
      for (const TestRow& row : input[p].rows) {
        std::optional<std::string> found;
        if (row.cells[0].index() != 0 && row.cells[2].index() != 0) {
          for (const auto& [from, b] : even.versions[std::get<int64_t>(row.cells[0])]) {
            if (from <= std::get<int64_t>(row.cells[2])) found = b;
          }
        }
        TestRow with = row;
        with.cells.push_back(found ? Cell(*found) : Cell());
        if (found || options.left) expected.push_back(ToString(with));
        if (!found && !options.left) unmatched.push_back(ToString(row));
      }
    }
    for (const auto& [crashes, spilled] : {std::pair(false, false), {true, false}, {true, true}}) {
      MemoryBudget nothing(0, 0);
      Driver driver(input, ChangesJoinNode(options), GetParam(), seed * 2 + crashes, crashes,
                    spilled ? &nothing : nullptr, Reached);
      driver.Run();
      Harness& harness = driver.harness();
      EXPECT_THAT(Texts(harness.out().rows), UnorderedElementsAreArray(expected)) << "seed " << seed;
      EXPECT_THAT(Texts(harness.out().unmatched), UnorderedElementsAreArray(unmatched)) << "seed " << seed;
      EXPECT_EQ(harness.ledger().late, 0) << "changes never are";
      harness.CheckLedger();
    }
  }
}

TestRow Told(Op op, const std::string& b, int64_t time, int64_t watermark, int64_t offset) {
  return {.cells = {int64_t{1}, b, int64_t{0}},
          .time = time * kSecond,
          .watermark = watermark * kSecond,
          .offset = offset,
          .op = op};
}
TestRow Asks(int64_t seconds) {
  return {.cells = {int64_t{1}, seconds, seconds * kSecond}, .time = 100 * kSecond, .watermark = 100 * kSecond};
}

TEST(VersionedChangesTest, ADeletedRowCountsUntilTheTimeAtWhichThatWasTold) {
  Harness harness(ChangesJoinNode({}));
  harness.Process({Told(Op::kInsert, "b", 10, 10, 1), Told(Op::kDelete, "b", 10, 50, 2)}, 1);
  harness.Advance(100 * kSecond);
  harness.Process({Asks(9), Asks(10), Asks(49), Asks(50)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|9|NULL", "1|10|b", "1|49|b", "1|50|NULL"));
  harness.CheckLedger();
}

TEST(VersionedChangesTest, OneThatIsToldWithAnEarlierTimeCountsBehindTheChangeBeforeIt) {
  Harness harness(ChangesJoinNode({}));
  harness.Process({Told(Op::kInsert, "b", 60, 10, 1), Told(Op::kDelete, "b", 60, 20, 2)}, 1);
  harness.Process({Told(Op::kInsert, "again", 30, 20, 3), Told(Op::kUpdateBefore, "again", 30, 40, 4)}, 1);
  harness.Process({Told(Op::kUpdateAfter, "newest", 40, 20, 4)}, 1);  // another batch than the row before
  harness.Advance(100 * kSecond);
  harness.Process({Asks(59), Asks(60), Asks(99)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|59|NULL", "1|60|newest", "1|99|newest"));
}

TEST(VersionedChangesTest, ARowThatIsADeadLetterEndsTheOneBeforeItWhateverTheBatches) {
  for (const bool parted : {false, true}) {
    Node node = ChangesJoinNode({});
    node.spec.As<VersionedJoinSpec>().deleted = "1 / (length(b) - 1) = 5";
    Harness harness(node);
    harness.Process({Told(Op::kInsert, "bb", 10, 10, 1)}, 1);
    const TestRow before = Told(Op::kUpdateBefore, "bb", 10, 20, 2), after = Told(Op::kUpdateAfter, "x", 20, 20, 2);
    if (parted) {
      harness.Process({before}, 1);
      harness.Process({after}, 1);
    } else {
      harness.Process({before, after}, 1);
    }
    harness.Advance(100 * kSecond);
    harness.Process({Asks(19), Asks(20)}, 0);
    EXPECT_THAT(Rows(harness), ElementsAre("1|19|bb", "1|20|NULL"));
    EXPECT_EQ(harness.ledger().dead_lettered, 1);
    harness.CheckLedger();
  }
}

TEST(VersionedChangesTest, AChangeBehindTheWatermarkCountsFromThereOn) {
  Harness harness(ChangesJoinNode({}));
  harness.Process({Told(Op::kInsert, "b", 10, 30, 1)}, 1);
  harness.Advance(30 * kSecond);
  harness.Process({Asks(29), Asks(30)}, 0);
  harness.Advance(100 * kSecond);
  EXPECT_THAT(Rows(harness), ElementsAre("1|29|NULL", "1|30|b"));
}

TEST(VersionedChangesTest, WhatAFilterMakesOfAnUpdateEndsTheRowWhenItWasReplaced) {
  Harness harness(ChangesJoinNode({}));
  harness.Process({Told(Op::kInsert, "b", 10, 10, 1), Told(Op::kDelete, "b", 10, 20, 2)}, 1);  // the after row is gone
  harness.Process({Told(Op::kInsert, "c", 40, 40, 3)}, 1);  // and here the before row
  harness.Advance(100 * kSecond);
  harness.Process({Asks(19), Asks(20), Asks(40)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|19|b", "1|20|NULL", "1|40|c"));
}

// ---- Edges, one by one

TestRow Row(int64_t key, int64_t a, int64_t seconds, std::optional<int64_t> as_of = std::nullopt) {
  return {.cells = {key < 0 ? Cell() : Cell(key), a, as_of ? Cell(*as_of * kSecond) : Cell()},
          .time = seconds * kSecond};
}
TestRow Change(int64_t key, const std::string& b, int64_t seconds, bool gone = false, int64_t offset = 0) {
  return {.cells = {key < 0 ? Cell() : Cell(key), b, int64_t{gone}}, .time = seconds * kSecond, .offset = offset};
}
std::vector<std::string> Rows(const Harness& harness) {
  std::vector<std::string> out;
  for (TestRow row : const_cast<Harness&>(harness).out().rows) {
    row.cells.erase(row.cells.begin() + 2);
    out.push_back(CellsText(row));
  }
  return out;
}

TEST(VersionedTest, ARowWaitsUntilTheWatermarkHasPassedTheTimeItAsksForAndThenMeetsWhatCameMeanwhile) {
  Harness harness(JoinNode({.as_of = false}));
  harness.Process({Change(1, "old", 50)}, 1);
  harness.Process({Row(1, 10, 100)}, 0);
  EXPECT_LT(harness.Advance(100 * kSecond), EventTime{100 * kSecond}) << "the row is still to come";
  EXPECT_THAT(Rows(harness), IsEmpty()) << "a version of 100 isn't late yet";
  harness.Process({Change(1, "new", 100), Change(1, "newer", 101)}, 1);
  EXPECT_EQ(harness.Advance(100 * kSecond + 1), EventTime{100 * kSecond + 1});
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|new"));
  EXPECT_EQ(harness.out().rows[0].time, 100 * kSecond) << "its own time";
}

TEST(VersionedTest, ARowThatAsksForAPastTimePassesAtOnce) {
  Harness harness(JoinNode({}));
  harness.Process({Change(1, "old", 50), Change(1, "new", 60)}, 1);
  harness.Advance(100 * kSecond);
  harness.Process({Row(1, 10, 100, 59), Row(1, 11, 100, 60), Row(1, 12, 100, 49)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|old", "1|11|new", "1|12|NULL"));
}

TEST(VersionedTest, OfVersionsOfOneTimeTheGreatestInTheOrderOfOffsetsCountsAndADeletionToo) {
  for (const bool backwards : {false, true}) {
    Harness harness(JoinNode({}));
    std::vector<TestRow> changes = {Change(1, "first", 50, false, 1), Change(1, "second", 50, false, 2),
                                    Change(2, "gone", 50, true, 3), Change(2, "was here", 50, false, 2)};
    if (backwards) std::reverse(changes.begin(), changes.end());
    harness.Process(changes, 1);
    harness.Advance(100 * kSecond);
    harness.Process({Row(1, 10, 100, 90), Row(2, 20, 100, 90)}, 0);
    EXPECT_THAT(Rows(harness), ElementsAre("1|10|second", "2|20|NULL"));
  }
}

TEST(VersionedTest, NullInTheKeyOrInTheTimeMeetsNothingAndDoesNotWait) {
  Harness harness(JoinNode({.left = false}));
  harness.Process({Change(-1, "nobody's", 1), Change(1, "b", 1)}, 1);
  harness.Process({Row(-1, 10, 100, 100), Row(1, 20, 100)}, 0);
  EXPECT_THAT(CellsText(harness.out().unmatched), ElementsAre("NULL|10|100000000", "1|20|NULL"));
  EXPECT_EQ(harness.ledger().unmatched, 3) << "the version too";
}

TEST(VersionedTest, AVersionThatMayBeGoneIsADeadLetterThatSaysSo) {
  Harness harness(JoinNode({.keep = 30 * kSecond}));
  TestRow row = Row(1, 10, 100, 69);
  row.watermark = 100 * kSecond;
  TestRow kept = Row(1, 11, 100, 70);
  kept.watermark = 100 * kSecond;
  harness.Process({row, kept}, 0);
  harness.Advance(100 * kSecond);
  EXPECT_THAT(Rows(harness), ElementsAre("1|11|NULL"));
  EXPECT_THAT(harness.out().failures, ElementsAre(HasSubstr("more than 30s (`versioned.keep`) behind the watermark")));
  harness.CheckLedger();
}

TEST(VersionedTest, ARowMayAskOnlySoFarAhead) {
  Harness harness(JoinNode({.ahead = 5 * kSecond}));
  harness.Process({Row(1, 10, 100, 105), Row(1, 11, 100, 106)}, 0);
  EXPECT_THAT(harness.out().failures, ElementsAre(HasSubstr("more than 5s (`versioned.ahead`) after")));
  const Node& node = harness.node();
  harness.Advance(100 * kSecond + node.spec.kind().HoldsUs(node));
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|NULL")) << "closing reaches far enough";
}

TEST(VersionedTest, TheOutputsWatermarkStaysBehindWhatARowThatWaitsCameUnder) {
  Harness harness(JoinNode({.ahead = 500 * kSecond}));
  harness.Advance(80 * kSecond);
  TestRow row = Row(1, 10, 100, 300);
  row.watermark = 90 * kSecond;
  harness.Process({row}, 0);
  for (const bool crashed : {false, true}) {
    const EventTime out = harness.Advance(200 * kSecond);
    EXPECT_LT(out, EventTime{90 * kSecond});
    EXPECT_GE(out, crashed ? kMinTime : EventTime{89 * kSecond});
    harness.Commit();
    harness.Crash();
  }
  EXPECT_EQ(harness.Advance(301 * kSecond), EventTime{301 * kSecond});
  EXPECT_EQ(harness.out().rows.at(0).watermark, 90 * kSecond) << "it is judged by its own";
}

TEST(VersionedTest, RowsOfAPartitionThatComesBackFromIdleAreJudgedByTheOperatorsTime) {
  Harness harness(JoinNode({.keep = 50 * kSecond}));
  harness.Process({Change(1, "b", 10)}, 1);
  harness.Advance(200 * kSecond);
  harness.Commit();
  harness.Crash(false);
  TestRow change = Change(1, "too late", 150);
  change.watermark = 150 * kSecond;
  harness.Process({change}, 1);
  EXPECT_EQ(harness.ledger().late, 1);
  EXPECT_THAT(CellsText(harness.out().late), ElementsAre("1|too late|0"));
  TestRow row = Row(1, 10, 150, 149);
  row.watermark = 150 * kSecond;
  harness.Process({row, Row(1, 11, 200, 160)}, 0);
  EXPECT_EQ(harness.ledger().dead_lettered, 1) << "150 is kept, 149 may be gone";
  EXPECT_THAT(Rows(harness), ElementsAre("1|11|b"));
}

TEST(VersionedTest, AVersionsKeyIsKeptForGoodAndADeletedOneLeavesTheState) {
  Harness harness(JoinNode({.keep = 10 * kSecond}));
  std::vector<TestRow> changes;
  for (int64_t i = 0; i < 500; ++i) changes.push_back(Change(1, absl::StrCat("b", i), i));
  changes.push_back(Change(2, "b", 5));
  changes.push_back(Change(2, "", 6, true));
  harness.Process(changes, 1);
  harness.Advance(10'000 * kSecond);
  harness.Commit();
  harness.Crash();
  harness.Process({Row(1, 10, 10'000, 9'999), Row(2, 20, 10'000, 9'999)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|b499", "2|20|NULL"));
  int64_t bytes = 0;
  for (const auto& [key, value] : harness.store().live()) bytes += static_cast<int64_t>(key.size() + value.size());
  EXPECT_LT(bytes, 1000) << "one version is left of 502";
}

TEST(VersionedTest, WhatWasForgottenHasExpiredWhateverIsKeptNow) {
  Options options{.keep = 10 * kSecond};
  Harness harness(JoinNode(options));
  harness.Process({Change(1, "old", 10), Change(1, "new", 100)}, 1);
  harness.Advance(200 * kSecond);
  harness.Commit();
  options.keep = 1000 * kSecond;
  harness.GoOnWith(JoinNode(options));
  harness.Process({Row(1, 10, 200, 50), Row(1, 11, 200, 190)}, 0);
  EXPECT_THAT(Rows(harness), ElementsAre("1|11|new"));
  EXPECT_EQ(harness.ledger().dead_lettered, 1);
}

TEST(VersionedTest, WithMoreGraceWhatWasOverStaysOver) {
  Options options{.as_of = false};
  Harness harness(JoinNode(options));
  harness.Process({Change(1, "b", 10)}, 1);
  harness.Process({Row(1, 10, 100)}, 0);
  harness.Advance(150 * kSecond);
  harness.Commit();
  options.grace = 100 * kSecond;
  harness.GoOnWith(JoinNode(options));
  TestRow change = Change(1, "behind what is out", 90);
  change.watermark = 150 * kSecond;
  harness.Process({change}, 1);
  EXPECT_EQ(harness.ledger().late, 1);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|b"));
}

TEST(VersionedTest, GraceThatGrewAndShrankAgainLeavesTheHorizonWhereItWas) {
  Options options{.as_of = false};
  Harness harness(JoinNode(options));
  harness.Process({Change(1, "b", 10)}, 1);
  harness.Advance(150 * kSecond);
  harness.Commit();
  options.grace = 100 * kSecond;
  harness.GoOnWith(JoinNode(options));
  EXPECT_EQ(harness.Advance(150 * kSecond), EventTime{150 * kSecond}) << "the output's watermark, which no row holds";
  harness.Commit();
  options.grace = 0;
  harness.GoOnWith(JoinNode(options));
  harness.Process({Row(1, 10, 170)}, 0);
  EXPECT_THAT(Rows(harness), IsEmpty()) << "time hasn't been there";
  harness.Process({Change(1, "behind what is out", 149), Change(1, "in time", 160)}, 1);
  harness.Advance(171 * kSecond);
  EXPECT_EQ(harness.ledger().late, 1);
  EXPECT_THAT(Rows(harness), ElementsAre("1|10|in time"));
}

TEST(VersionedTest, RowsThatAskForOneTimeComeAsTheyCameAndNoMoreThanACommitTakes) {
  Harness harness(JoinNode({.as_of = false}));
  const auto wait = [&](int64_t from, int64_t rows, int64_t seconds) {
    std::vector<TestRow> waiting;
    for (int64_t i = from; i < from + rows; ++i) waiting.push_back(Row(1, i, seconds));
    harness.Process(waiting, 0);
  };
  wait(0, 3000, 50);
  wait(3000, 3000, 40);
  harness.Advance(41 * kSecond);  // their places are given again
  harness.Commit();
  wait(6000, 10'000, 50);
  harness.out().set_full_after(1);
  harness.Commit();
  ASSERT_TRUE(harness.op().AdvanceWatermark(EventTime{51 * kSecond}, harness.out()).ok());
  EXPECT_LT(harness.out().rows.size(), 10'000u);
  harness.Advance(51 * kSecond);
  std::vector<int64_t> came;
  for (const TestRow& row : harness.out().rows) came.push_back(std::get<int64_t>(row.cells[1]));
  ASSERT_EQ(came.size(), 16'000u);
  std::rotate(came.begin(), came.begin() + 3000, came.begin() + 6000);  // those of 40 were first
  EXPECT_TRUE(std::is_sorted(came.begin(), came.end()));
  harness.CheckLedger();
}

TEST(VersionedTest, RowsThatAskForOneTimeGoOutInTheirOrderOverManyCommitsInMemoryAndBeyondIt) {
  for (const bool spilled : {false, true}) {
    MemoryBudget nothing(0, 0);
    Harness harness(JoinNode({.as_of = false}), {}, spilled ? &nothing : nullptr);
    for (int64_t from = 0; from < 14'000; from += 1000) {
      std::vector<TestRow> waiting;
      for (int64_t i = from; i < from + 1000; ++i) waiting.push_back(Row(1, i, 50));
      harness.Process(waiting, 0);
      if (from % 5000 == 0) harness.Commit();
    }
    harness.out().set_full_after(1);
    const uint64_t before = harness.commit();
    harness.Advance(51 * kSecond);
    EXPECT_GE(harness.commit(), before + 3) << "a part with each";
    std::vector<int64_t> came;
    for (const TestRow& row : harness.out().rows) came.push_back(std::get<int64_t>(row.cells[1]));
    EXPECT_EQ(came.size(), 14'000u);
    EXPECT_TRUE(std::is_sorted(came.begin(), came.end()));
    harness.Process({Row(1, 20'000, 60)}, 0);
    harness.Advance(61 * kSecond);
    EXPECT_EQ(harness.out().rows.size(), 14'001u);
    harness.CheckLedger();
  }
}

TEST(VersionedTest, AStreamFarAheadOfItsTableIsAhead) {
  Harness harness(JoinNode({.as_of = false}));
  harness.Advance(0);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 70'000; ++i) rows.push_back(Row(i, i, 30));
  harness.Process(rows, 0);
  EXPECT_FALSE(harness.op().Ahead(0)) << "within a minute";
  harness.Process({Row(1, 1, 61)}, 0);
  EXPECT_TRUE(harness.op().Ahead(0));
  EXPECT_FALSE(harness.op().Ahead(1));
  harness.Advance(31 * kSecond);
  EXPECT_FALSE(harness.op().Ahead(0));
}

}  // namespace
}  // namespace tidemark
