// Status macros, and Arrow's errors as ours. Every fallible function returns absl::Status or absl::StatusOr; the code
// says what happened, and src/base/action.h what each code means and what is done about it. In short:
//
//   Unavailable, DeadlineExceeded                               it passes: the same again, with a pause
//   Aborted, Unknown, Cancelled                                 go back to the last commit, and go on from there
//   PermissionDenied, ResourceExhausted, Internal               stop; another start may help
//   InvalidArgument, FailedPrecondition, OutOfRange, DataLoss   stop; another start would end the same way
//
// An error is given its code once, at the seam where it comes from (a client library, RocksDB, Arrow, a database), with
// the name of the thing that it happened to.
// The object that returned it is of no further use but for what its header says: what has failed is never finished,
// cut, committed or published by somebody else later.
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
#define TM_RETURN_IF_ERROR(expr)             \
  do {                                       \
    absl::Status tm_status_ = (expr);        \
    if (!tm_status_.ok()) return tm_status_; \
  } while (false)

// TM_ASSIGN_OR_RETURN(auto x, F()): declares x from a StatusOr, or returns its status.
#define TM_ASSIGN_OR_RETURN(lhs, expr) TM_ASSIGN_OR_RETURN_INNER(TM_CONCAT(tm_result_, __LINE__), lhs, expr)
#define TM_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return tmp.status();             \
  lhs = std::move(tmp).value()
