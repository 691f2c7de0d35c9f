// What the main thread sees of the others: one that has failed, a commit that is never decided, a stop.
#include "src/runtime/supervisor.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/clock.h"

namespace tidemark {
namespace {

using Work = Supervisor::Work;

absl::Status Ok() { return absl::OkStatus(); }

absl::Status Turn() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return absl::OkStatus();
}

class SupervisorTest : public ::testing::Test {
 protected:
  absl::Status Stop(const absl::Status& cause) {
    StopDeadline deadline(&requests_, 5 * kSecond);
    return supervisor_.Stop(cause, 0, &deadline, [] {});
  }

  std::atomic<int> requests_{0};
  RunControl control_;
  Supervisor supervisor_{&control_, SystemClock(), &requests_};
};

TEST_F(SupervisorTest, AThreadThatFailsEndsTheWatchWithItsError) {
  std::atomic<bool> fails{false};
  supervisor_.Run({"reader", Ok, Turn, Ok}, Work::kReads);
  supervisor_.Run({"stream thread 0", Ok, [&] { return fails ? absl::DataLossError("torn") : Turn(); }, Ok},
                  Work::kCommits);
  int looks = 0;
  const absl::Status status = supervisor_.Watch([&] {
    fails = ++looks == 3;
    return false;
  });
  EXPECT_EQ(status, absl::DataLossError("stream thread 0: torn"));
  EXPECT_EQ(Stop(status), status);
}

TEST_F(SupervisorTest, AStopRequestEndsTheWatchThoughAReaderIsInACallThatWaits) {
  std::atomic<bool> inside{false}, let_go{false};
  supervisor_.Run({"housekeeping", Ok,
                   [&] {
                     inside = true;
                     while (!let_go) std::this_thread::yield();
                     return absl::OkStatus();
                   },
                   Ok},
                  Work::kReads);
  const absl::Status status = supervisor_.Watch([&] {
    if (inside) requests_ = 1;
    return false;
  });
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(inside);
  let_go = true;
  EXPECT_TRUE(Stop(status).ok());
}

TEST_F(SupervisorTest, ThreadsThatCommitAreStoppedAndTheirErrorIsTheStops) {
  bool stopped = false;
  supervisor_.Run({"sink lake", Ok, Turn,
                   [&] {
                     stopped = true;
                     return absl::UnavailableError("away");
                   }},
                  Work::kCommits);
  EXPECT_EQ(Stop(absl::OkStatus()), absl::UnavailableError("sink lake: away"));
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(control_.stop);
}

TEST(DecisionWatchTest, ACommitThatIsNotDecidedForTwoMinutesIsOverdue) {
  DecisionWatch watch;
  int64_t now = 1'000 * kSecond;
  EXPECT_FALSE(watch.Overdue(now, now));
  for (int seconds = 1; seconds <= 120; ++seconds) EXPECT_FALSE(watch.Overdue(now += kSecond, 1'000 * kSecond));
  EXPECT_TRUE(watch.Overdue(now += kSecond, 1'000 * kSecond));
}

TEST(DecisionWatchTest, AnotherCommitIsCountedAnew) {
  DecisionWatch watch;
  int64_t now = 0;
  for (int seconds = 0; seconds < 1'000; ++seconds) EXPECT_FALSE(watch.Overdue(now += kSecond, 1 + seconds / 100));
}

TEST(DecisionWatchTest, TimeThatAFrozenProcessHasNotSeenDoesNotCount) {
  DecisionWatch watch;
  EXPECT_FALSE(watch.Overdue(10 * kSecond, 10 * kSecond));
  EXPECT_FALSE(watch.Overdue(10'000 * kSecond, 10 * kSecond));
}

class StopDeadlineDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void WaitForever() {
    while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
};

TEST_F(StopDeadlineDeathTest, AStopThatIsNotOverInTimeEndsTheProcess) {
  std::atomic<int> requests{0};
  EXPECT_EXIT(
      {
        StopDeadline deadline(&requests, kSecond);
        deadline.Expect("stream thread 0", absl::OkStatus(), 1);
        requests = 1;
        WaitForever();
      },
      ::testing::ExitedWithCode(1), "stream thread 0 doesn't come back from a call");
}

// A run to the end that was told to stop isn't done, though nothing is lost with the thread that doesn't come back.
TEST_F(StopDeadlineDeathTest, AReaderThatDoesNotComeBackLeavesTheExitCodeAsItWouldHaveBeen) {
  EXPECT_EXIT(
      {
        std::atomic<int> requests{0};
        RunControl control;
        Supervisor supervisor(&control, SystemClock(), &requests);
        StopDeadline deadline(&requests, kSecond);
        std::atomic<bool> inside{false};
        supervisor.Run({"housekeeping", Ok,
                        [&inside]() -> absl::Status {
                          inside = true;
                          WaitForever();
                          return absl::OkStatus();
                        },
                        Ok},
                       Work::kReads);
        while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        (void)supervisor.Stop(absl::OkStatus(), 1, &deadline, [] {});
      },
      ::testing::ExitedWithCode(1), "housekeeping doesn't come back from a call");
}

TEST_F(StopDeadlineDeathTest, WhoFailedIsSaidAndGivesTheExitCode) {
  EXPECT_EXIT(
      {
        StopDeadline deadline(nullptr, kSecond);
        deadline.Expect("sink lake", absl::InvalidArgumentError("no such bucket"), 2);
        deadline.Begin();
        WaitForever();
      },
      ::testing::ExitedWithCode(2), "no such bucket");
}

}  // namespace
}  // namespace tidemark
