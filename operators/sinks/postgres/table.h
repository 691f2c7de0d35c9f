// The two tables of a PostgreSQL sink: the target, made from the step's schema or checked against it, and the fence
// table beside it. Called at each connect, by the sink's thread; and to look only, by `validate --online`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "src/postgres/connection.h"

namespace tidemark {

// What the statements need to know about the target as it is in the database.
struct PostgresTarget {
  std::string table;  // quoted, with its schema
  std::string fence_table;
  std::vector<std::string> column_types;  // of the step's columns in the table, without length or precision
};

// Creates what is missing, if `create` (else, and where the user may not, InvalidArgument shows the statement to run),
// with `evolve: add_columns` also columns of a table that is there, and checks what is there, and the rights that the
// sink needs. Under a lock that all sinks of the database share, and safe to run in every worker at once. All
// complaints are InvalidArgument, in one message; `what` names the sink.
absl::StatusOr<PostgresTarget> PreparePostgresTables(PgConnection& connection, const PostgresSinkSpec& spec,
                                                     const Schema& schema, const StepMode& mode, std::string_view what,
                                                     bool create);

// What PreparePostgresTables would find and do, in words, without doing it. InvalidArgument too where the user lacks a
// right that the sink will need.
absl::StatusOr<std::string> InspectPostgresTables(PgConnection& connection, const PostgresSinkSpec& spec,
                                                  const Schema& schema, const StepMode& mode, std::string_view what);

// What stands in `heard` of a sink's row of partition -1 in the fence table, once another generation has got its table
// (swap.h), quoted and with its schema: it takes no partition of that table over any more. Into the one that was kept
// it may go on writing, where its generation is built again.
inline std::string RetiredFrom(const std::string& table) { return "retired from " + table; }

// The fence table beside the target, quoted, with its schema.
std::string FenceTableOf(const PostgresSinkSpec& spec);

// The CREATE TABLE statement of a target. A key that can be NULL makes one that PostgreSQL knows from 15 on.
std::string CreateTargetSql(const PostgresSinkSpec& spec, const Schema& schema);

}  // namespace tidemark
