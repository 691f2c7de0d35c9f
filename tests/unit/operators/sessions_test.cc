// Sessions: what they are, against a model, and what they leave in memory, in state and behind them.
#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_model.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int64_t kMilli = kMillisecond;

std::vector<std::string> OpsText(const std::vector<TestRow>& rows) {
  std::vector<std::string> out;
  for (const TestRow& row : rows) out.push_back(absl::StrCat(static_cast<int>(row.op), " ", CellsText(row)));
  return out;
}
std::string OpText(Op op, const char* cells) { return absl::StrCat(static_cast<int>(op), " ", cells); }

// Result rows as text: the components of the rows that aren't late.
std::set<std::string> Model(const std::vector<TestRow>& rows, const WindowSpec& spec) {
  std::map<std::string, std::vector<TestRow>> groups;
  for (const TestRow& row : rows) {
    if (row.time + spec.grace_us >= row.watermark) groups[CellsText(TestRow{.cells = {row.cells[0]}})].push_back(row);
  }
  std::set<std::string> results;
  for (auto& [key, members] : groups) {
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
    for (size_t at = 0; at < members.size();) {
      size_t end = at + 1;
      while (end < members.size() && members[end].time - members[end - 1].time <= spec.gap_us) ++end;
      results.insert(absl::StrCat(
          key, "|", members[at].time, "|", members[end - 1].time + spec.gap_us, "|",
          SumText({members.begin() + static_cast<int64_t>(at), members.begin() + static_cast<int64_t>(end)})));
      at = end;
    }
  }
  return results;
}

WindowSpec FullSession(int64_t gap, int64_t grace, bool on_update) {
  WindowSpec spec = FullSpec(0, 0, grace, on_update);
  spec.gap_us = gap;
  return spec;
}

std::set<std::string> Stands(const std::vector<TestRow>& changes) {
  std::set<std::string> stands;
  for (const auto& [name, row] : Fold(changes, {0, 1})) stands.insert(row);
  return stands;
}

TEST(Sessions, RowsAtMostAGapApartBelongTogetherAndASessionEndsAGapBehindItsLast) {
  Harness h(SingleNode(SessionSpec(10, 0)));
  h.Process({Row("p", 1, 0), Row("p", 1, 10), Row("p", 1, 21), Row("q", 1, 5)});
  h.Advance(19);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("q|5|15|1"));
  h.Advance(20);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("q|5|15|1"));
  h.Advance(21);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("q|5|15|1", "p|0|20|2"));
  h.Advance(32);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("q|5|15|1", "p|0|20|2", "p|21|31|1"));
  EXPECT_EQ(h.out().rows[1].time, 20 - kMilli);
  h.CheckLedger();
  EXPECT_EQ(h.ledger().open, 0);
  EXPECT_EQ(h.ledger().closed, 4);
}

TEST(Sessions, ARowBetweenTwoMakesThemOne) {
  Harness h(SingleNode(SessionSpec(10, 100)));
  h.Process({Row("p", 1, 0), Row("p", 1, 20), Row("p", 1, 60)});
  h.Commit();
  h.Process({Row("p", 1, 10)});
  h.Advance(1000);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|0|30|3", "p|60|70|1"));
}

TEST(Sessions, ManyBecomeOneWithinABatch) {
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 100; ++i) rows.push_back(Row("p", i, 20 * i));
  for (int64_t i = 98; i >= 0; --i) rows.push_back(Row("p", i, 20 * i + 10));
  for (const size_t batch_size : {1, 2, 7, 1000}) {
    WindowSpec spec = SessionSpec(10, 5000);
    spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}, {"hi", "max(x)"}};
    Harness h(SingleNode(spec, "n int64, s int64 null, hi double null"));
    h.Feed(rows, batch_size);
    h.Advance(100'000);
    EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|0|1990|199|9801|99"));
  }
}

TEST(Sessions, ARowIsLateByItsOwnTimeAndWatermarkWhateverItWouldMeet) {
  Harness h(SingleNode(SessionSpec(10, 5)));
  h.Process({Row("p", 1, 100)});
  h.Process({Row("p", 2, 94, 100), Row("p", 3, 95, 100)});  // the session that 94 would meet is open
  h.Advance(115);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Advance(116);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|95|110|2"));
  ASSERT_EQ(h.out().late.size(), 1u);
  EXPECT_EQ(h.out().late[0].time, 94);
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.ledger().late_pairs, 1);
  // From a partition that was idle: not late by itself, but what it would meet may be over.
  h.Process({Row("p", 4, 110, 0), Row("p", 5, 111, 0)});
  EXPECT_EQ(h.ledger().late_after_idle, 1);
  h.Advance(1000);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|95|110|2", "p|111|121|1"));
  h.CheckLedger();
}

// Nothing is out of order and there is no grace: each row's own watermark is its time.
TEST(Sessions, RowsInOrderAreNeverLateAndNeitherAreThoseOfOneTime) {
  Harness h(SingleNode(SessionSpec(10, 0)));
  for (const int64_t time : {0, 3, 3, 20, 20}) {
    h.Process({Row("p", 1, time, time)});
    h.Advance(time);
  }
  h.Process({Row("p", 1, 20)});  // of a step in front, at its watermark
  h.Advance(1000);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("p|0|13|3", "p|20|30|3"));
  EXPECT_EQ(h.ledger().late + h.ledger().late_after_idle, 0);
}

TEST(Sessions, AnUpdateReplacesASessionThatGoesOnAndDeletesThoseThatBecomeOne) {
  Harness h(SingleNode(SessionSpec(10, 1000, true)));
  h.Process({Row("p", 1, 0), Row("p", 1, 20)});
  h.Commit();
  h.Process({Row("p", 1, 28)});
  h.Commit();
  h.Process({Row("p", 1, 10)});
  h.Commit();
  h.Process({Row("p", 1, -5)});
  h.Commit();
  EXPECT_THAT(
      OpsText(h.out().rows),
      ElementsAre(OpText(Op::kInsert, "p|0|10|1"), OpText(Op::kInsert, "p|20|30|1"),
                  OpText(Op::kUpdateBefore, "p|20|30|1"), OpText(Op::kUpdateAfter, "p|20|38|2"),
                  OpText(Op::kUpdateBefore, "p|0|10|1"), OpText(Op::kUpdateAfter, "p|0|38|4"),
                  OpText(Op::kDelete, "p|20|38|2"), OpText(Op::kInsert, "p|-5|38|5"), OpText(Op::kDelete, "p|0|38|4")));
  h.Advance(100'000);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 9u) << "a session that is over leaves without a word";
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

TEST(Sessions, WhatComesAndIsOverWithinACommitIsEmittedOnce) {
  Harness h(SingleNode(SessionSpec(10, 0, true)));
  h.Process({Row("p", 1, 0)});
  h.Commit();
  h.Process({Row("p", 1, 5), Row("q", 1, 5)});
  h.Advance(100);
  h.Commit();
  EXPECT_THAT(OpsText(h.out().rows),
              UnorderedElementsAre(OpText(Op::kInsert, "p|0|10|1"), OpText(Op::kUpdateBefore, "p|0|10|1"),
                                   OpText(Op::kUpdateAfter, "p|0|15|2"), OpText(Op::kInsert, "q|5|15|1")));
}

TEST(Sessions, OneGroupOfNoColumnsAndTheGroupOfNull) {
  WindowSpec spec = SessionSpec(10, 0);
  spec.group_by = {};
  Node node = SingleNode(spec);
  node.output = Columns("window_start timestamp, window_end timestamp, n int64");
  Harness all(node), by_place(SingleNode(SessionSpec(10, 0)));
  TestRow none = Row("p", 1, 8);
  none.cells[0] = Cell();
  for (Harness* h : {&all, &by_place}) {
    h->Process({Row("p", 1, 0), none});
    h->Advance(100);
  }
  EXPECT_THAT(CellsText(all.out().rows), ElementsAre("0|18|2"));
  EXPECT_THAT(CellsText(by_place.out().rows), ElementsAre("p|0|10|1", "NULL|8|18|1"));
}

TEST(Sessions, AResultThatDoesNotFitIsADeadLetter) {
  WindowSpec spec = SessionSpec(10, 0);
  spec.aggregates = {{"s", "sum(v)"}};
  Harness h(SingleNode(spec, "s int64 null"));
  h.Process({Row("p", std::numeric_limits<int64_t>::max(), 0), Row("q", 1, 0)});
  h.Process({Row("p", 1, 1)});
  h.Advance(100);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("q|0|10|1"));
  EXPECT_EQ(h.out().failures.size(), 1u);
  h.CheckLedger();
}

TEST(Sessions, ASessionThatIsOverStaysOverUnderMoreGrace) {
  Harness h(SingleNode(SessionSpec(10, 0)));
  h.Process({Row("p", 1, 0)});
  h.Advance(20);
  h.Commit();
  Harness more(SingleNode(SessionSpec(10, 100)));
  for (const auto& [key, value] : h.store().live()) more.store().Put(key, value);
  more.store().Commit();
  more.Crash();
  more.Process({Row("p", 1, 19, 20), Row("p", 1, 20, 20)});
  EXPECT_EQ(more.ledger().late_after_idle, 1) << "a row at 19 may meet what is over";
  EXPECT_EQ(more.ledger().open, 1);
}

TEST(Sessions, AgreeWithTheModelWhateverTheBatchesCommitsAndCrashes) {
  for (const int64_t gap : {15, 40, 200}) {
    for (const int64_t grace : {0, 20, 500}) {
      for (const bool on_update : {false, true}) {
        const WindowSpec spec = FullSession(gap, grace, on_update);
        const auto rows = RandomRows(static_cast<uint64_t>(gap + grace), 1200);
        const std::set<std::string> expected = Model(rows, spec);
        std::vector<std::string> first;
        for (const size_t batch_size : {1, 2, 7, 1000}) {
          Harness h(SingleNode(spec, kAllAggregates));
          h.FeedWithCrashes(rows, batch_size, 3, 100, 1000);
          h.Advance(1'000'000);
          h.Commit();
          const std::string what = absl::StrCat(gap, " ", grace, " ", on_update, " ", batch_size);
          EXPECT_EQ(on_update ? Stands(h.out().rows) : AsSet(CellsText(h.out().rows)), expected) << what;
          if (first.empty()) first = CellsText(h.out().rows);
          if (!on_update) {
            EXPECT_EQ(CellsText(h.out().rows), first) << "the order depends on the batches: " << what;
          }
          EXPECT_EQ(h.ledger().late_pairs > 0, grace < 200);
          EXPECT_EQ(h.ledger().open, 0);
          h.CheckLedger();
        }
      }
    }
  }
}

TEST(Sessions, WhatLeavesMemoryDoesNotShow) {
  int with_runs = 0;
  for (const bool on_update : {false, true}) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      const WindowSpec spec = FullSession(100, 1500, on_update);
      auto rows = RandomRows(seed, 1500);
      for (TestRow& row : rows) {
        if (row.cells[0].index() != 0) row.cells[0] = absl::StrCat("place-of-the-group-", row.offset * 7919 % 61 * 31);
      }
      for (const size_t batch_size : {1, 7}) {
        MemoryBudget none(0, 0);
        Harness cold(SingleNode(spec, kAllAggregates), {}, &none), hot(SingleNode(spec, kAllAggregates));
        for (Harness* h : {&cold, &hot}) h->FeedWithCrashes(rows, batch_size, seed, 15, 150);
        with_runs += cold.store().Count("sr") > 0 && cold.store().Count("tr") > 0;
        EXPECT_EQ(hot.store().Count("sr"), 0);
        for (Harness* h : {&cold, &hot}) {
          h->Advance(1'000'000);
          h->Commit();
          h->CheckLedger();
          EXPECT_EQ(h->ledger().open, 0);
        }
        EXPECT_EQ(cold.out().rows, hot.out().rows) << on_update << " " << seed << " " << batch_size;
        EXPECT_EQ(on_update ? Stands(cold.out().rows) : AsSet(CellsText(cold.out().rows)), Model(rows, spec));
      }
    }
  }
  EXPECT_GT(with_runs, 4) << "hardly any session has left memory";
}

// Two partitions with watermarks of their own, read in any order, over which the operator has the smaller time. Nothing
// comes behind the time that it lets through, neither results nor what takes them back.
TEST(Sessions, DependOnNoOrderInWhichPartitionsAreReadAndComeBeforeTheirTime) {
  for (const bool on_update : {false, true}) {
    const WindowSpec spec = FullSession(60, 30, on_update);
    std::vector<TestRow> partitions[2];
    std::vector<TestRow> all;
    for (int p = 0; p < 2; ++p) {
      partitions[p] = RandomRows(static_cast<uint64_t>(20 + p), 600);
      for (TestRow& row : partitions[p]) row.partition = p;
      all.insert(all.end(), partitions[p].begin(), partitions[p].end());
    }
    const std::set<std::string> expected = Model(all, spec);
    std::vector<std::string> first;
    for (uint64_t seed = 0; seed < 12; ++seed) {
      std::mt19937_64 random(seed);
      Harness h(SingleNode(spec, kAllAggregates));
      size_t at[2] = {0, 0};
      int64_t time[2] = {kMinTime.us, kMinTime.us};
      EventTime let_through = kMinTime;
      size_t seen = 0;
      const auto check = [&] {
        for (; seen < h.out().rows.size(); ++seen) ASSERT_GT(h.out().rows[seen].time, let_through.us) << seed;
      };
      const uint64_t bias = 1 + seed % 6;
      while (at[0] < 600 || at[1] < 600) {
        const int p = at[1] == 600 || (at[0] < 600 && random() % 7 < bias) ? 0 : 1;
        const size_t end = std::min<size_t>(600, at[p] + 1 + random() % 30);
        h.Process(
            {partitions[p].begin() + static_cast<int64_t>(at[p]), partitions[p].begin() + static_cast<int64_t>(end)});
        for (; at[p] < end; ++at[p]) time[p] = std::max(time[p], partitions[p][at[p]].watermark);
        const EventTime before = let_through;
        const EventTime through = h.Advance(std::min(time[0], time[1]));
        check();
        ASSERT_GE(through, before);
        let_through = through;
        if (random() % 3 == 0) h.Commit();
        check();
      }
      EXPECT_EQ(h.ledger().late_after_idle, 0);
      h.Advance(1'000'000);
      h.Commit();
      EXPECT_EQ(on_update ? Stands(h.out().rows) : AsSet(CellsText(h.out().rows)), expected) << seed;
      if (first.empty()) first = CellsText(h.out().rows);
      if (!on_update) {
        EXPECT_EQ(CellsText(h.out().rows), first) << seed;
      }
    }
  }
}

TEST(Sessions, ManyThatEndTogetherCloseOverManyCommitsInOrder) {
  for (const bool cold : {false, true}) {
    MemoryBudget none(0, 0);
    Harness h(SingleNode(SessionSpec(10, 0)), {}, cold ? &none : nullptr);
    std::vector<std::string> expected;
    for (int64_t at = 0; at < 20'000; at += 1000) {
      std::vector<TestRow> rows;
      for (int64_t i = at; i < at + 1000; ++i) {
        rows.push_back(Row(absl::StrCat("p", 100'000 + i).c_str(), 1, i % 2));
      }
      h.Process(rows);
      h.Commit();
    }
    for (int64_t time : {0, 1}) {
      for (int64_t i = time; i < 20'000; i += 2) {
        expected.push_back(absl::StrCat("p", 100'000 + i, "|", time, "|", time + 10, "|1"));
      }
    }
    h.out().set_full_after(1);
    int calls = 0;
    EventTime reached = kMinTime;
    for (; h.out().rows.size() < 20'000 && calls < 100; ++calls) {
      const auto result = h.op().AdvanceWatermark(EventTime{1000}, h.out());
      ASSERT_TRUE(result.ok()) << result.status();
      reached = *result;
      h.Commit();
      if (calls % 3 == 1) h.Crash(/*advance=*/false);
    }
    EXPECT_GE(calls, 8);
    EXPECT_EQ(CellsText(h.out().rows), expected) << cold;
    EXPECT_EQ(h.ledger().open, 0);
    EXPECT_LT(reached.us, 1000);
    for (int i = 0; i < 20; ++i) h.Commit();
    h.CheckLedger();
  }
}

// Nothing goes out, so it isn't rows that fill the commit.
TEST(Sessions, ManyThatAreOverWithoutAWordLeaveOverManyCommitsToo) {
  for (const bool cold : {false, true}) {
    MemoryBudget none(0, 0);
    Harness h(SingleNode(SessionSpec(10, 0, true)), {}, cold ? &none : nullptr);
    constexpr int64_t kGroups = 20'000;
    for (int64_t at = 0; at < kGroups; at += 1000) {
      std::vector<TestRow> rows;
      for (int64_t i = at; i < at + 1000; ++i) rows.push_back(Row(absl::StrCat("p", i).c_str(), 1, i / 500));
      h.Process(rows);
      h.Commit();
    }
    const int64_t resting = h.op().MemoryBytes();
    h.out().set_full_after_pending(1);
    int64_t closed = 0, calls = 0, most = 0;
    while (closed < kGroups && calls < 100) {
      const auto result = h.op().AdvanceWatermark(EventTime{1000}, h.out());
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_GT(h.ledger().closed, closed) << "every call gets on";
      most = std::max(most, h.op().MemoryBytes());
      closed = h.ledger().closed;
      h.Commit();
      if (++calls % 2 == 1) h.Crash(/*advance=*/false);
    }
    EXPECT_GE(calls, 3);
    EXPECT_LT(most, resting + (4 << 20)) << "a part of the groups is dealt with at a time";
    EXPECT_EQ(h.out().rows.size(), static_cast<size_t>(kGroups)) << "when they came";
    EXPECT_EQ(h.ledger().open, 0);
    h.CheckLedger();
  }
}

TEST(Sessions, WhatACommitDealsWithCountsTowardsItsBoundAndTheMemory) {
  MemoryBudget budget(int64_t{1} << 30);
  Harness h(SingleNode(SessionSpec(kMinute, 0, true)), {}, &budget);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 5000; ++i) rows.push_back(Row(absl::StrCat("place ", i % 1000).c_str(), i, i));
  h.Process(rows);
  EXPECT_EQ(h.out().pending_since_commit, 1000 * 512);
  h.Process(rows);
  EXPECT_EQ(h.out().pending_since_commit, 1000 * 512) << "of each group once a commit";
  const int64_t held = h.op().MemoryBytes();
  h.Commit();
  const int64_t resting = h.op().MemoryBytes();
  EXPECT_GT(budget.used(), resting + (held - resting) / 2) << "as the next commit will need it";
  h.Process(rows);
  EXPECT_EQ(h.out().pending_since_commit, 1000 * 512);
}

TEST(Sessions, AGroupMayHaveVeryMany) {
  for (const bool cold : {false, true}) {
    MemoryBudget none(0, 0);
    Harness h(SingleNode(SessionSpec(10, 1'000'000)), {}, cold ? &none : nullptr);
    std::vector<TestRow> rows;
    std::vector<std::string> expected;
    for (int64_t i = 0; i < 20'000; ++i) {
      rows.push_back(Row("p", 1, 100 * (i * 7919 % 20'000)));
      expected.push_back(absl::StrCat("p|", 100 * i, "|", 100 * i + 10, "|1"));
    }
    for (size_t at = 0; at < rows.size(); at += 5000) {
      h.Process({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(at + 5000)});
      h.Commit();
      h.Commit();
    }
    h.Crash();
    h.out().set_full_after(3000);
    h.Advance(10'000'000);
    h.Commit();
    EXPECT_EQ(CellsText(h.out().rows), expected) << cold;
    h.CheckLedger();
  }
}

TEST(Sessions, MemoryKeepsToTheBudgetHoweverManyThereAre) {
  MemoryBudget budget(2 << 20, 1 << 19);
  Harness h(SingleNode(SessionSpec(kMinute, 0)), {}, &budget);
  int64_t most = 0;
  for (int64_t at = 0; at < 60'000; at += 500) {
    std::vector<TestRow> rows;
    for (int64_t i = at; i < at + 500; ++i) rows.push_back(Row(absl::StrCat("place ", i).c_str(), i, i));
    h.Feed(rows, 500);
    h.Commit();
    most = std::max(most, h.op().MemoryBytes());
  }
  EXPECT_LT(most, 4 << 20);
  EXPECT_EQ(h.ledger().open, 60'000);
  h.Crash();
  EXPECT_LT(h.op().MemoryBytes(), 4 << 20) << "a restart reads what was in memory, not all sessions";
  h.Advance(10 * kMinute);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 60'000u);
}

}  // namespace
}  // namespace tidemark
