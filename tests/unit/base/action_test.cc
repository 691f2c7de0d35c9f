#include "src/base/action.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(ErrorTable, TheOlderOfTwoProcessesEndsAndMayBeStartedAgain) {
  const absl::Status fenced = absl::PermissionDeniedError("another process has taken over");
  EXPECT_EQ(ActionFor(fenced), Action::kStop);
  EXPECT_EQ(ExitCode(fenced), 1);
}

TEST(ErrorTable, AnotherStartDoesNotHelpAgainstAContradiction) {
  for (const absl::Status& status : {absl::FailedPreconditionError(""), absl::InvalidArgumentError(""),
                                     absl::DataLossError(""), absl::OutOfRangeError("")}) {
    EXPECT_EQ(ActionFor(status), Action::kStopForGood) << status;
    EXPECT_FALSE(Recoverable(status)) << status;
    EXPECT_EQ(ExitCode(status), 2) << status;
  }
}

TEST(ErrorTable, WhatPassesIsGoneOnFrom) {
  EXPECT_EQ(ActionFor(absl::OkStatus()), Action::kGoOn);
  EXPECT_EQ(ActionFor(absl::UnavailableError("")), Action::kRetry);
  EXPECT_EQ(ActionFor(absl::DeadlineExceededError("")), Action::kRetry);
  EXPECT_EQ(ActionFor(absl::AbortedError("")), Action::kReopen);
  EXPECT_EQ(ActionFor(absl::UnknownError("")), Action::kReplaceClients);
  EXPECT_EQ(ActionFor(absl::CancelledError("")), Action::kAwaitMembership);
  EXPECT_TRUE(Recoverable(absl::CancelledError("")));
  // Where one of them ends the process after all, another start is the way on.
  EXPECT_EQ(ExitCode(absl::UnavailableError("")), 1);
}

TEST(ErrorTable, WhatTheTableDoesNotNameEndsTheProcess) {
  for (const absl::Status& status :
       {absl::InternalError(""), absl::ResourceExhaustedError(""), absl::UnimplementedError("")}) {
    EXPECT_EQ(ActionFor(status), Action::kStop) << status;
    EXPECT_EQ(ExitCode(status), 1) << status;
  }
}

}  // namespace
}  // namespace tidemark
