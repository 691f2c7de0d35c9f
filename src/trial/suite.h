// `tidemark test`: the tests of some files, each run plainly and then with seeds (run.h); what has become of them is
// told as it comes. Main thread only: the simulator has one.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark::trial {

struct SuiteOptions {
  uint64_t seeds = 20;           // besides the plain run
  std::optional<uint64_t> seed;  // only this one; 0: the plain run
  bool update = false;           // expectations are rewritten with what the plain run finds, before
};

// How many tests failed. An error is a mistake in a file, with its place; those that can be seen without a run are told
// of all files together, before anything runs.
absl::StatusOr<int> RunTestFiles(const std::vector<std::string>& paths, const SuiteOptions& options, std::ostream& out);

}  // namespace tidemark::trial
