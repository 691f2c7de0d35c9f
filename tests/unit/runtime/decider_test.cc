// The thread that decides transactions: when its verdict is there, and who is told.
#include "src/runtime/decider.h"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(ThreadDecider, WhoIsToldOfTheDecisionFindsItThere) {
  const std::unique_ptr<Decider> decider = NewThreadDecider();
  for (int i = 0; i < 3; ++i) {
    absl::Notification decide, decided;
    decider->Start(
        [&] {
          decide.WaitForNotification();
          return absl::AbortedError("no");
        },
        [&] { decided.Notify(); });
    EXPECT_FALSE(decider->Wait(0).has_value());
    decide.Notify();
    decided.WaitForNotification();
    const std::optional<absl::Status> verdict = decider->Wait(0);
    ASSERT_TRUE(verdict.has_value());
    EXPECT_TRUE(absl::IsAborted(*verdict));
    EXPECT_FALSE(decider->Wait(0).has_value()) << "a verdict is taken once";
  }
}

}  // namespace
}  // namespace tidemark
