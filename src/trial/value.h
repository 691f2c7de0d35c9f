// Values of columns between the text of a test file, the JSON of records, and one form of each in which what was
// expected is compared with what was found: the JSON that Tidemark writes of the value, with timestamps in RFC 3339
// whatever form their column has. Functions without state; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"

namespace tidemark::trial {

// What a text in a test file is as JSON of that type, as a record has it; nothing is null. Timestamps of every form may
// be written in RFC 3339, or as a number of the column's unit. InvalidArgument: "expected int64, found 'x'".
absl::StatusOr<std::string> JsonOf(const Type& type, const std::optional<std::string>& text);

// In the form that is compared.
absl::StatusOr<std::string> Comparable(const Type& type, const std::optional<std::string>& text);
// Of all rows, by row and column.
std::vector<std::vector<std::string>> ComparableRows(const Schema& schema, const arrow::RecordBatch& rows);

// The same number, or as near as `tolerance` and rounding allow: of doubles.
bool SameValue(const Type& type, const std::string& a, const std::string& b, double tolerance);

// What is compared, as YAML would have it; and as a field of CSV.
std::string YamlOf(const Type& type, const std::string& comparable);
std::string CsvOf(const std::string& comparable);

}  // namespace tidemark::trial
