// `scripts/simulate FILE`: the tests of a file (test_file.h) as scenarios, each under every kind of faults alone and
// then under all of them together, some seeds each: what must hold, times what may go wrong. A seed that fails is run
// again at once, so that what is told of it is known to be told again. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace tidemark::trial {

struct ScenarioOptions {
  uint64_t seeds = 10;                          // of each kind
  std::optional<uint64_t> seed;                 // only this one
  std::optional<std::set<std::string>> faults;  // only these, together
};

// How many scenarios failed. InvalidArgument: a mistake in a file, with its place.
absl::StatusOr<int> RunScenarios(const std::vector<std::string>& paths, const ScenarioOptions& options,
                                 std::ostream& out);

}  // namespace tidemark::trial
