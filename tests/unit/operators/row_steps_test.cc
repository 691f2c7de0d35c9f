// pass, filter, project.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;

const Schema kSchema = Columns("a int64 null, b int64");

TEST(Pass, LetsRowsThroughAndDropsHiddenColumnsThatNobodyNeeds) {
  Node node = MakeNode(PassSpec(), kSchema, AllHidden(), kSchema);
  node.hidden = HiddenSet().With(Hidden::kWatermark);
  Harness h(node);
  h.Process({{.cells = {int64_t{1}, int64_t{2}}, .time = 5, .watermark = 3, .offset = 9}});
  EXPECT_THAT(h.out().rows, ElementsAre(TestRow{.cells = {int64_t{1}, int64_t{2}}, .time = 5, .watermark = 3}));
  EXPECT_EQ(h.ledger().passed, 1);
  h.CheckLedger();
}

TEST(Filter, ARowWhoseConditionIsFalseOrNullIsFiltered) {
  Harness h(MakeNode(FilterSpec{"a > 1"}, kSchema, AllHidden(), kSchema));
  h.Process(
      {{{int64_t{1}, int64_t{0}}}, {{int64_t{2}, int64_t{0}}}, {{Cell(), int64_t{0}}}, {{int64_t{3}, int64_t{1}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("2|0", "3|1"));
  EXPECT_EQ(h.ledger().filtered, 2);
  h.CheckLedger();
}

TEST(Filter, LeavesOutColumnsThatArentPassed) {
  Node node = MakeNode(FilterSpec{"a > 1"}, kSchema, AllHidden(), Columns("b int64"));
  node.inputs[0].passed = {1};
  Harness h(node);
  h.Process({{{int64_t{1}, int64_t{5}}}, {.cells = {int64_t{2}, int64_t{6}}, .time = 7}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("6"));
  EXPECT_EQ(h.out().rows[0].time, 7);
}

TEST(Filter, RowsWithoutAnyColumnAreStillCounted) {
  Node node = MakeNode(FilterSpec{"a > 1"}, kSchema, AllHidden(), Schema());
  node.inputs[0].passed.emplace();
  Harness h(node);
  h.Process({{{int64_t{1}, int64_t{5}}}, {{int64_t{2}, int64_t{6}}}, {{int64_t{3}, int64_t{6}}}});
  EXPECT_EQ(h.out().rows.size(), 2u);
}

TEST(Filter, ARowOnWhichTheConditionFailsGoesToTheDeadLetters) {
  Harness h(MakeNode(FilterSpec{"10 / b > 1"}, kSchema, AllHidden(), kSchema));
  h.Process({{{int64_t{1}, int64_t{0}}}, {{int64_t{2}, int64_t{2}}}, {{int64_t{3}, int64_t{100}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("2|2"));
  EXPECT_THAT(h.out().failures, ElementsAre("10 / b > 1: division by zero: 1|0"));
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  EXPECT_EQ(h.ledger().filtered, 1);
  h.CheckLedger();
}

TestRow Change(Op op, int64_t a, int64_t b) { return {.cells = {a, b}, .op = op}; }

TEST(Filter, HalfAPairBecomesADeleteOrAnInsert) {
  Harness h(MakeNode(FilterSpec{"a > 10"}, kSchema, UpdateHidden(), kSchema));
  h.Process({Change(Op::kUpdateBefore, 11, 1), Change(Op::kUpdateAfter, 9, 1), Change(Op::kUpdateBefore, 8, 2),
             Change(Op::kUpdateAfter, 12, 2), Change(Op::kUpdateBefore, 13, 3), Change(Op::kUpdateAfter, 14, 3),
             Change(Op::kUpdateBefore, 1, 4), Change(Op::kUpdateAfter, 2, 4), Change(Op::kDelete, 20, 5),
             Change(Op::kDelete, 2, 6), Change(Op::kInsert, 30, 7)});
  EXPECT_THAT(h.out().rows,
              ElementsAre(Change(Op::kDelete, 11, 1), Change(Op::kInsert, 12, 2), Change(Op::kUpdateBefore, 13, 3),
                          Change(Op::kUpdateAfter, 14, 3), Change(Op::kDelete, 20, 5), Change(Op::kInsert, 30, 7)));
  h.CheckLedger();
}

TEST(Filter, APairCutBetweenTwoBatchesMeansDeleteAndInsert) {
  Harness h(MakeNode(FilterSpec{"a > 10"}, kSchema, UpdateHidden(), kSchema));
  h.Feed({Change(Op::kUpdateBefore, 13, 3), Change(Op::kUpdateAfter, 14, 3)}, 1);
  EXPECT_THAT(h.out().rows, ElementsAre(Change(Op::kDelete, 13, 3), Change(Op::kInsert, 14, 3)));
}

TEST(Filter, ACommitOfNoRowsEmitsNothing) {
  Harness h(MakeNode(FilterSpec{"a > 10"}, kSchema, AllHidden(), kSchema));
  h.Process({});
  EXPECT_TRUE(h.out().rows.empty());
}

TEST(Filter, AConditionThatIsNotBoolIsRefused) {
  const Node node = MakeNode(FilterSpec{"a + 1"}, kSchema, AllHidden(), kSchema);
  EXPECT_EQ(node.spec.kind().Make(node).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Project, ComputesColumnsAndKeepsTimeAndOrder) {
  Harness h(MakeNode(ProjectSpec{{{"sum", "a + b"}, {"a", "a"}}}, kSchema, AllHidden(),
                     Columns("sum int64 null, a int64 null")));
  h.Process({{.cells = {int64_t{1}, int64_t{2}}, .time = 5, .watermark = 4, .source = 1, .partition = 2, .offset = 3}});
  EXPECT_THAT(
      h.out().rows,
      ElementsAre(TestRow{
          .cells = {int64_t{3}, int64_t{1}}, .time = 5, .watermark = 4, .source = 1, .partition = 2, .offset = 3}));
}

TEST(Project, ARowThatFailsTwiceIsDeadLetteredOnce) {
  Harness h(MakeNode(ProjectSpec{{{"x", "1 / b"}, {"y", "2 / b"}}}, kSchema, AllHidden(),
                     Columns("x int64 null, y int64 null")));
  ASSERT_NE(&h.op(), nullptr);
  h.Process({{{int64_t{1}, int64_t{0}}}, {{int64_t{1}, int64_t{1}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|2"));
  EXPECT_THAT(h.out().failures, ElementsAre("1 / b: division by zero: 1|0"));
  h.CheckLedger();
}

TEST(Project, OverUpdatesAFailingRowAfterDeletesTheRowBefore) {
  Harness h(MakeNode(ProjectSpec{{{"x", "10 / b"}}}, kSchema, UpdateHidden(), Columns("x int64 null")));
  h.Process({Change(Op::kUpdateBefore, 1, 2), Change(Op::kUpdateAfter, 1, 0), Change(Op::kUpdateBefore, 1, 0),
             Change(Op::kUpdateAfter, 1, 5)});
  EXPECT_THAT(h.out().rows, ElementsAre(TestRow{.cells = {int64_t{5}}, .op = Op::kDelete},
                                        TestRow{.cells = {int64_t{2}}, .op = Op::kInsert}));
  EXPECT_EQ(h.out().failures.size(), 1u);  // the retraction of the failed row isn't reported again
  h.CheckLedger();
}

}  // namespace
}  // namespace tidemark
