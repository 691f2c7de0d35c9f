#include "src/runtime/freshness_alarm.h"

#include <gtest/gtest.h>

#include <string>

#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr int64_t kMinute = 60 * kSecond;

// Warn at 20, breach at 30 minutes; looked at every ten seconds.
class FreshnessAlarmTest : public testing::Test {
 protected:
  FreshnessAlarmTest() : alarm_({20 * kMinute, 30 * kMinute, false}) {}

  // The ages go from `from` to `to` in so many minutes.
  void Go(int64_t from_us, int64_t to_us, int64_t minutes, bool confirmed = true) {
    const int64_t steps = minutes * 6;
    for (int64_t i = 1; i <= steps; ++i) {
      now_us_ += 10 * kSecond;
      alarm_.Observe(now_us_, from_us + (to_us - from_us) * i / steps, confirmed);
      Note();
    }
  }
  bool Raised(AlarmKind kind) const { return alarm_.since(kind).has_value(); }
  // What begins (+) and ends (-), in its order.
  void Note() {
    for (const AlarmKind kind : kAlarmKinds) {
      bool& was = was_[static_cast<size_t>(kind)];
      if (was == Raised(kind)) continue;
      was = Raised(kind);
      story_ += was ? '+' : '-';
      story_ += AlarmName(kind);
      story_ += ' ';
    }
  }

  int64_t now_us_ = 0;
  FreshnessAlarm alarm_;
  std::array<bool, 3> was_{};
  std::string story_;
};

TEST_F(FreshnessAlarmTest, AStandstillIsPredictedWarnedOfAndABreachInThatOrder) {
  Go(0, 35 * kMinute, 35);
  EXPECT_EQ(story_, "+predicted +warn +breach ");
  Go(kSecond, kSecond, 5);
  EXPECT_EQ(story_, "+predicted +warn +breach -warn -predicted -breach ");
}

TEST_F(FreshnessAlarmTest, TheBreachIsPredictedWithTheTimeThatIsLeft) {
  Go(0, 16 * kMinute, 16);
  ASSERT_TRUE(alarm_.breach_in_us());
  EXPECT_NEAR(static_cast<double>(*alarm_.breach_in_us()), 14.0 * kMinute, kMinute);
  EXPECT_TRUE(Raised(AlarmKind::kPredicted));
  EXPECT_FALSE(Raised(AlarmKind::kWarn));
}

TEST_F(FreshnessAlarmTest, AnAgeThatStandsPredictsNothing) {
  Go(18 * kMinute, 18 * kMinute, 60);
  EXPECT_EQ(story_, "");
  EXPECT_FALSE(alarm_.breach_in_us());
}

TEST_F(FreshnessAlarmTest, AnAgeAroundABoundIsOneAlarm) {
  for (int i = 0; i < 20; ++i) {
    Go(19 * kMinute, 21 * kMinute, 1);
    Go(21 * kMinute, 19 * kMinute, 1);
  }
  EXPECT_TRUE(Raised(AlarmKind::kWarn));
  EXPECT_EQ(story_.find("-warn"), std::string::npos) << story_;
}

TEST_F(FreshnessAlarmTest, AShortDropEndsNoAlarm) {
  Go(0, 25 * kMinute, 25);
  Go(kMinute, kMinute, 1);
  EXPECT_TRUE(Raised(AlarmKind::kWarn));
  Go(25 * kMinute, 25 * kMinute, 2);
  Go(kMinute, kMinute, 2);
  EXPECT_FALSE(Raised(AlarmKind::kWarn));
}

TEST_F(FreshnessAlarmTest, ALowerBoundRaisesAlarmsAndEndsNone) {
  Go(0, 25 * kMinute, 25, /*confirmed=*/false);
  EXPECT_TRUE(Raised(AlarmKind::kWarn));
  EXPECT_FALSE(alarm_.known());
  Go(0, 0, 10, /*confirmed=*/false);
  EXPECT_TRUE(Raised(AlarmKind::kWarn));
  Go(0, 0, 10);
  EXPECT_FALSE(Raised(AlarmKind::kWarn));
}

}  // namespace
}  // namespace tidemark
