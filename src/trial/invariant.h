// What must be so of a step's or sink's rows whatever went wrong, without saying which rows they are: `invariants` of a
// test (test_file.h). Function without state.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/trial/found.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

// What doesn't hold, for people, "" where all does. InvalidArgument, with its place: a column that isn't there, or a
// condition that is none.
absl::StatusOr<std::string> CheckInvariant(const TestFile& file, const Invariant& invariant, const FoundRows& found);

}  // namespace tidemark::trial
