// Table files: all rows of one at once. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include "src/base/batch.h"
#include "src/codec/column_set.h"
#include "src/plan/plan.h"

namespace tidemark {

using TableBytes = std::shared_ptr<arrow::io::RandomAccessFile>;

// All rows of a table file (Parquet, CSV with a header line, JSON Lines), as TablePlan::schema. InvalidArgument with
// file (TablePlan::file), line or row, and column for what doesn't fit.
absl::StatusOr<Batch> ReadTableFile(const TablePlan& plan, const TableBytes& bytes);

// ---- The readers under it, one a format.

absl::StatusOr<Batch> ReadJsonLinesTable(const TablePlan& plan, const TableBytes& bytes);
absl::StatusOr<Batch> ReadCsvTable(const TablePlan& plan, const TableBytes& bytes);
absl::StatusOr<Batch> ReadParquetTable(const TablePlan& plan, const TableBytes& bytes);

// Decoded columns as a batch of the table's schema, without hidden columns.
std::shared_ptr<arrow::Schema> TableBatchSchema(const TablePlan& plan);
Batch FinishTable(const TablePlan& plan, ColumnSet* columns, int64_t rows);

// For each column of the plan, the position in the file of the column that feeds it, or -1 where it is left out and may
// be. Columns of a file have plain names: a column's `path` must be one name.
absl::StatusOr<std::vector<int>> MatchFileColumns(const TablePlan& plan, const std::vector<std::string>& names);

// InvalidArgument: Arrow's error about the file, which the user gave us.
absl::Status TableFileError(const TablePlan& plan, const arrow::Status& status);
// InvalidArgument: "items.csv: row 3: column price: ...".
absl::Status TableError(const TablePlan& plan, std::string_view where, std::string_view reason);

}  // namespace tidemark
