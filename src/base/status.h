// Status macros and the meaning of codes. Every fallible function returns absl::Status or absl::StatusOr; the code says
// what the caller should do:
//
//   Aborted            drop what is not committed, reopen the tasks from their last commit, go on
//   Unavailable        the other side is away: retry the call, with a pause
//   Unknown            a commit whose outcome isn't known: reopen, the log will tell
//   Cancelled          the producer was fenced: by a newer process, or because its transaction timed out. Whether the
//                      membership still stands tells which
//   FailedPrecondition another process has taken over (fenced), or what is on disk or in Kafka contradicts itself: stop
//   InvalidArgument    the user's mistake (exit code 2)
//   ResourceExhausted  disk or memory full: stop, state intact
//   Internal           a defect of Tidemark: stop
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <arrow/result.h>
#include <arrow/status.h>

namespace tidemark {

// Arrow's error as ours, with what it happened to in front.
absl::Status FromArrow(const arrow::Status& status, std::string_view what);

template <typename T>
absl::StatusOr<T> FromArrow(arrow::Result<T> result, std::string_view what) {
  if (!result.ok()) return FromArrow(result.status(), what);
  return std::move(result).ValueUnsafe();
}

// The same error, with context in front of its message ("loading table locations: ...") and its payloads kept.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace tidemark

#define TM_CONCAT_INNER(a, b) a##b
#define TM_CONCAT(a, b) TM_CONCAT_INNER(a, b)

// Returns the status from the enclosing function where it is an error.
#define TM_RETURN_IF_ERROR(expr)                  \
  do {                                            \
    absl::Status tm_status_ = (expr);             \
    if (!tm_status_.ok()) return tm_status_;      \
  } while (false)

// TM_ASSIGN_OR_RETURN(auto x, F()): declares x from a StatusOr, or returns its status.
#define TM_ASSIGN_OR_RETURN(lhs, expr) TM_ASSIGN_OR_RETURN_INNER(TM_CONCAT(tm_result_, __LINE__), lhs, expr)
#define TM_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return tmp.status();             \
  lhs = std::move(tmp).value()
