// Groups that have left memory: what they leave in memory and state, and how they come back.
#include "operators/window/cold_groups.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

std::string Place(int64_t number) { return absl::StrCat("the place of number ", 1'000'000 + number); }

std::vector<TestRow> PlaceRows(int64_t begin, int64_t end) {
  std::vector<TestRow> rows;
  for (int64_t i = begin; i < end; ++i) rows.push_back(Row(Place(i).c_str(), i, 1000));
  return rows;
}

TEST(ColdGroups, AWindowIsEmittedFromMemoryAndRunsInOrderOverManyCommitsAndCrashes) {
  MemoryBudget none(0, 0);
  Harness h(SingleNode(Spec(kMinute, kMinute, 0)), {}, &none);
  for (int round = 0; round < 2; ++round) {
    for (int64_t at = 0; at < 9000; at += 1000) {
      h.Feed(PlaceRows(at, at + 1000), 1000);
      h.Commit();
    }
  }
  h.Process(PlaceRows(3000, 3010));  // some come back
  h.Process(PlaceRows(9000, 9500));  // and some never left
  h.Commit();
  ASSERT_GT(h.store().Count("r"), 0);
  h.out().set_full_after(1);
  int calls = 0;
  for (; h.out().rows.size() < 9500u && calls < 100; ++calls) {
    ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{kMinute}, h.out()).ok());
    if (calls % 2 == 1) {
      h.Crash(/*advance=*/false);
      ASSERT_TRUE(h.op().AdvanceWatermark(EventTime{kMinute}, h.out()).ok());
    }
    h.Commit();
  }
  EXPECT_GE(calls, 4);
  std::vector<std::string> expected;
  for (int64_t i = 0; i < 9500; ++i) {
    const int rows = i >= 9000 ? 1 : i >= 3000 && i < 3010 ? 3 : 2;
    expected.push_back(absl::StrCat(Place(i), "|0|60000000|", rows));
  }
  EXPECT_EQ(CellsText(h.out().rows), expected);
  h.Commit();
  for (const char* letter : {"k", "v", "c", "r"}) EXPECT_EQ(h.store().Count(letter), 0) << letter;
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

TEST(ColdGroups, MemoryKeepsToTheBudgetHoweverManyGroupsThereAre) {
  MemoryBudget budget(2 << 20, 1 << 20);
  Harness h(SingleNode(Spec(0, 0, 0, true)), {}, &budget);
  int64_t most = 0;
  for (int64_t at = 0; at < 60'000; at += 500) {
    h.Feed(PlaceRows(at, at + 500), 500);
    h.Commit();
    most = std::max(most, h.op().MemoryBytes());
  }
  EXPECT_LT(most, 3 << 20);
  h.Crash();
  EXPECT_LT(h.op().MemoryBytes(), 3 << 20) << "a restart reads what was in memory, not all groups";
  EXPECT_EQ(h.ledger().open, 60'000);
  const int64_t written = h.store().written_bytes();
  h.Commit();
  EXPECT_LT(h.store().written_bytes() - written, 200 << 10) << "what was in memory stays there";
  const size_t before = h.out().rows.size();
  for (int64_t at = 0; at < 60'000; at += 500) {
    h.Feed(PlaceRows(at, at + 500), 500);
    h.Commit();
  }
  const std::vector<TestRow>& rows = h.out().rows;
  ASSERT_EQ(rows.size() - before, 2 * 60'000u);
  for (size_t i = before; i < rows.size(); i += 2) {
    ASSERT_EQ(CellsText(rows[i]), absl::StrCat(std::get<std::string>(rows[i].cells[0]), "|1"));
    ASSERT_EQ(rows[i].op, Op::kUpdateBefore);
    ASSERT_EQ(CellsText(rows[i + 1]), absl::StrCat(std::get<std::string>(rows[i].cells[0]), "|2"));
  }
}

TEST(ColdGroups, WhatAnotherTaskNeedsIsGivenBack) {
  MemoryBudget budget(4 << 20, 1 << 19);
  Harness h(SingleNode(Spec(0, 0, 0, true)), {}, &budget);
  for (int64_t at = 0; at < 20'000; at += 500) {
    h.Feed(PlaceRows(at, at + 500), 500);
    h.Commit();
  }
  EXPECT_EQ(h.store().Count("r"), 0) << "there is room for all";
  const int64_t before = h.op().MemoryBytes();
  EXPECT_GT(before, 2 << 20);
  MemoryBudget::Share others[] = {MemoryBudget::Share(&budget), MemoryBudget::Share(&budget),
                                  MemoryBudget::Share(&budget)};
  for (MemoryBudget::Share& other : others) other.Update(1 << 20);
  for (int64_t i = 0; i < 40; ++i) {
    h.Feed(PlaceRows(i, i + 1), 1);
    h.Commit();
  }
  EXPECT_LT(h.op().MemoryBytes(), before * 3 / 4);
  EXPECT_LE(budget.used(), 9 << 19);
  h.Feed(PlaceRows(0, 20'000), 500);
  h.Commit();
  std::map<std::string, std::string> stands = Fold(h.out().rows, {0});
  EXPECT_EQ(stands.size(), 20'000u);
  EXPECT_EQ(stands[Place(12'345)], Place(12'345) + "|2");
  EXPECT_EQ(stands[Place(39)], Place(39) + "|3");
}

TEST(ColdGroups, AClosedWindowThatIsNotEmittedGoesSomeBlocksACommit) {
  MemoryBudget none(0, 0);
  WindowSpec spec = Spec(kMinute, kMinute, 0, true);
  Harness h(SingleNode(spec), {}, &none);
  for (int64_t at = 0; at < 20'000; at += 2000) {
    h.Feed(PlaceRows(at, at + 2000), 2000);
    h.Commit();
  }
  EXPECT_EQ(h.ledger().open, 20'000);
  h.Advance(kMinute);
  EXPECT_EQ(h.store().Count("c"), 0);
  EXPECT_GT(h.store().Count("r"), 0) << "the runs go with the commits";
  h.Commit();
  EXPECT_EQ(h.ledger().open, 0);
  EXPECT_EQ(h.ledger().closed, 20'000);
  h.Crash();
  h.Commit();
  EXPECT_EQ(h.store().Count("r"), 0);
  h.CheckLedger();
}

TEST(ColdGroups, TheOneGroupOfNoColumnsLeavesAndComesBack) {
  MemoryBudget none(0, 0);
  WindowSpec spec = Spec(kMinute, kMinute, 0);
  spec.group_by = {};
  Node node = SingleNode(spec);
  node.output = Columns("window_start timestamp, window_end timestamp, n int64");
  Harness h(node, {}, &none);
  for (int i = 0; i < 4; ++i) {
    h.Process({Row("p", 1, 1)});
    for (int commit = 0; commit < 4; ++commit) h.Commit();
    EXPECT_GT(h.store().Count("r"), 0);
    h.Crash();
  }
  h.Advance(kMinute);
  EXPECT_EQ(CellsText(h.out().rows), std::vector<std::string>{"0|60000000|4"});
}

// What has been emitted of a window can't come again, so rows for it are late whatever the topology now says.
TEST(ColdGroups, AGraceThatIsRaisedOpensNoWindowThatIsOver) {
  for (const bool cold : {true, false}) {
    for (const bool on_update : {true, false}) {
      MemoryBudget none(0, 0);
      MemoryBudget* const memory = cold ? &none : nullptr;
      Harness before(SingleNode(Spec(kMinute, kMinute, 0, on_update)), {}, memory);
      for (int64_t at = 0; at < 9000; at += 1000) {
        before.Feed(PlaceRows(at, at + 1000), 1000);
        before.Commit();
      }
      if (!on_update) before.out().set_full_after(1);
      ASSERT_TRUE(before.op().AdvanceWatermark(EventTime{kMinute}, before.out()).ok());
      before.Commit();
      const size_t emitted = before.out().rows.size();
      EXPECT_TRUE(on_update ? emitted == 9000u : emitted > 0 && emitted < 9000u);
      // The next topology has more grace.
      Harness h(SingleNode(Spec(kMinute, kMinute, 10 * kMinute, on_update)), {}, memory);
      h.store() = before.store();
      h.Crash(/*advance=*/false);
      h.Process({Row(Place(1).c_str(), 1, 1000), Row(Place(20'000).c_str(), 1, 1000)});
      EXPECT_EQ(h.ledger().late_after_idle, 2);
      h.Process({Row("the next window", 1, kMinute + 1)});
      h.Advance(11 * kMinute);
      h.Commit();
      ASSERT_EQ(h.out().rows.size(), on_update ? 1u : 9000u - emitted) << "each once; the next window stays open";
      h.Advance(12 * kMinute);
      h.Commit();
      EXPECT_EQ(h.out().rows.size(), on_update ? 1u : 9001u - emitted);
      // And what had closed when it was raised stays so behind the next start too.
      Harness last(SingleNode(Spec(kMinute, kMinute, 20 * kMinute, on_update)), {}, memory);
      last.store() = h.store();
      last.Crash(/*advance=*/false);
      last.Process({Row("the next window", 1, kMinute + 1), Row("a later one", 1, 2 * kMinute)});
      EXPECT_EQ(last.ledger().late_after_idle, 1);
    }
  }
}

}  // namespace
}  // namespace tidemark
