#include "operators/sinks/postgres/table.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "operators/sinks/postgres/arrays.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr char kFenceTable[] = "tidemark_offsets";
constexpr int kNullsNotDistinctSince = 150000;
constexpr char kInsufficientPrivilege[] = "(SQLSTATE 42501)";
constexpr char kOwns[] = "(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass($1))";

struct FoundColumn {
  std::string type;       // as SQL writes it: "character varying(10)"
  std::string base_type;  // without length or precision
  bool not_null = false;
  bool has_default = false;
  bool generated = false;
};
using FoundColumns = std::vector<std::pair<std::string, FoundColumn>>;

std::string Text(const PgResult& result, int row, int column) { return PQgetvalue(result.get(), row, column); }
bool True(const PgResult& result, int row, int column) { return Text(result, row, column) == "t"; }

std::string Qualified(const std::string& schema, std::string_view table) {
  return absl::StrCat(PgConnection::Quote(schema), ".", PgConnection::Quote(table));
}

std::string KeyNames(const PostgresSinkSpec& spec, const Schema& schema) {
  return absl::StrJoin(spec.key, ", ", [&](std::string* out, size_t column) {
    absl::StrAppend(out, PgConnection::Quote(schema[column].name));
  });
}

bool KeyIsNullable(const PostgresSinkSpec& spec, const Schema& schema) {
  return std::any_of(spec.key.begin(), spec.key.end(), [&](size_t column) { return schema[column].nullable; });
}

std::string CreateFenceSql(const std::string& table) {
  return absl::StrCat(
      "CREATE TABLE IF NOT EXISTS ", table,
      " (application text, sink text, partition integer, epoch bigint NOT NULL, next_offset bigint NOT NULL, "
      "heard text NOT NULL DEFAULT '', PRIMARY KEY (application, sink, partition))");
}

// "" where there is none, else its pg_class.relkind.
absl::StatusOr<std::string> KindOf(PgConnection& connection, const std::string& table) {
  TM_ASSIGN_OR_RETURN(const PgResult found,
                      connection.Run("SELECT relkind FROM pg_class WHERE oid = to_regclass($1)", {table}));
  return PQntuples(found.get()) == 0 ? "" : Text(found, 0, 0);
}

absl::StatusOr<FoundColumns> ColumnsOf(PgConnection& connection, const std::string& table) {
  TM_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Run("SELECT attname, format_type(atttypid, atttypmod), format_type(atttypid, -1), "
                     "attnotnull, atthasdef OR attidentity <> '', attgenerated <> '' OR attidentity = 'a' "
                     "FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 "
                     "AND NOT attisdropped ORDER BY attnum",
                     {table}));
  FoundColumns columns;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    columns.emplace_back(Text(rows, i, 0), FoundColumn{Text(rows, i, 1), Text(rows, i, 2), True(rows, i, 3),
                                                       True(rows, i, 4), True(rows, i, 5)});
  }
  return columns;
}

// Whether values of the step's type fit a column of the found type without loss: by assignment, or refused row by row.
bool Holds(const Type& expected, const FoundColumn& found) {
  switch (expected.kind) {
    case Kind::kString:
      return found.base_type == "text" || found.base_type == "character varying" || found.base_type == "bpchar";
    case Kind::kJson:
      return found.base_type == "jsonb" || found.base_type == "json";
    case Kind::kInt32:
      return found.base_type == "integer" || found.base_type == "bigint" || found.type == "numeric";
    case Kind::kInt64:
      return found.base_type == "bigint" || found.type == "numeric";
    case Kind::kDecimal: {
      if (found.base_type != "numeric") return false;
      if (found.type == "numeric") return true;
      // A smaller precision refuses rows; a smaller scale would round without a word.
      const std::vector<std::string> numbers = absl::StrSplit(found.type, absl::ByAnyChar("(,)"));
      int scale = 0;
      return numbers.size() >= 3 && absl::SimpleAtoi(numbers[2], &scale) && scale >= expected.scale;
    }
    default:
      return found.base_type == PostgresTypeName(expected);
  }
}

FoundColumns::const_iterator FindColumn(const FoundColumns& found, const std::string& name) {
  return std::find_if(found.begin(), found.end(), [&](const auto& column) { return column.first == name; });
}

// As a table is created with it.
std::string ColumnSql(const Column& column) {
  return absl::StrCat(PgConnection::Quote(column.name), " ", PostgresTypeName(column.type),
                      column.type.kind == Kind::kString ? " COLLATE \"C\"" : "");
}

// What adds the columns that `found` lacks; "": nothing. Rows that stand have no value of them, so only such as may be
// NULL are added.
std::string AddColumnsSql(const std::string& table, const Schema& schema, const FoundColumns& found) {
  std::vector<std::string> added;
  for (const Column& column : schema.columns()) {
    if (!column.nullable || FindColumn(found, column.name) != found.end()) continue;
    added.push_back(absl::StrCat("ADD COLUMN IF NOT EXISTS ", ColumnSql(column)));
  }
  return added.empty() ? "" : absl::StrCat("ALTER TABLE ", table, " ", absl::StrJoin(added, ", "));
}

void CheckColumns(const std::string& table, const PostgresSinkSpec& spec, const Schema& schema,
                  const FoundColumns& found, std::vector<std::string>* complaints) {
  const auto alter = [&](const char* what, const Column& column, const char* as) {
    return absl::StrCat("; ALTER TABLE ", table, " ", what, " COLUMN ", PgConnection::Quote(column.name), as,
                        PostgresTypeName(column.type));
  };
  for (const Column& column : schema.columns()) {
    const auto at = FindColumn(found, column.name);
    if (at == found.end()) {
      const bool never_null = spec.add_columns && !column.nullable;
      complaints->push_back(absl::StrCat(
          "column ", column.name, " is missing: expected ", PostgresTypeName(column.type), alter("ADD", column, " "),
          never_null ? ", with NOT NULL and a DEFAULT for the rows that stand (`evolve: add_columns` only adds columns "
                       "that may be NULL)"
                     : ""));
    } else if (at->second.generated) {
      complaints->push_back(absl::StrCat("column ", column.name, " is generated by the database and can't be written"));
    } else if (!Holds(column.type, at->second)) {
      complaints->push_back(absl::StrCat("column ", column.name, ": expected ", PostgresTypeName(column.type),
                                         ", found ", at->second.type, alter("ALTER", column, " TYPE ")));
    }
  }
  for (const auto& [name, column] : found) {
    if (!schema.Find(name) && column.not_null && !column.has_default && !column.generated) {
      complaints->push_back(
          absl::StrCat("column ", name, " is NOT NULL without a default, and the sink doesn't write it"));
    }
  }
}

// ON CONFLICT needs a unique index on exactly the key; and one that takes two NULLs for equal, if the key can be NULL.
absl::Status CheckKey(PgConnection& connection, const PostgresSinkSpec& spec, const Schema& schema,
                      const std::string& table, const FoundColumns& found, std::vector<std::string>* complaints) {
  TM_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Run(
          "SELECT coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true', a.attname, i.indexrelid "
          "FROM pg_index i, unnest(i.indkey[0:i.indnkeyatts - 1]) AS k JOIN pg_attribute a ON a.attnum = k "
          "WHERE i.indrelid = to_regclass($1) AND a.attrelid = i.indrelid AND i.indisunique AND i.indisvalid "
          "AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL",
          {table}));
  struct Index {
    std::set<std::string> columns;
    bool nulls_are_equal = false;
  };
  absl::flat_hash_map<std::string, Index> indexes;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    Index& index = indexes[Text(rows, i, 2)];
    index.columns.insert(Text(rows, i, 1));
    index.nulls_are_equal = True(rows, i, 0);
  }
  std::set<std::string> key;
  bool can_hold_null = false;
  for (size_t column : spec.key) {
    key.insert(schema[column].name);
    for (const auto& [name, there] : found) {
      can_hold_null |= name == schema[column].name && schema[column].nullable && !there.not_null;
    }
  }
  bool unique = false, usable = false;
  for (const auto& [id, index] : indexes) {
    if (index.columns != key) continue;
    unique = true;
    usable |= index.nulls_are_equal || !can_hold_null;
  }
  if (!unique) {
    complaints->push_back(absl::StrCat("there is no unique index on the key (", absl::StrJoin(key, ", "),
                                       "); add one: ALTER TABLE ", table, " ADD UNIQUE NULLS NOT DISTINCT (",
                                       KeyNames(spec, schema), ")"));
  } else if (!usable) {
    complaints->push_back(absl::StrCat("the key (", absl::StrJoin(key, ", "),
                                       ") can be NULL, and its unique index takes NULLs for different; make it UNIQUE "
                                       "NULLS NOT DISTINCT, or its columns NOT NULL"));
  }
  return absl::OkStatus();
}

// Creates under a lock, so that the sink's other threads and workers wait instead of colliding.
absl::Status Create(PgConnection& connection, const std::vector<std::string>& statements, std::string_view what) {
  const std::string all = absl::StrJoin(statements, "; ");
  const absl::Status status =
      connection.Run(absl::StrCat("BEGIN; SELECT pg_advisory_xact_lock(7308332046290); ", all, "; COMMIT")).status();
  if (status.ok() || absl::IsUnavailable(status)) return status;
  (void)connection.Run("ROLLBACK");
  const bool permission = absl::StrContains(status.message(), kInsufficientPrivilege);
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), ": can't create or alter its tables: ", std::string(status.message()),
                   permission ? "; have somebody run who may: " : "; the statements were: ", all));
}

}  // namespace

std::string FenceTableOf(const PostgresSinkSpec& spec) { return Qualified(spec.schema, kFenceTable); }

std::string CreateTargetSql(const PostgresSinkSpec& spec, const Schema& schema) {
  std::vector<std::string> lines;
  for (const Column& column : schema.columns()) {
    lines.push_back(ColumnSql(column) + (column.nullable ? "" : " NOT NULL"));
  }
  if (!spec.key.empty()) {
    lines.push_back(absl::StrCat(KeyIsNullable(spec, schema) ? "UNIQUE NULLS NOT DISTINCT (" : "PRIMARY KEY (",
                                 KeyNames(spec, schema), ")"));
  }
  return absl::StrCat("CREATE TABLE IF NOT EXISTS ", Qualified(spec.schema, spec.table), " (",
                      absl::StrJoin(lines, ", "), ")");
}

namespace {

// Which of the two tables are there, and what makes those that aren't.
struct Tables {
  std::string target, fence;            // quoted, with their schema
  std::string label;                    // of the target, in messages
  std::string target_kind, fence_kind;  // "" where there is none
  bool schema_is_missing = false;
  bool fence_is_old = false;  // it lacks a column
  std::string alter_target;   // adds the columns that it lacks; "": it isn't to be changed
  std::vector<std::string> statements;
};

bool IsTable(const Tables& tables) { return tables.target_kind == "r" || tables.target_kind == "p"; }

absl::StatusOr<Tables> Look(PgConnection& connection, const PostgresSinkSpec& spec, const Schema& schema,
                            std::string_view what, bool create) {
  Tables tables;
  tables.target = Qualified(spec.schema, spec.table);
  tables.fence = FenceTableOf(spec);
  tables.label = absl::StrCat(std::string(what), ": table ", spec.schema, ".", spec.table);
  TM_ASSIGN_OR_RETURN(tables.target_kind, KindOf(connection, tables.target));
  TM_ASSIGN_OR_RETURN(tables.fence_kind, KindOf(connection, tables.fence));
  const bool missing = tables.target_kind.empty();
  if (missing && !create) {
    return absl::InvalidArgumentError(
        absl::StrCat(tables.label, " doesn't exist; create it (or say create: true): ", CreateTargetSql(spec, schema)));
  }
  if (missing && KeyIsNullable(spec, schema) && connection.server_version() < kNullsNotDistinctSince) {
    return absl::InvalidArgumentError(
        absl::StrCat(tables.label, ": a key that can be NULL needs PostgreSQL 15; this server is older"));
  }
  if (missing || tables.fence_kind.empty()) {
    TM_ASSIGN_OR_RETURN(const PgResult found,
                        connection.Run("SELECT 1 FROM pg_namespace WHERE nspname = $1", {spec.schema}));
    tables.schema_is_missing = PQntuples(found.get()) == 0;
  }
  if (tables.schema_is_missing) {
    tables.statements.push_back(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", PgConnection::Quote(spec.schema)));
  }
  if (missing) tables.statements.push_back(CreateTargetSql(spec, schema));
  if (tables.fence_kind.empty()) {
    tables.statements.push_back(CreateFenceSql(tables.fence));
  } else {
    // An earlier version made the table without it.
    TM_ASSIGN_OR_RETURN(const FoundColumns columns, ColumnsOf(connection, tables.fence));
    tables.fence_is_old =
        std::none_of(columns.begin(), columns.end(), [](const auto& column) { return column.first == "heard"; });
    if (tables.fence_is_old) {
      tables.statements.push_back(
          absl::StrCat("ALTER TABLE ", tables.fence, " ADD COLUMN IF NOT EXISTS heard text NOT NULL DEFAULT ''"));
    }
  }
  if (create && spec.add_columns && IsTable(tables)) {
    TM_ASSIGN_OR_RETURN(const FoundColumns columns, ColumnsOf(connection, tables.target));
    tables.alter_target = AddColumnsSql(tables.target, schema, columns);
  }
  return tables;
}

// As if the statement of AddColumnsSql had been run.
void AddFound(const Schema& schema, FoundColumns* found) {
  for (const Column& column : schema.columns()) {
    if (!column.nullable || FindColumn(*found, column.name) != found->end()) continue;
    const std::string type(PostgresTypeName(column.type));
    found->emplace_back(column.name, FoundColumn{type, type.substr(0, type.find('('))});
  }
}

// The target as it is, or `as_altered` as it would be with its columns added; all that doesn't fit in one message.
absl::StatusOr<PostgresTarget> CheckTarget(PgConnection& connection, const PostgresSinkSpec& spec, const Schema& schema,
                                           const Tables& tables, bool as_altered = false) {
  if (!IsTable(tables)) return absl::InvalidArgumentError(absl::StrCat(tables.label, " isn't a table"));
  TM_ASSIGN_OR_RETURN(FoundColumns found, ColumnsOf(connection, tables.target));
  if (as_altered) AddFound(schema, &found);
  std::vector<std::string> complaints;
  CheckColumns(tables.target, spec, schema, found, &complaints);
  if (spec.upsert && complaints.empty()) {
    TM_RETURN_IF_ERROR(CheckKey(connection, spec, schema, tables.target, found, &complaints));
  }
  if (!complaints.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(tables.label, ": ", absl::StrJoin(complaints, "; ")));
  }
  PostgresTarget target;
  target.table = tables.target;
  target.fence_table = tables.fence;
  for (const Column& column : schema.columns()) {
    for (const auto& [name, there] : found) {
      if (name == column.name) target.column_types.push_back(there.base_type);
    }
  }
  return target;
}

// InvalidArgument where `question`, a call of one of PostgreSQL's has_..._privilege functions, is answered by no.
absl::Status NeedsRight(PgConnection& connection, const std::string& question, std::vector<std::string> parameters,
                        std::string_view to_do, std::string_view what,
                        std::string_view remedy = "grant the permission") {
  TM_ASSIGN_OR_RETURN(const PgResult answer,
                      connection.Run(absl::StrCat("SELECT ", question, ", current_user"), parameters));
  if (True(answer, 0, 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": user ", Text(answer, 0, 1), " may not ",
                                                 std::string(to_do), "; ", std::string(remedy)));
}

// Rights may have been granted column by column, except that to delete.
absl::Status NeedsTableRights(PgConnection& connection, const std::string& table,
                              const std::vector<std::string>& rights, std::string_view what) {
  for (const std::string& right : rights) {
    const char* question = right == "DELETE" ? "has_table_privilege($1, $2)" : "has_any_column_privilege($1, $2)";
    TM_RETURN_IF_ERROR(NeedsRight(connection, question, {table, right}, absl::StrCat(right, " in ", table), what));
  }
  return absl::OkStatus();
}

std::vector<std::string> TargetRights(const PostgresSinkSpec& spec, const StepMode& mode) {
  std::vector<std::string> rights = {"INSERT"};
  if (spec.upsert) rights.insert(rights.end(), {"SELECT", "UPDATE"});
  if (mode.update) rights.push_back("DELETE");
  return rights;
}

}  // namespace

absl::StatusOr<PostgresTarget> PreparePostgresTables(PgConnection& connection, const PostgresSinkSpec& spec,
                                                     const Schema& schema, const StepMode& mode, std::string_view what,
                                                     bool create) {
  TM_ASSIGN_OR_RETURN(Tables tables, Look(connection, spec, schema, what, create));
  if (!tables.alter_target.empty()) {
    // Whether the rest fits is known before anything is changed.
    TM_RETURN_IF_ERROR(CheckTarget(connection, spec, schema, tables, true).status());
    tables.statements.push_back(tables.alter_target);
  }
  if (!tables.statements.empty()) TM_RETURN_IF_ERROR(Create(connection, tables.statements, what));
  // What was created a moment ago may be another worker's: it is checked like any other.
  if (tables.target_kind.empty()) {
    TM_ASSIGN_OR_RETURN(tables.target_kind, KindOf(connection, tables.target));
  }
  TM_ASSIGN_OR_RETURN(PostgresTarget target, CheckTarget(connection, spec, schema, tables));
  TM_RETURN_IF_ERROR(NeedsTableRights(connection, tables.fence, {"SELECT", "INSERT", "UPDATE"}, what));
  TM_RETURN_IF_ERROR(NeedsTableRights(connection, tables.target, TargetRights(spec, mode), what));
  return target;
}

absl::StatusOr<std::string> InspectPostgresTables(PgConnection& connection, const PostgresSinkSpec& spec,
                                                  const Schema& schema, const StepMode& mode, std::string_view what) {
  TM_ASSIGN_OR_RETURN(const Tables tables, Look(connection, spec, schema, what, spec.create));
  if (tables.schema_is_missing) {
    TM_RETURN_IF_ERROR(NeedsRight(connection, "has_database_privilege(current_database(), 'CREATE')", {},
                                  absl::StrCat("create schema ", spec.schema), what));
  } else if (tables.target_kind.empty() || tables.fence_kind.empty()) {
    TM_RETURN_IF_ERROR(NeedsRight(connection, "has_schema_privilege($1, 'CREATE')", {spec.schema},
                                  absl::StrCat("create tables in schema ", spec.schema), what));
  }
  if (tables.fence_is_old) {
    TM_RETURN_IF_ERROR(NeedsRight(connection, kOwns, {tables.fence},
                                  absl::StrCat("alter ", tables.fence, ", which lacks a column"), what,
                                  absl::StrCat("let its owner run: ", tables.statements.back())));
  }
  if (!tables.fence_kind.empty()) {
    TM_RETURN_IF_ERROR(NeedsTableRights(connection, tables.fence, {"SELECT", "INSERT", "UPDATE"}, what));
  }
  if (tables.target_kind.empty()) {
    return absl::StrCat(tables.label, " would be created: ", CreateTargetSql(spec, schema));
  }
  TM_RETURN_IF_ERROR(CheckTarget(connection, spec, schema, tables, !tables.alter_target.empty()).status());
  TM_RETURN_IF_ERROR(NeedsTableRights(connection, tables.target, TargetRights(spec, mode), what));
  const std::string beside =
      tables.fence_kind.empty() ? absl::StrCat("; ", tables.fence, " would be created beside it") : "";
  if (tables.alter_target.empty()) return absl::StrCat(tables.label, " fits", beside);
  TM_RETURN_IF_ERROR(NeedsRight(connection, kOwns, {tables.target},
                                absl::StrCat("alter ", tables.target, ", which lacks columns"), what,
                                absl::StrCat("let its owner run: ", tables.alter_target)));
  return absl::StrCat(tables.label, " would be altered: ", tables.alter_target, beside);
}

}  // namespace tidemark
