// Given rows as the records that a source or a table of the topology would find in its topic: values written in its
// own format, keys by its key format, and the places that the test leaves open (which partition) left open.
//
// A cell named __value, __key, __headers, __partition or __timestamp isn't a column (no column's name begins so) but
// what it says of the record. Functions without state; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/trial/subject.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

struct GivenRecord {
  std::string topic;
  std::optional<int32_t> partition;  // as stated
  std::string lies_by;               // else, where it isn't empty: the bytes whose hash says the partition
  int64_t timestamp_ms = -1;         // -1: the test's clock
  std::optional<std::string> key, value;
  HeaderList headers;
};

// InvalidArgument, with the place: a column isn't there, a value doesn't fit it, or there is no writer of
// the format, so rows are given as __value.
absl::StatusOr<std::vector<GivenRecord>> RecordsOf(const TestFile& file, const RowSet& set, const SourcePlan& source);
absl::StatusOr<std::vector<GivenRecord>> RecordsOf(const TestFile& file, const RowSet& set, const TablePlan& table);

}  // namespace tidemark::trial
