#include "src/runtime/input_time.h"

#include <gtest/gtest.h>

namespace tidemark {

void PrintTo(const Mark& mark, std::ostream* out) { *out << mark.watermark.us << (mark.idle ? " idle" : ""); }
bool operator==(Mark a, Mark b) { return a.watermark == b.watermark && a.idle == b.idle; }

namespace {

constexpr int64_t kIdle = 10 * kSecond, kDisorder = 5 * kSecond;
constexpr int64_t kWall = 1'000'000 * kSecond;

EventTimeSpec Spec(WhenAllIdle when_all_idle) {
  EventTimeSpec spec;
  spec.max_out_of_orderness_us = kDisorder;
  spec.idle_after_us = kIdle;
  spec.when_all_idle = when_all_idle;
  return spec;
}

EventTime At(int64_t seconds) { return EventTime{seconds * kSecond}; }

Mark MinimumOf(const std::vector<Mark>& marks) {
  MarkMinimum minimum;
  for (const Mark& mark : marks) minimum.Add(mark);
  return minimum.Get();
}

TEST(MarkMinimum, IdleInputsAreLeftOut) {
  EXPECT_EQ(MinimumOf({{At(7), false}, {At(3), true}, {At(9), false}}), (Mark{At(7), false}));
}

TEST(MarkMinimum, OneInputWithoutTimeHoldsAllOthers) {
  EXPECT_EQ(MinimumOf({{At(7), false}, {kMinTime, false}}), (Mark{kMinTime, false}));
}

TEST(MarkMinimum, WithAllInputsIdleTheResultIsIdleAtTheLargest) {
  EXPECT_EQ(MinimumOf({{At(7), true}, {At(3), true}}), (Mark{At(7), true}));
}

TEST(MarkMinimum, OfNothingIsNoTimeAndNotIdle) { EXPECT_EQ(MinimumOf({}), (Mark{kMinTime, false})); }

TEST(SourceTime, APartitionIsIdleOnlyAfterItsTimeAtTheEnd) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  time.progress()->max_time = At(100);
  time.Busy(0);
  EXPECT_FALSE(time.Tick(true, kIdle - 1, kWall));
  EXPECT_EQ(time.mark(), (Mark{At(95), false}));
  EXPECT_TRUE(time.Tick(true, kIdle, kWall));
  EXPECT_EQ(time.mark(), (Mark{At(95), true}));
  EXPECT_FALSE(time.Tick(true, kIdle + kSecond, kWall)) << "nothing has changed since";
}

TEST(SourceTime, ABacklogIsNeverIdle) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  time.Busy(0);
  EXPECT_FALSE(time.Tick(false, 5 * kIdle, kWall));
  EXPECT_FALSE(time.Tick(true, 5 * kIdle + kIdle - 1, kWall)) << "silence counts from the end's arrival";
  EXPECT_TRUE(time.Tick(true, 6 * kIdle, kWall));
}

TEST(SourceTime, SilenceBeforeTheStartDoesNotCount) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  EXPECT_FALSE(time.Tick(true, 1000 * kIdle, kWall));
  EXPECT_FALSE(time.mark().idle);
  EXPECT_TRUE(time.Tick(true, 1001 * kIdle, kWall));
}

TEST(SourceTime, ARecordEndsIdleness) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  time.Busy(0);
  ASSERT_TRUE(time.Tick(true, kIdle, kWall));
  time.Busy(kIdle + 1);
  EXPECT_FALSE(time.mark().idle);
}

TEST(SourceTime, HoldLetsTimeStandWhileTheClockRuns) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  time.progress()->max_time = At(100);
  time.Busy(0);
  (void)time.Tick(true, kIdle, kWall);
  (void)time.Tick(true, 1000 * kIdle, kWall + 1000 * kIdle);
  EXPECT_EQ(time.mark().watermark, At(95));
}

TEST(SourceTime, FollowClockCarriesAnIdlePartitionBehindTheWallClock) {
  SourceInputTime time(Spec(WhenAllIdle::kFollowClock));
  time.progress()->max_time = At(100);
  time.Busy(0);
  EXPECT_FALSE(time.Tick(true, kIdle - 1, kWall));
  EXPECT_EQ(time.mark().watermark, At(95));
  EXPECT_TRUE(time.Tick(true, kIdle, kWall));
  EXPECT_EQ(time.mark(), (Mark{EventTime{kWall} - kDisorder - kIdle, true}));
  EXPECT_FALSE(time.Tick(true, kIdle + kSecond / 2, kWall + kSecond / 2)) << "moves in steps of a second";
  EXPECT_TRUE(time.Tick(true, kIdle + kSecond, kWall + kSecond));
  EXPECT_EQ(time.mark().watermark, EventTime{kWall} + kSecond - kDisorder - kIdle);
}

TEST(SourceTime, FollowClockNeverGoesBackWithTheWallClock) {
  SourceInputTime time(Spec(WhenAllIdle::kFollowClock));
  time.Busy(0);
  ASSERT_TRUE(time.Tick(true, kIdle, kWall));
  const EventTime before = time.mark().watermark;
  (void)time.Tick(true, 2 * kIdle, kWall - 3600 * kSecond);
  EXPECT_EQ(time.mark().watermark, before);
  time.Busy(2 * kIdle);
  time.progress()->max_time = At(200);
  EXPECT_EQ(time.mark(), (Mark{before, false})) << "records behind the clock don't pull it back";
}

TEST(SourceTime, AFloorRaisesTheWatermarkForGood) {
  SourceInputTime time(Spec(WhenAllIdle::kHold));
  time.progress()->max_time = At(100);
  EXPECT_TRUE(time.RaiseFloor(At(500)));
  EXPECT_EQ(time.mark().watermark, At(500));
  EXPECT_FALSE(time.RaiseFloor(At(400)));
  time.progress()->max_time = At(300);
  EXPECT_EQ(time.mark().watermark, At(500));
}

TEST(SourceTime, TheWatermarkSurvivesARestart) {
  SourceInputTime before(Spec(WhenAllIdle::kFollowClock));
  before.progress()->max_time = At(100);
  before.RaiseFloor(At(20));
  before.Busy(0);
  ASSERT_TRUE(before.Tick(true, kIdle, kWall));
  packed::InputTime saved;
  before.Save(&saved);
  SourceInputTime after(Spec(WhenAllIdle::kFollowClock));
  after.Restore(saved);
  EXPECT_EQ(after.mark().watermark, before.mark().watermark);
  EXPECT_EQ(after.progress()->max_time, At(100));
  EXPECT_EQ(after.progress()->floor, At(20));
}

// What came while the worker was down is a backlog: other partitions must not run ahead of it.
TEST(SourceTime, APartitionThatWasIdleBeforeARestartIsNotIdleBeforeItsEndIsReachedAgain) {
  SourceInputTime before(Spec(WhenAllIdle::kHold));
  before.Busy(0);
  ASSERT_TRUE(before.Tick(true, kIdle, kWall));
  packed::InputTime saved;
  before.Save(&saved);
  SourceInputTime after(Spec(WhenAllIdle::kHold));
  after.Restore(saved);
  (void)after.Tick(false, 50 * kIdle, kWall);
  EXPECT_FALSE(after.mark().idle);
}

packed::RowsHeader Header(int32_t partition, int64_t seconds, bool idle = false, bool last = true) {
  packed::RowsHeader header;
  header.set_upstream_partition(partition);
  header.set_upstream_count(3);
  header.set_watermark_us(seconds * kSecond);
  header.set_idle(idle);
  header.set_last(last);
  return header;
}

TEST(InternalTime, NothingIsKnownBeforeEveryUpstreamPartitionHasReported) {
  InternalInputTime time;
  EXPECT_EQ(time.mark(), (Mark{kMinTime, false}));
  time.Update(Header(0, 10));
  time.Update(Header(2, 30));
  EXPECT_EQ(time.mark(), (Mark{kMinTime, false}));
  time.Update(Header(1, 20));
  EXPECT_EQ(time.mark(), (Mark{At(10), false}));
}

TEST(InternalTime, OnlyTheLastPartOfACommitCarriesTime) {
  InternalInputTime time;
  for (int32_t p = 0; p < 3; ++p) time.Update(Header(p, 10));
  for (int32_t p = 0; p < 3; ++p) time.Update(Header(p, 50, false, /*last=*/false));
  EXPECT_EQ(time.mark().watermark, At(10));
}

TEST(InternalTime, AnUpstreamsTimeNeverGoesBack) {
  InternalInputTime time;
  for (int32_t p = 0; p < 3; ++p) time.Update(Header(p, 10));
  time.Update(Header(1, 4));
  EXPECT_EQ(time.mark().watermark, At(10));
}

TEST(InternalTime, AnIdleUpstreamIsLeftOutUntilItSpeaksAgain) {
  InternalInputTime time;
  time.Update(Header(0, 10, /*idle=*/true));
  time.Update(Header(1, 20));
  time.Update(Header(2, 30));
  EXPECT_EQ(time.mark(), (Mark{At(20), false}));
  time.Update(Header(0, 15));
  EXPECT_EQ(time.mark(), (Mark{At(15), false}));
}

TEST(InternalTime, WhatUpstreamsReportedSurvivesARestart) {
  InternalInputTime before;
  before.Update(Header(0, 10, true));
  before.Update(Header(1, 20));
  packed::InputTime saved;
  before.Save(&saved);
  InternalInputTime after;
  after.Restore(saved);
  EXPECT_EQ(after.mark(), (Mark{kMinTime, false})) << "one of three is still missing";
  after.Update(Header(2, 30));
  EXPECT_EQ(after.mark(), (Mark{At(20), false}));
}

}  // namespace
}  // namespace tidemark
