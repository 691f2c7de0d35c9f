// The batch step: what makes a batch complete, what rejects it, and that its rows go out together.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/batch/batch.h"
#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

const Schema kSchema = Columns("batch string null, n int64 null, v int64");

BatchSpec Spec() {
  return {.by = {0}, .expected = "n", .deadline_us = 100, .forget_us = 1000, .rules = {{"positive", "v > 0"}}};
}
Harness Whole(BatchSpec spec = Spec()) { return Harness(MakeNode(spec, kSchema, AllHidden(), kSchema)); }

TestRow Row(const std::string& batch, int64_t n, int64_t v, int64_t time = 0, int64_t watermark = -1) {
  TestRow row{{batch, n, v}, time};
  row.watermark = watermark;
  row.offset = v;
  return row;
}

TEST(Batch, NothingIsSeenOfABatchBeforeAllOfItIsThere) {
  Harness h = Whole();
  h.Process({Row("a", 3, 1), Row("b", 2, 2), Row("a", 3, 3)});
  h.Advance(50);
  h.Commit();
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Process({Row("a", 3, 3)});  // an equal row is a row
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|3|1", "a|3|3", "a|3|3"));
  EXPECT_EQ(h.out().rows[1].offset, 3);
  EXPECT_EQ(h.ledger().passed, 3);
  h.CheckLedger();
}

TEST(Batch, OneBatchGoesOutACommitAndTheCommitIsAskedForAtOnce) {
  Harness h = Whole();
  h.out().set_full_after_pending(int64_t{1} << 30);
  h.Advance(7);
  h.Process({Row("a", 1, 1, 8, 7), Row("b", 1, 2, 8, 7), Row("c", 1, 3, 8, 7)});
  EXPECT_EQ(h.commit(), 3u);
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|1", "b|1|2", "c|1|3"));
}

// No row comes any more, and time doesn't move, or there is none yet.
TEST(Batch, WhatAFullCommitDoesNotTakeGoesOutInTheNextWithoutAnythingElse) {
  Harness h = Whole();
  h.out().set_full_after_pending(int64_t{1} << 30);
  h.Process({Row("a", 1, 1), Row("b", 2, 2)});
  h.Process({Row("c", 1, 3), Row("b", 2, 4), Row("d", 1, -5)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|1", "b|2|2", "b|2|4", "c|1|3"));
  EXPECT_EQ(h.out().failures.size(), 1u);
  EXPECT_FALSE(h.out().Full());
  h.CheckLedger();
}

TEST(Batch, WhatACrashLeavesToGiveGoesOutBeforeAnythingElseComes) {
  Harness h = Whole();
  h.Process({Row("a", 1, 1), Row("b", 1, 2)});  // nothing is full here, so b waits
  h.Commit();
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|1"));
  h.Crash();
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|1", "b|1|2"));
}

TEST(Batch, OneThatIsntCompleteByItsDeadlineIsRejectedWholeAndSoIsWhatComesLater) {
  Harness h = Whole();
  h.Process({Row("a", 3, 1, 10), Row("a", 3, 2, 30)});
  h.Advance(109);
  EXPECT_THAT(h.out().failures, IsEmpty());
  h.Advance(110);  // by the smallest time of its rows
  ASSERT_EQ(h.out().failures.size(), 2u);
  EXPECT_THAT(h.out().failures[0],
              HasSubstr("batch {\"batch\":\"a\"} is rejected: 2 of 3 rows had come by its deadline: a|3|1"));
  h.Commit();
  h.Process({Row("a", 3, 3, 40, 110)});
  ASSERT_EQ(h.out().failures.size(), 3u);
  EXPECT_THAT(h.out().failures[2], HasSubstr("its batch {\"batch\":\"a\"} is rejected: 2 of 3"));
  EXPECT_THAT(h.out().rows, IsEmpty());
  EXPECT_THAT(h.ledger().violated, testing::Contains(Pair("batch-deadline", 1)));
  EXPECT_EQ(h.ledger().dead_lettered, 3);
  h.CheckLedger();
}

TEST(Batch, WhetherTheLastRowIsInTimeDependsOnItsOwnWatermarkAndNotOnWhenTimeIsAdvanced) {
  for (const bool advanced : {false, true}) {
    Harness h = Whole();
    h.Process({Row("a", 2, 1, 10)});
    if (advanced) h.Advance(109);
    h.Process({Row("a", 2, 2, 20, 109)});
    EXPECT_EQ(h.out().rows.size(), 2u);
  }
  for (const bool advanced : {false, true}) {
    Harness h = Whole();
    h.Process({Row("a", 2, 1, 10)});
    if (advanced) h.Advance(110);
    h.Process({Row("a", 2, 2, 20, 110)});
    EXPECT_THAT(h.out().rows, IsEmpty());
    EXPECT_EQ(h.out().failures.size(), 2u);
  }
}

TEST(Batch, ARowThatBreaksARuleRejectsItsBatchWithItsReason) {
  Harness h = Whole();
  h.Process({Row("a", 3, 1), Row("b", 1, 7), Row("a", 3, -5), Row("a", 3, 3)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("b|1|7"));
  ASSERT_EQ(h.out().failures.size(), 3u);
  EXPECT_THAT(h.out().failures[1], HasSubstr("rule positive is broken by row 2: it is not true that v > 0: a|3|1"));
  EXPECT_THAT(h.ledger().violated, ElementsAre(Pair("batch-broken", 1), Pair("positive", 1)));
  h.CheckLedger();
}

TEST(Batch, RowsThatDisagreeAboutTheirNumberRejectIt) {
  Harness h = Whole();
  h.Process({Row("a", 3, 1), Row("a", 2, 2)});
  h.Process({Row("b", 0, 1)});
  ASSERT_EQ(h.out().failures.size(), 3u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("its rows say that it has 3 rows, and 2"));
  EXPECT_THAT(h.out().failures[2], HasSubstr("it expects 0 rows, and has 1"));
}

TEST(Batch, WhereOnlyOneRowSaysTheNumberItCountsForAll) {
  Harness h = Whole();
  h.Process({{{std::string("a"), Cell(), int64_t{1}}}, Row("a", 2, 2)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|NULL|1", "a|2|2"));
}

TEST(Batch, ABatchThatComesAgainIsntShownTwiceUntilItIsForgotten) {
  Harness h = Whole();
  h.Process({Row("a", 1, 1)});
  h.Commit();
  h.Advance(1099);
  h.Crash();
  h.Process({Row("a", 1, 2, 1090, 1099)});
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("its batch {\"batch\":\"a\"} is complete, with 1 rows"));
  h.Process({Row("a", 1, 3, 1101, 1100)});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("a|1|1", "a|1|3"));
  h.CheckLedger();
}

TEST(Batch, ARowOfNoBatchIsADeadLetter) {
  Harness h = Whole();
  h.Process({{{Cell(), int64_t{1}, int64_t{1}}}});
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("of no batch: batch is NULL"));
  h.CheckLedger();
}

TEST(Batch, TimeIsHeldBackForThoseThatWait) {
  Harness h = Whole();
  EXPECT_EQ(h.Advance(5), EventTime{5});
  h.Process({Row("a", 2, 1, 10, 5)});
  EXPECT_EQ(h.Advance(60), EventTime{5});
  h.Process({Row("a", 2, 2, 10, 5)});
  EXPECT_EQ(h.Advance(61), EventTime{61});
}

// However many batches overlap, and one is always open.
TEST(Batch, TimeMovesOnWithTheOldestBatchThatWaits) {
  for (const bool crash : {false, true}) {
    Harness h = Whole();
    h.out().set_full_after_pending(int64_t{1} << 30);
    h.Process({Row("0", 2, 1, 10, 0)});
    for (int64_t i = 1; i < 50; ++i) {
      const int64_t now = i * 10;
      h.Advance(now);
      h.Commit();
      if (crash) h.Crash(false);
      h.Process({Row(std::to_string(i), 2, 1, now + 10, now)});
      EXPECT_EQ(h.Advance(now), EventTime{now - 10});
      h.Process({Row(std::to_string(i - 1), 2, 2, now + 10, now)});
      EXPECT_EQ(h.Advance(now), EventTime{now});
    }
  }
}

TEST(Batch, RowsThatAreNeverLateHoldTimeBeforeTheirOwn) {
  Harness h = Whole();
  h.Process({Row("a", 2, 1, 40, kMinTime.us)});
  EXPECT_EQ(h.Advance(30), EventTime{30});
  EXPECT_EQ(h.Advance(60), EventTime{39});
}

TEST(Batch, ARejectedBatchThatHeldTimeBackLetsItGoAtOnce) {
  Harness h = Whole();
  h.out().set_full_after_pending(int64_t{1} << 30);
  h.Process({Row("a", 3, 1, 10, 5)});
  EXPECT_EQ(h.Advance(60), EventTime{5});
  h.Process({Row("a", 3, -1, 10, 60)});
  EXPECT_EQ(h.out().failures.size(), 2u);
  EXPECT_EQ(h.Advance(60), EventTime{60});
}

TEST(Batch, OneThatExpectsMoreRowsThanACommitCarriesIsRejectedByItsFirst) {
  Harness h = Whole();
  h.Process({Row("a", kMaxBatchRows + 1, 1), Row("b", kMaxBatchRows, 2)});
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("larger than 1000000 rows or 128 MiB: 1 rows of 1000001 have come"));
  EXPECT_THAT(h.ledger().violated, testing::Contains(Pair("batch-size", 1)));
}

TEST(Batch, HowLargeOneMayBeIsTheStepsToSay) {
  BatchSpec spec = Spec();
  spec.max_rows = 3;
  spec.max_bytes = 1 << 20;
  Harness h = Whole(spec);
  h.Process({Row("a", 4, 1), Row("b", 3, 2)});
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("larger than 3 rows or 1 MiB: 1 rows of 4 have come"));
}

TEST(Batch, ARejectedBatchOfManyChunksLosesNoRowInACrash) {
  Harness h = Whole();
  std::vector<TestRow> rows;
  for (int64_t i = 1; i <= 20'000; ++i) rows.push_back(Row("a", 30'000, i));
  h.Process(rows);
  h.Commit();
  h.Advance(100);
  EXPECT_EQ(h.out().failures.size(), 20'000u);
  h.Crash();
  h.Advance(101);
  EXPECT_EQ(h.out().failures.size(), 20'000u);
  h.Commit();
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.CheckLedger();
}

// Rows of some batches mixed, in pieces of any size, with commits and crashes: what is whole comes once, in one commit.
TEST(Batch, ResultsDependOnRowsAlone) {
  std::vector<TestRow> rows;
  int64_t v = 0;
  for (int64_t round = 0; round < 30; ++round) {
    for (const char* batch : {"x", "y", "z"}) {
      for (int64_t i = 0; i < 40; ++i) {
        if (round % 5 == 4 && i == 17) continue;  // these lack a row
        const int64_t time = round * 1000 + i;
        rows.push_back(Row(batch + std::to_string(round), 40, ++v, time, time - 50));
      }
    }
  }
  std::vector<std::string> first;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    Harness h = Whole();
    h.out().set_full_after_pending(int64_t{1} << 30);
    h.FeedWithCrashes(rows, 1 + seed * 37, seed, 100, 300);
    h.Advance(100'000);
    EXPECT_EQ(h.out().rows.size(), 24u * 3 * 40);
    EXPECT_EQ(h.out().failures.size(), 6u * 3 * 39);
    std::vector<std::string> texts = CellsText(h.out().rows);
    std::sort(texts.begin(), texts.end());
    if (seed == 0) first = texts;
    EXPECT_EQ(texts, first);
    h.CheckLedger();
  }
}

}  // namespace
}  // namespace tidemark
