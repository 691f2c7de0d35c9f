// What was expected beside what was found. Of rows only the columns count that the expected row names, each found row
// answers one expected row, and the order is no matter unless the test says so. A difference is told for people: the
// row's place, both rows, and of two that are nearly the same the columns that differ. Functions without state.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "src/trial/found.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

// The differences as text, "" where there are none. InvalidArgument, with its place: an expected row names a column
// that isn't there, or a value that can't be one of it.
absl::StatusOr<std::string> CompareRows(const TestFile& file, const Case& test, const RowSet& expected,
                                        const FoundRows& found);

// Its lines and counters are those of the ledger: Subject has seen to it.
std::string CompareLedger(const TestFile& file, const Case& test,
                          const std::vector<std::pair<std::string, StepLedger>>& found);

// "{ id: 1, name: cup }", of these columns.
std::string RowText(const Schema& schema, const std::vector<std::string>& row, const std::vector<size_t>& columns);

}  // namespace tidemark::trial
