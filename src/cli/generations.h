// `tidemark replay`, `switch` and `generations`: flags become the calls of src/runtime/generations. Main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/runtime/worker.h"

namespace tidemark {

struct ReplayFlags {
  std::string config, active, from, max_live_lag;
  int32_t generation = 0;
  int64_t left_by = 0;
};
// `options`: of the worker.
absl::Status ReplayCommand(const ReplayFlags& flags, const WorkerOptions& options);

struct SwitchFlags {
  std::string config, when, within;
  std::optional<std::string> verify;  // nothing: nothing is compared
  std::string verify_sinks;           // empty: all are
  bool dry_run = false, back = false, cancel = false;
};
// `exit_code`: 3 where it is OK and the generations differ by more than --verify allows.
absl::Status SwitchCommand(const SwitchFlags& flags, std::ostream& out, int* exit_code);

// `words`: list, or drop and a number or the name of a run over the past.
absl::Status GenerationsCommand(const std::string& config, const std::vector<std::string>& words, std::ostream& out);

// A command that knows nothing of generations, for a plan that is about to be used: of the active one.
// FailedPrecondition (`whole`): another one is kept or being built, and the command would take no notice of it.
absl::StatusOr<Plan> OfActiveGeneration(const Plan& plan, bool whole);

}  // namespace tidemark
