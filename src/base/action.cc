#include "src/base/action.h"

namespace tidemark {

Action ActionFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return Action::kGoOn;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return Action::kRetry;
    case absl::StatusCode::kAborted:
      return Action::kReopen;
    case absl::StatusCode::kUnknown:
      return Action::kReplaceClients;
    case absl::StatusCode::kCancelled:
      return Action::kAwaitMembership;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
      return Action::kStopForGood;
    default:
      return Action::kStop;
  }
}

bool Recoverable(const absl::Status& status) {
  const Action action = ActionFor(status);
  return action != Action::kStop && action != Action::kStopForGood;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  return ActionFor(status) == Action::kStopForGood ? 2 : 1;
}

}  // namespace tidemark
