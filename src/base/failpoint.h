// Failpoints: named places at which a test makes the process die (SIGKILL to itself, so nothing is flushed or unwound),
// the call fail, or the thread hang for good. Armed only through the environment at start:
//
//   TIDEMARK_FAILPOINTS="commit.after_flush=kill@3,sink_parquet.after_decision=error@1"
//
// `@N` means: from the N-th pass of the process through that point on (kill, hang) or at exactly that pass (error).
// Unarmed, a point costs one relaxed load of a flag; compiled out without TIDEMARK_WITH_FAILPOINTS.
#pragma once

#include <string_view>

#include <absl/status/status.h>

namespace tidemark {

namespace internal {
extern bool failpoints_armed;  // written once, before threads start
absl::Status HitFailpoint(std::string_view name);
}  // namespace internal

// Reads TIDEMARK_FAILPOINTS; an entry it can't read is an InvalidArgument. Call once, before threads start.
absl::Status ArmFailpoints(std::string_view spec);

// Whether any point is armed: for places that take more than a call to be one.
inline bool FailpointsArmed() {
#ifdef TIDEMARK_WITH_FAILPOINTS
  return internal::failpoints_armed;
#else
  return false;
#endif
}

// OK, or the injected error; doesn't return where the point is armed to kill or to hang.
inline absl::Status Failpoint([[maybe_unused]] std::string_view name) {
#ifdef TIDEMARK_WITH_FAILPOINTS
  if (internal::failpoints_armed) return internal::HitFailpoint(name);
#endif
  return absl::OkStatus();
}

}  // namespace tidemark
