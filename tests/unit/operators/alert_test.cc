// Alerts: what every reading and every passing of time does.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/alert_fixture.h"

namespace tidemark {
namespace {

using namespace alert_test;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Alert, IsRaisedOnceWhenTheConditionBeginsToHoldAndClearedWhenItIsOver) {
  Harness h(AlertNode(Spec()));
  h.Process({At(1, 0.5), At(2, 1.5), At(3, 2.5), At(4, 0.9), At(5, 1.1)});
  EXPECT_THAT(h.out().rows, IsEmpty());  // until the watermark has passed them
  EXPECT_EQ(h.Advance(2 * kS).us, 2 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());  // another row of that second may come
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2",
                                    "r 1.1 5 raised condition 5 5 0"));
  EXPECT_EQ(h.ledger().absorbed, 5);
  h.CheckLedger();
}

TEST(Alert, RowsAreJudgedInTheOrderOfTimeWhateverTheOrderInWhichTheyCome) {
  Harness h(AlertNode(Spec()));
  h.Process({At(4, 0.9), At(2, 1.5), At(5, 1.1), At(3, 2.5)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2",
                                    "r 1.1 5 raised condition 5 5 0"));
}

TEST(Alert, RowsOfOneTimeFollowTheirPlaceInTheSource) {
  Harness h(AlertNode(Spec()));
  TestRow low = At(2, 0.5), high = At(2, 1.5);
  low.partition = 1;
  h.Process({low, high});
  h.Advance(3 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 2 0"));
}

// As where rows of a source and others come together: steps before have use for the offset.
TEST(Alert, RowsOfWhichOnlyTheOffsetIsCarriedFollowTheirColumns) {
  Harness h(AlertNode(Spec(), HiddenSet().With(Hidden::kWatermark).With(Hidden::kOffset)));
  TestRow low = At(2, 0.5), high = At(2, 1.5);
  high.offset = 1;
  h.Process({high, low, At(3, 1.5)});
  h.Advance(4 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0"));
}

TEST(Alert, BetweenRaiseAndClearAnAlertStaysAsItIs) {
  AlertSpec spec = Spec();
  spec.clear = "x < 0.5";
  Harness h(AlertNode(spec));
  h.Process({At(1, 0.9), At(2, 1.5), At(3, 0.9), At(4, 1.2), At(5, 0.4), At(6, 0.9)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 5 3"));
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d"), 0);
}

TEST(Alert, ARowThatBothRaisesAndClearsKeepsTheAlert) {
  AlertSpec spec = Spec();
  spec.clear = "n > 2";
  Harness h(AlertNode(spec));
  h.Process({At(2, 1.5), At(3, 1.5), At(4, Cell())});
  h.Advance(9 * kS);
  // NULL isn't true, so the last clears by its own condition.
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0", "r 1.5 2 cleared condition 2 4 2"));
}

TEST(Alert, NullSaysNothing) {
  AlertSpec spec = Spec();
  spec.for_us = 5 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, Cell()), At(2, 1.5), At(3, Cell()), At(8, Cell()), At(9, 0.1)});
  h.Advance(20 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 7 5", "r 1.5 2 cleared condition 2 9 7"));
}

TEST(Alert, ForIsBrokenByARowInBetweenAndAtItsVeryEndAndFiresByTheWatermarkAlone) {
  AlertSpec spec = Spec();
  spec.for_us = 10 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(5, 0.5), At(6, 2.0), At(16, 0.5), At(17, 3.0), At(20, 4.0)});
  h.Advance(27 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Advance(27 * kS + 1);
  EXPECT_THAT(Texts(h), ElementsAre("r 3 17 raised condition 17 27 10"));
}

TEST(Alert, RemindersComeEverySoMuchTimeSinceItWasRaisedAlsoWhereTimeJumps) {
  AlertSpec spec = Spec();
  spec.for_us = 2 * kS;
  spec.remind_us = 10 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0)});
  h.Advance(14 * kS);
  h.Commit();
  h.Crash();
  h.Advance(34 * kS);
  h.Process({At(43, 0.1)});  // at the time of a reminder: the row goes first
  h.Advance(90 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 3 2", "r 2 1 reminded condition 1 13 12",
                                    "r 2 1 reminded condition 1 23 22", "r 2 1 reminded condition 1 33 32",
                                    "r 2 1 cleared condition 1 43 42"));
}

TEST(Alert, AKeyThatFallsSilentIsAbsentUntilItsNextRowAndForgottenInTheEnd) {
  AlertSpec spec = Spec();
  spec.raise.clear();
  spec.absent_us = 5 * kS;
  spec.forget_us = 30 * kS;
  spec.remind_us = 20 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 1.0), At(2, 2.0), At(4, 1.0, "s")});
  h.Advance(7 * kS);
  EXPECT_THAT(h.out().rows, IsEmpty());
  h.Process({At(7, 3.0), At(9, 1.0, "s")});
  h.Advance(7 * kS + 1);
  EXPECT_THAT(h.out().rows, IsEmpty());  // one at the very end is in time
  h.Process({At(40, 0.0)});
  h.Advance(45 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 3 7 raised absent 7 12 5", "s 1 9 raised absent 9 14 5",
                                    "r 3 7 reminded absent 7 32 25", "s 1 9 reminded absent 9 34 25",
                                    "r 3 7 forgotten absent 7 37 30", "s 1 9 forgotten absent 9 39 30"));
  h.Commit();
  h.Crash();
  h.Process({At(46, 0.0)});  // behind 45, when it would be absent
  h.Advance(1000 * kS);
  EXPECT_THAT(Texts(h, 6), ElementsAre("r 0 40 raised absent 40 45 5", "r 0 40 cleared absent 40 46 6",
                                       "r 0 46 raised absent 46 51 5", "r 0 46 reminded absent 46 71 25",
                                       "r 0 46 forgotten absent 46 76 30"));
  h.Commit();
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d"), 0);
  EXPECT_LT(h.op().MemoryBytes(), 1000);
}

TEST(Alert, AbsenceAndTheConditionAreTwoAlerts) {
  AlertSpec spec = Spec();
  spec.absent_us = 5 * kS;
  spec.forget_us = 20 * kS;
  spec.severity = "bad";
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(8, 0.5), At(9, 2.0)});
  h.Advance(100 * kS);
  EXPECT_THAT(Texts(h),
              ElementsAre("r 2 1 raised condition 1 1 0", "r 2 1 raised absent 1 6 5", "r 2 1 cleared absent 1 8 7",
                          "r 2 1 cleared condition 1 8 7", "r 2 9 raised condition 9 9 0", "r 2 9 raised absent 9 14 5",
                          "r 2 9 forgotten condition 9 29 20", "r 2 9 forgotten absent 9 29 20"));
  EXPECT_EQ(std::get<std::string>(h.out().rows[0].cells[8]), "bad");
}

TEST(Alert, WithoutAbsenceAKeyWhoseConditionDoesNotHoldLeavesNothing) {
  Harness h(AlertNode(Spec()));
  for (int64_t i = 0; i < 1000; ++i) h.Process({At(i, 0.5, absl::StrCat("r", i).c_str())});
  h.Advance(1000 * kS);
  h.Commit();
  EXPECT_EQ(h.store().Count("w") + h.store().Count("d") + h.store().Count("q"), 0);
  EXPECT_LT(h.op().MemoryBytes(), 40'000);
}

TEST(Alert, ALateRowIsNoReadingWhateverElseIsWrongWithIt) {
  AlertSpec spec = Spec();
  spec.raise = "1 / n > 0";
  spec.grace_us = 2 * kS;
  spec.late_topic = "late";
  Harness h(AlertNode(spec));
  TestRow late = At(0, 1.0), in_time = At(8, 1.0), failing = At(9, 1.0);
  late.watermark = 3 * kS;
  in_time.watermark = 10 * kS;
  failing.cells[2] = int64_t{0};
  h.Process({late, in_time, failing});
  EXPECT_EQ(h.ledger().late, 1);
  EXPECT_EQ(h.ledger().absorbed, 1);
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  EXPECT_EQ(h.out().late.size(), 1u);
  EXPECT_THAT(h.out().failures, ElementsAre("1 / n > 0: division by zero: r|1|0"));
  EXPECT_EQ(h.Advance(30 * kS).us, 28 * kS);
  h.Process({At(27, 1.0)});  // not late by itself, but from where time stood still
  EXPECT_EQ(h.ledger().late, 2);
  h.CheckLedger();
}

TEST(Alert, NullIsAKeyAndWithoutColumnsThereIsOne) {
  Harness h(AlertNode(Spec()));
  TestRow row = At(1, 2.0);
  row.cells[0] = Cell();
  h.Process({row, At(1, 0.5)});
  h.Advance(5 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("NULL 2 1 raised condition 1 1 0"));
  AlertSpec all = Spec();
  all.by.clear();
  Harness one(AlertNode(all));
  one.Process({At(1, 2.0, "a"), At(2, 3.0, "b"), At(3, 0.0, "c")});
  one.Advance(5 * kS);
  EXPECT_THAT(Texts(one), ElementsAre("a 2 1 raised condition 1 1 0", "a 2 1 cleared condition 1 3 2"));
}

TEST(Alert, OfChangingRowsThoseAreReadingsThatStandWhenTheirTimeHasCome) {
  AlertSpec spec = Spec();
  spec.input_updates = true;
  const auto change = [](int64_t seconds, double x, Op op) {
    TestRow row = At(seconds, x);
    row.watermark = kMinTime.us;
    row.op = op;
    return row;
  };
  Harness h(AlertNode(spec, UpdateHidden().With(Hidden::kWatermark)));
  h.Process({change(1, 2.0, Op::kInsert), change(2, 0.5, Op::kInsert)});
  h.Commit();
  h.Crash();
  h.Process({change(1, 2.0, Op::kUpdateBefore), change(1, 0.9, Op::kUpdateAfter), change(2, 0.5, Op::kUpdateBefore),
             change(2, 1.5, Op::kUpdateAfter), change(3, 3.0, Op::kInsert), change(3, 3.0, Op::kDelete)});
  h.Advance(9 * kS);
  EXPECT_THAT(Texts(h), ElementsAre("r 1.5 2 raised condition 2 2 0"));
  // Both halves come too late.
  h.Process({change(2, 1.5, Op::kUpdateBefore), change(2, 0.1, Op::kUpdateAfter)});
  EXPECT_EQ(h.ledger().late, 2);
  h.CheckLedger();
  const auto wrong = h.op().ProcessBatch(
      0, ToBatch(kRows, UpdateHidden().With(Hidden::kWatermark), {change(10, 1.0, Op::kDelete)}), h.out());
  EXPECT_EQ(wrong.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Alert, AnotherTopologysDurationsHoldFromThenOnAndNothingComesBeforeWhatHasGoneOut) {
  AlertSpec spec = Spec();
  spec.for_us = 100 * kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(30, 2.0, "s")});
  h.Advance(50 * kS);
  h.Commit();
  spec.for_us = 10 * kS;
  spec.remind_us = 60 * kS;
  h.GoOnWith(AlertNode(spec));
  h.Advance(111 * kS);
  // Due at 11 and 40, but time had come to 50.
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 50 49", "s 2 30 raised condition 30 50 20",
                                    "r 2 1 reminded condition 1 110 109", "s 2 30 reminded condition 30 110 80"));
}

TEST(Alert, AFullCommitStopsInBetweenAndACrashThereRepeatsNothing) {
  AlertSpec spec = Spec();
  spec.for_us = kS;
  spec.remind_us = kS;
  Harness whole(AlertNode(spec)), h(AlertNode(spec));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 50; ++i) rows.push_back(At(i % 5, 2.0, absl::StrCat("r", i).c_str()));
  for (Harness* each : {&whole, &h}) each->Process(rows);
  whole.Advance(100 * kS);
  h.out().set_full_after(1);
  const auto reached = h.op().AdvanceWatermark(EventTime{100 * kS}, h.out());
  ASSERT_TRUE(reached.ok());
  EXPECT_LT(*reached, EventTime{100 * kS});
  EXPECT_LT(h.out().rows.size(), whole.out().rows.size());
  for (const TestRow& row : h.out().rows) EXPECT_LE(EventTime{row.time}, *reached);
  h.Commit();
  h.Crash(/*advance=*/false);
  h.Advance(100 * kS);
  EXPECT_EQ(h.out().rows, whole.out().rows);
}

TEST(Alert, AtTheEndOfTimeAllRowsAreJudgedAndNothingIsDueForEver) {
  AlertSpec spec = Spec();
  spec.remind_us = kS;
  Harness h(AlertNode(spec));
  h.Process({At(1, 2.0), At(3, 0.5), At(4, 2.0)});
  h.Advance(kMaxTime.us);
  EXPECT_THAT(Texts(h), ElementsAre("r 2 1 raised condition 1 1 0", "r 2 1 reminded condition 1 2 1",
                                    "r 2 1 cleared condition 1 3 2", "r 2 4 raised condition 4 4 0"));
}

}  // namespace
}  // namespace tidemark
