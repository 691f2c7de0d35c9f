#include "src/base/time_spent.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

class HandClock final : public Clock {
 public:
  int64_t WallUs() override { return now_us; }
  int64_t MonotonicUs() override { return now_us; }
  int64_t now_us = 1'000;
};

TEST(TimeSpent, EachActivityHasItsTimeAndTheOneUnderWayUpToNow) {
  HandClock clock;
  TimeSpent spent(&clock, {"waiting", "working"});
  clock.now_us += 10;
  {
    const TimeSpent::Doing doing(&spent, 1);
    clock.now_us += 5;
    EXPECT_EQ(spent.Get()[1].us, 5);
  }
  clock.now_us += 3;
  EXPECT_EQ(spent.Get()[0].us, 13);
  EXPECT_EQ(spent.Get()[1].us, 5);
  EXPECT_EQ(spent.Get()[1].activity, "working");
}

TEST(TimeSpent, WhatIsDoneWithinAnotherActivityIsNotCountedTwice) {
  HandClock clock;
  TimeSpent spent(&clock, {"none", "outer", "inner"});
  {
    const TimeSpent::Doing outer(&spent, 1);
    clock.now_us += 4;
    {
      const TimeSpent::Doing inner(&spent, 2);
      clock.now_us += 6;
    }
    clock.now_us += 1;
  }
  EXPECT_EQ(spent.Get()[1].us, 5);
  EXPECT_EQ(spent.Get()[2].us, 6);
}

TEST(TimeSpent, WithoutOneNobodyMeasures) { const TimeSpent::Doing doing(nullptr, 3); }

}  // namespace
}  // namespace tidemark
