// What the catalogs of a database say of a table whose changes are wanted: whether they can be had at all, right to the
// row, or what to do first. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "src/postgres/connection.h"
#include "src/postgres/lsn.h"

namespace tidemark {

// How a value of a type of PostgreSQL is written as text.
enum class PgKind { kBool, kInt, kBigInt, kReal, kNumeric, kText, kBytes, kDate, kTimestamp, kTimestampTz, kRefused };

// By oid, of the types that have one for good. kRefused: it is another's.
PgKind PgKindOf(uint32_t type);
// Whether values of it can be a column's.
bool PgKindFits(PgKind kind, const Type& column);
// The type of column that loses nothing of it, as a topology writes it.
const char* PgTypeMeant(PgKind kind);

// A column of the topology in the table.
struct PgColumn {
  std::string name;     // in the table
  Column column;        // in the topology
  size_t position = 0;  // among the source's columns
  bool key = false;
  uint32_t type = 0;  // oid
  PgKind kind = PgKind::kRefused;
};

struct PgTable {
  uint32_t oid = 0;
  uint32_t file = 0;  // where its rows are; another, after what writes them anew or empties it
  std::string database;
  std::vector<PgColumn> columns;     // those that the topology names, in its order
  std::vector<std::string> unnamed;  // the others of the table
};

// InvalidArgument: the topology, the table, the publication or a right has to be changed first, and how.
absl::StatusOr<PgTable> InspectPgTable(PgConnection& connection, const SourcePlan& source);

struct PgSlot {
  bool exists = false;
  bool lost = false;  // its log has been thrown away
  bool active = false;
  int active_pid = 0;
  Lsn confirmed = 0;  // what lies before it won't be sent any more
};
// InvalidArgument: there is one of the name, which is no slot of pgoutput in this database.
absl::StatusOr<PgSlot> InspectPgSlot(PgConnection& connection, const std::string& slot);

// For people who check a topology before it runs; changes nothing. What was found.
absl::StatusOr<std::string> InspectPgSource(const SourcePlan& source);

}  // namespace tidemark
