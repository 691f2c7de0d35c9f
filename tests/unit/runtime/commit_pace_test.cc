#include "src/runtime/commit_pace.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

constexpr int64_t kInterval = 100 * kMillisecond;

// Commits that follow each other at their own pace: each input reads so many records a second of so many that are left.
class CommitPaceTest : public ::testing::Test {
 protected:
  void Observe(std::vector<CommitPace::Input> inputs) {
    now_us_ += pace_.interval_us();
    pace_.Observe(now_us_, std::move(inputs));
  }

  int64_t now_us_ = 1'000 * kSecond;
  CommitPace pace_{kInterval};
};

TEST_F(CommitPaceTest, IsTheCommitIntervalWhereNothingIsLeftToRead) {
  EXPECT_EQ(pace_.interval_us(), kInterval);
  Observe({{0, 1'000'000}});
  EXPECT_EQ(pace_.interval_us(), kInterval) << "the rate isn't known yet";
  Observe({{1'000, 1'000}});
  EXPECT_EQ(pace_.interval_us(), kInterval);
  EXPECT_FALSE(pace_.Behind());
  Observe({{2'000, 2'100}});
  EXPECT_EQ(pace_.interval_us(), kInterval) << "a tenth of what was just read";
}

TEST_F(CommitPaceTest, IsAQuarterOfTheTimeThatCatchingUpTakes) {
  Observe({{0, 21'000}});
  Observe({{1'000, 21'000}});  // 1,000 in 100 ms: 20,000 take 2 s
  EXPECT_EQ(pace_.interval_us(), kSecond / 2);
  EXPECT_TRUE(pace_.Behind());
  Observe({{6'000, 18'000}});  // the same rate
  EXPECT_EQ(pace_.interval_us(), 300 * kMillisecond);
}

TEST_F(CommitPaceTest, IsNeverLongerThanItsBoundOrTheCommitInterval) {
  Observe({{0, 1'000'000}});
  Observe({{1'000, 1'000'000}});
  EXPECT_EQ(pace_.interval_us(), CommitPace::kLongestUs);
  CommitPace slow(5 * kSecond);
  slow.Observe(0, {{0, 1'000'000}});
  slow.Observe(5 * kSecond, {{1'000, 1'000'000}});
  EXPECT_EQ(slow.interval_us(), 5 * kSecond);
}

TEST_F(CommitPaceTest, AnInputThatIsUpToDateDecides) {
  Observe({{0, 1'000'000}, {0, 0}});
  Observe({{1'000, 1'000'000}, {5, 5}});
  EXPECT_EQ(pace_.interval_us(), kInterval);
}

TEST_F(CommitPaceTest, AnInputWithoutRecordsDoesNot) {
  Observe({{0, 1'000'000}, {7, 7}, {3, -1}});
  Observe({{1'000, 1'000'000}, {7, 7}, {3, -1}});
  EXPECT_EQ(pace_.interval_us(), CommitPace::kLongestUs);
}

TEST_F(CommitPaceTest, AnEndThatIsNotKnownStretchesNothing) {
  Observe({{0, -1}});
  Observe({{1'000, -1}});
  EXPECT_EQ(pace_.interval_us(), kInterval);
}

TEST_F(CommitPaceTest, BeginsAnewWithOtherInputs) {
  Observe({{0, 1'000'000}});
  Observe({{1'000, 1'000'000}});
  pace_.Reset();
  EXPECT_EQ(pace_.interval_us(), kInterval);
  Observe({{50, 1'000'000}, {60, 1'000'000}});
  EXPECT_EQ(pace_.interval_us(), kInterval);
}

TEST_F(CommitPaceTest, NothingReadIsTheCommitInterval) {
  Observe({{0, 1'000'000}});
  Observe({{1'000, 1'000'000}});
  Observe({{1'000, 1'000'000}});
  EXPECT_EQ(pace_.interval_us(), kInterval);
}

}  // namespace
}  // namespace tidemark
