// The rows of a lake, as a glob over its folder shows them: all *.parquet files in it and below, row group by row
// group, certain columns of them. A column that a file hasn't may stand in the names of its folders, as Hive writes
// them; else it is NULL in that file. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"

namespace tidemark {

// Calls `take` with the columns, in their order and each in ArrowType of its type, and how many rows they are; its
// error ends the reading. A folder that isn't there has none. Unavailable: it can't be read now. FailedPrecondition:
// values that don't fit into the type, or a damaged file, by name.
absl::Status ReadLakeRows(
    const std::string& path, const std::vector<Column>& columns,
    absl::FunctionRef<absl::Status(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t rows)> take);

}  // namespace tidemark
