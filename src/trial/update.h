// `tidemark test --update`: expectations rewritten where they stand, with what the plain run has found, in the form and
// with the columns that they had. Everything else of the file stays as it is, comments too.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/trial/run.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

// A file as it is to be.
struct NewText {
  std::string path, text;
};

// The files that change: the test file and those it names; `results`: of seed 0, by test. InvalidArgument: rows stand
// where they can't be rewritten (between braces), with the place.
absl::StatusOr<std::vector<NewText>> UpdatedFiles(const TestFile& file, const std::vector<RunResult>& results);

}  // namespace tidemark::trial
