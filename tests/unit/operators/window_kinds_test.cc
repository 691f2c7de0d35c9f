// Cumulative windows, and windows whose rows are deleted after a while.
#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/memory_budget.h"
#include "tests/unit/operators/window_fixture.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

WindowSpec Cumulative(int64_t size, int64_t every, int64_t grace) {
  WindowSpec spec = Spec(every, every, grace);
  spec.cumulative_us = size;
  return spec;
}

TEST(CumulativeWindow, EachIsThoseBeforeItAndWhatHasComeSince) {
  Harness h(SingleNode(Cumulative(40, 10, 0)));
  h.Process({Row("a", 1, 3), Row("b", 1, 15), Row("a", 1, 16), Row("a", 1, 39), Row("a", 1, 41), Row("c", 1, -1)});
  h.Advance(20);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("c|-40|0|1", "a|0|10|1", "a|0|20|2", "b|0|20|1"));
  h.Commit();
  h.Crash();
  h.Advance(50);
  EXPECT_THAT(CellsText({h.out().rows.begin() + 4, h.out().rows.end()}),
              ElementsAre("a|0|30|2", "b|0|30|1", "a|0|40|3", "b|0|40|1", "a|40|50|1"));
  EXPECT_EQ(h.out().rows[4].time, 30 - kMillisecond);
  EXPECT_EQ(h.ledger().pairs, 6);
  EXPECT_EQ(h.ledger().closed, 5);
  EXPECT_EQ(h.ledger().open, 1);
  h.CheckLedger();
}

TEST(CumulativeWindow, ARowIsTakenByTheFirstThatIsOpenAndLateWhereNoneIs) {
  Harness h(SingleNode(Cumulative(40, 10, 5)));
  h.Process({Row("a", 1, 3, 14), Row("a", 2, 3, 15), Row("a", 3, 3, 44), Row("a", 4, 3, 45)});
  EXPECT_EQ(h.ledger().absorbed, 3);
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.ledger().late_pairs, 1);
  // Whatever refused them, once.
  EXPECT_THAT(CellsText(h.out().late), ElementsAre("a|2|2", "a|3|3", "a|4|4"));
  h.Advance(30);
  h.Process({Row("a", 5, 3, 4)});  // of a partition that was idle: [0, 20) has closed, [0, 30) has not
  h.Advance(100);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|0|10|1", "a|0|20|2", "a|0|30|3", "a|0|40|4"));
  h.Process({Row("a", 6, 21, 22)});
  EXPECT_EQ(h.ledger().late_after_idle, 1);
  h.CheckLedger();
}

TEST(CumulativeWindow, TheWatermarkStaysBeforeEveryResultStillToCome) {
  Harness h(SingleNode(Cumulative(10 * kMinute, kMinute, 10 * kSecond)));
  EXPECT_EQ(h.Advance(kMinute + 10 * kSecond - 1).us, kMinute - kMillisecond - 1);
  EXPECT_EQ(h.Advance(kMinute + 10 * kSecond).us, kMinute + 10 * kSecond);
}

// Rows of the windows that a row lies in, from a loop over all of them.
std::vector<std::string> CumulativeModel(const std::vector<TestRow>& rows, int64_t size, int64_t every, int64_t grace) {
  std::map<std::tuple<int64_t, std::string, int64_t>, std::pair<int64_t, int64_t>> windows;  // (end, place, start)
  for (const TestRow& row : rows) {
    const int64_t start = FloorTo(EventTime{row.time}, size).us;
    for (int64_t end = start + every; end <= start + size; end += every) {
      if (end <= row.time || end + grace <= row.watermark) continue;
      auto& [n, sum] = windows[{end, std::get<std::string>(row.cells[0]), start}];
      ++n;
      sum += std::get<int64_t>(row.cells[1]);
    }
  }
  std::vector<std::string> out;
  for (const auto& [key, value] : windows) {
    const auto& [end, place, start] = key;
    out.push_back(absl::StrCat(place, "|", start, "|", end, "|", value.first, "|", value.second));
  }
  return out;
}

TEST(CumulativeWindow, RowsAreThoseOfTheModelInAnyBatchesWithCrashesAndWithLittleMemory) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<TestRow> rows;
    int64_t newest = 0;
    for (int64_t i = 0; i < 1000; ++i) {
      const int64_t time = i - static_cast<int64_t>(random() % 60);
      newest = std::max(newest, time);
      rows.push_back(Row(absl::StrCat("p", random() % (seed == 2 ? 500 : 5)).c_str(), i % 7, time, newest - 20));
    }
    WindowSpec spec = Cumulative(100, 10, 15);
    spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}};
    const std::vector<std::string> expected = CumulativeModel(rows, 100, 10, 15);
    for (const size_t batch_size : {1, 2, 7, 1000}) {
      MemoryBudget budget(int64_t{64} << 10);
      Harness h(SingleNode(spec, "n int64, s int64 null"), {}, seed == 2 ? &budget : nullptr);
      h.FeedWithCrashes(rows, batch_size, seed, 40, 400);
      h.Advance(2000);
      h.Commit();
      EXPECT_EQ(CellsText(h.out().rows), expected) << seed << " " << batch_size;
      EXPECT_EQ(h.ledger().open, 0);
      h.CheckLedger();
    }
  }
}

TEST(CumulativeWindow, PartialsMeetInTheFirstWindowThatIsOpenThere) {
  const WindowSpec spec = Cumulative(40, 10, 0);
  Harness partial(PartialNode(spec)), final(FinalNode(spec));
  partial.Process({Row("a", 1, 3, 5), Row("a", 1, 3, 12), Row("a", 1, 3, 50)});
  partial.Commit();
  EXPECT_EQ(partial.ledger().late, 1);
  final.Process(partial.out().rows);
  final.Advance(20);
  EXPECT_THAT(CellsText(final.out().rows), ElementsAre("a|0|10|1", "a|0|20|2"));
  // Behind its windows there: [0, 30) is open.
  final.Process(partial.out().rows);
  final.Advance(40);
  EXPECT_THAT(CellsText({final.out().rows.begin() + 2, final.out().rows.end()}), ElementsAre("a|0|30|4", "a|0|40|4"));
  final.Process(partial.out().rows);
  EXPECT_EQ(final.ledger().late_after_idle, 2);
}

TEST(CumulativeWindow, AFullCommitInTheMidstOfAWindowLosesNothing) {
  Harness h(SingleNode(Cumulative(30, 10, 0)));
  std::vector<TestRow> rows;
  for (int i = 0; i < 5000; ++i) rows.push_back(Row(absl::StrCat("p", 10'000 + i).c_str(), 1, 3));
  h.Process(rows);
  h.out().set_full_after(1);
  const auto reached = h.op().AdvanceWatermark(EventTime{100}, h.out());
  ASSERT_TRUE(reached.ok());
  EXPECT_LT(h.out().rows.size(), 5000u);
  h.Commit();
  h.Crash(/*advance=*/false);
  h.Advance(100);
  EXPECT_EQ(h.out().rows.size(), 15'000u);
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

// ---- keep

WindowSpec Kept(int64_t keep, bool every_record = false) {
  WindowSpec spec = Spec(10, 10, 0, /*on_update=*/true);
  spec.keep_us = keep;
  spec.every_record = every_record;
  return spec;
}

TEST(KeptWindow, ItsRowsAreDeletedOnceTheWatermarkIsSoFarBehindItsEnd) {
  Harness h(SingleNode(Kept(100)));
  h.Process({Row("a", 1, 3), Row("b", 1, 4), Row("a", 1, 12)});
  h.Commit();
  EXPECT_EQ(h.Advance(60).us, 70 - kMillisecond - 1);  // what is kept doesn't hold time back
  h.Process({Row("a", 1, 5, 59)});
  EXPECT_EQ(h.ledger().late, 1);
  h.Advance(109);
  h.Commit();
  h.Crash();
  EXPECT_EQ(h.out().rows.size(), 3u);
  h.Advance(110);
  h.Commit();
  const auto deleted = [](const char* place) {
    return TestRow{.cells = {std::string(place), int64_t{0}, int64_t{10}, int64_t{1}},
                   .time = 10 - kMillisecond,
                   .op = Op::kDelete};
  };
  EXPECT_THAT(std::vector<TestRow>(h.out().rows.begin() + 3, h.out().rows.end()),
              ElementsAre(deleted("a"), deleted("b")));
  h.Advance(1000);
  h.Commit();
  EXPECT_THAT(Fold(h.out().rows, {0, 1}), IsEmpty());
  EXPECT_EQ(h.ledger().open, 0);
  h.CheckLedger();
}

TEST(KeptWindow, ItsRowsAreKeptAsLongWhateverTheGraceHasBeen) {
  WindowSpec spec = Kept(100);
  Harness h(SingleNode(spec));
  h.Process({Row("a", 1, 3)});
  h.Advance(60);
  int64_t late = 0;
  for (const int64_t grace : {50, 0, 70}) {
    h.Commit();
    spec.grace_us = grace;
    h.GoOnWith(SingleNode(spec));
    h.Process({Row("a", 1, 5, 60)});  // it had closed
    EXPECT_EQ(h.ledger().late, ++late);
  }
  h.Advance(109);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 1u);
  h.Advance(110);
  h.Commit();
  EXPECT_EQ(h.out().rows.size(), 2u);
  EXPECT_THAT(Fold(h.out().rows, {0, 1}), IsEmpty());
  h.CheckLedger();
}

TEST(KeptWindow, WhatChangedInTheSameCommitIsDeletedAsItChanged) {
  for (const bool every_record : {false, true}) {
    Harness h(SingleNode(Kept(20, every_record)));
    h.Process({Row("a", 1, 3)});
    h.Commit();
    h.Process({Row("a", 1, 4), Row("b", 1, 4)});
    h.Advance(1000);
    EXPECT_THAT(Fold(h.out().rows, {0, 1}), IsEmpty());
    h.Commit();
    EXPECT_THAT(Fold(h.out().rows, {0, 1}), IsEmpty());
    EXPECT_EQ(h.store().Count("k") + h.store().Count("v"), 0);
    h.CheckLedger();
  }
}

TEST(KeptWindow, AFullCommitInTheMidstAndACrashDeleteEveryRowOnceAsItStands) {
  Harness h(SingleNode(Kept(20)));
  std::vector<TestRow> rows;
  for (int i = 0; i < 5000; ++i) rows.push_back(Row(absl::StrCat("p", 10'000 + i).c_str(), 1, 3));
  h.Process(rows);
  h.Commit();
  h.Process(rows);  // changed again, and not committed when it is over
  h.out().set_full_after(1);
  const auto reached = h.op().AdvanceWatermark(EventTime{1000}, h.out());
  ASSERT_TRUE(reached.ok());
  h.Commit();
  EXPECT_GT(Fold(h.out().rows, {0, 1}).size(), 0u);
  h.Crash(/*advance=*/false);
  h.Advance(1000);
  h.Commit();
  EXPECT_THAT(Fold(h.out().rows, {0, 1}), IsEmpty());
  h.CheckLedger();
}

TEST(KeptWindow, WhatStandsAreTheWindowsThatAreNotOverWhateverTheBatchesCommitsAndCrashes) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<TestRow> rows;
    int64_t newest = 0;
    for (int64_t i = 0; i < 1000; ++i) {
      const int64_t time = i - static_cast<int64_t>(random() % 20);
      newest = std::max(newest, time);
      rows.push_back(Row(absl::StrCat("p", random() % 50).c_str(), 1, time, newest - 5));
    }
    std::map<std::string, int64_t> expected;
    for (const TestRow& row : rows) {
      const int64_t end = FloorTo(EventTime{row.time}, 10).us + 10;
      if (end > row.watermark && end + 60 > 990) {
        ++expected[absl::StrCat(std::get<std::string>(row.cells[0]), "|", end - 10, "|", end)];
      }
    }
    for (const size_t batch_size : {1, 2, 7, 1000}) {
      MemoryBudget budget(int64_t{64} << 10);
      Harness h(SingleNode(Kept(60, seed == 1)), {}, seed == 2 ? &budget : nullptr);
      h.FeedWithCrashes(rows, batch_size, seed, 40, 400);
      h.Advance(990);
      h.Commit();
      std::map<std::string, int64_t> found;
      for (const auto& [key, row] : Fold(h.out().rows, {0, 1, 2})) {
        found[key] = std::stoll(row.substr(row.rfind('|') + 1));
      }
      EXPECT_EQ(found, expected) << seed << " " << batch_size;
      h.CheckLedger();
    }
  }
}

}  // namespace
}  // namespace tidemark
