// One run of a test: the topology deployed on the simulator (src/sim/), the script played, everything processed to its
// end, and what is found compared with what is expected. Seed 0 is the plain one: one worker, all rows at once, nothing
// goes wrong. Every other seed has its own partitions, workers, batches and interleaving of the sources' rows, its own
// faults, and crashes at one of the calls that a commit is made of, before or after its effect: each of them in turn.
//
// Deterministic: a seed is the same run always. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include <absl/status/statusor.h>

#include "src/sim/deployment.h"
#include "src/trial/found.h"
#include "src/trial/subject.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

struct RunResult {
  bool ended = false;       // else what went wrong is all there is
  std::string differences;  // for people; "": none
  std::string how;          // of a seed: "2 workers, 3 partitions, a crash before commit_transaction"
  sim::DeploymentCounts counts;
  // Of a seed: the call of a commit that it crashes at, "before commit_transaction", and how often it did.
  std::string commit_point;
  int commit_crashes = 0;
  // What was found of each name that is expected, and of dead letters.
  std::map<std::string, FoundRows> found;
  FoundRows letters;
};

// `faults`: kinds of them, in place of the test's or the seed's; crashes at the calls of a commit are of kind crashes.
// An error is one of the file (InvalidArgument, with its place), or the run didn't come to its end.
absl::StatusOr<RunResult> RunTest(const TestFile& file, const Case& test, const Subject& subject, uint64_t seed,
                                  const std::set<std::string>* faults = nullptr);

}  // namespace tidemark::trial
