// Two tables of one schema compared by the database, in one statement and so in one snapshot: rows don't leave it, and
// what doesn't fit into its work_mem it sorts on its disk. Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/compared_columns.h"
#include "src/plan/plan.h"
#include "src/postgres/connection.h"

namespace tidemark {

struct TableComparisonSpec {
  PostgresSinkSpec sink_spec;  // url and schema
  std::string sink;            // for messages and pg_stat_activity
  std::string before, after;   // tables of that schema
  ComparedColumns columns;
  std::vector<std::string> key;  // among them; empty: every row counts, as often as it stands there
};

struct TableDifference {
  int64_t only_before = 0, only_after = 0, differing = 0, of = 0;
};

class TableComparison {
 public:
  explicit TableComparison(TableComparisonSpec spec);

  // InvalidArgument: a table or a column isn't there, or may not be read.
  absl::Status Check();
  // `go_on` is asked every second; its error ends the statement and is the answer.
  absl::StatusOr<TableDifference> Run(const std::function<absl::Status()>& go_on);

  // The statement: a row of four numbers.
  std::string Sql() const;

 private:
  absl::Status Open();
  std::string Rows(const std::string& table, bool before) const;

  const TableComparisonSpec spec_;
  const std::string what_;
  PgConnection connection_;
};

}  // namespace tidemark
