#include "src/postgres/table.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/suggest.h"

namespace tidemark {
namespace {

constexpr int kOldestServer = 130000;

std::string Value(const PgResult& result, int row, int column) { return PQgetvalue(result.get(), row, column); }
bool IsTrue(const PgResult& result, int row, int column) { return Value(result, row, column) == "t"; }
uint32_t Number(const PgResult& result, int row, int column) {
  uint32_t number = 0;
  (void)absl::SimpleAtoi(Value(result, row, column), &number);
  return number;
}

class Inspection {
 public:
  Inspection(PgConnection& connection, const SourcePlan& source)
      : connection_(connection),
        source_(source),
        spec_(*source.postgres),
        quoted_(absl::StrCat(PgConnection::Quote(spec_.schema), ".", PgConnection::Quote(spec_.table))) {}

  absl::StatusOr<PgTable> Run() {
    TM_RETURN_IF_ERROR(CheckServer());
    TM_RETURN_IF_ERROR(FindTable());
    TM_RETURN_IF_ERROR(CheckPublication());
    TM_RETURN_IF_ERROR(ReadColumns());
    TM_RETURN_IF_ERROR(CheckIdentity());
    return std::move(table_);
  }

 private:
  absl::Status Wrong(const std::string& why) const { return absl::InvalidArgumentError(why); }
  absl::Status CheckServer();
  absl::Status FindTable();
  absl::Status CheckPublication();
  absl::Status ReadColumns();
  absl::Status CheckIdentity();

  PgConnection& connection_;
  const SourcePlan& source_;
  const PostgresTableSpec& spec_;
  const std::string quoted_;
  PgTable table_;
  std::string user_;  // quoted
  char identity_ = 'd';
  std::set<std::string> published_;  // columns
};

absl::Status Inspection::CheckServer() {
  if (connection_.server_version() < kOldestServer) {
    return Wrong(absl::StrCat("PostgreSQL ", connection_.server_version() / 10000,
                              " is too old: 13 or later can be read by its logical replication"));
  }
  TM_ASSIGN_OR_RETURN(const PgResult row,
                      connection_.Run("SELECT current_setting('wal_level'), pg_is_in_recovery(), "
                                      "(SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), "
                                      "current_user, current_database()"));
  if (IsTrue(row, 0, 1)) {
    return Wrong("this server is a standby, and reading from one isn't implemented: name the primary in the url");
  }
  if (Value(row, 0, 0) != "logical") {
    return Wrong(absl::StrCat("wal_level is ", Value(row, 0, 0),
                              ": ALTER SYSTEM SET wal_level = 'logical', then restart the server"));
  }
  user_ = PgConnection::Quote(Value(row, 0, 3));
  if (!IsTrue(row, 0, 2)) {
    return Wrong(absl::StrCat("the user may not replicate: ALTER ROLE ", user_, " REPLICATION"));
  }
  table_.database = Value(row, 0, 4);
  return absl::OkStatus();
}

absl::Status Inspection::FindTable() {
  TM_ASSIGN_OR_RETURN(
      const PgResult row,
      connection_.Run(
          "SELECT c.oid, c.relkind, c.relreplident, c.relpersistence, "
          "has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), "
          "EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), row_security_active(c.oid), c.relfilenode "
          "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
          "WHERE n.nspname = $1 AND c.relname = $2",
          {spec_.schema, spec_.table}));
  if (PQntuples(row.get()) == 0) {
    return Wrong(absl::StrCat("there is no table ", quoted_, " in database ", table_.database,
                              ": create it, or correct `table`"));
  }
  const std::string kind = Value(row, 0, 1);
  if (kind == "p" || IsTrue(row, 0, 5)) {
    return Wrong(absl::StrCat(quoted_, " has its rows in other tables (partitions, or tables that inherit from it), ",
                              "which isn't implemented: name one of these"));
  }
  if (kind != "r") return Wrong(absl::StrCat(quoted_, " isn't a table, so its changes aren't logged"));
  if (Value(row, 0, 3) != "p") {
    return Wrong(absl::StrCat("changes of ", quoted_, " aren't logged: ALTER TABLE ", quoted_, " SET LOGGED"));
  }
  if (!IsTrue(row, 0, 4)) {
    return Wrong(absl::StrCat("the user may not read the table, which the snapshot needs: GRANT SELECT ON ", quoted_,
                              " TO ", user_, "; GRANT USAGE ON SCHEMA ", PgConnection::Quote(spec_.schema), " TO ",
                              user_));
  }
  if (IsTrue(row, 0, 6)) {
    return Wrong(absl::StrCat("row-level security may hide rows of ", quoted_, " from the user: ALTER ROLE ", user_,
                              " BYPASSRLS"));
  }
  table_.oid = Number(row, 0, 0);
  table_.file = Number(row, 0, 7);
  identity_ = Value(row, 0, 2).at(0);
  return absl::OkStatus();
}

absl::Status Inspection::CheckPublication() {
  const std::string name = PgConnection::Quote(spec_.publication);
  TM_ASSIGN_OR_RETURN(
      const PgResult publication,
      connection_.Run(
          "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication WHERE pubname = $1",
          {spec_.publication}));
  if (PQntuples(publication.get()) == 0) {
    return Wrong(absl::StrCat("there is no publication ", name, " in database ", table_.database,
                              ": CREATE PUBLICATION ", name, " FOR TABLE ", quoted_));
  }
  if (!IsTrue(publication, 0, 0)) {
    return Wrong(absl::StrCat("publication ", name, " leaves out some changes, and rows would be wrong without them: ",
                              "ALTER PUBLICATION ", name, " SET (publish = 'insert, update, delete, truncate')"));
  }
  // Columns and filters of publications are there since 15.
  const bool lists = connection_.server_version() >= 150000;
  TM_ASSIGN_OR_RETURN(const PgResult found,
                      connection_.Run(absl::StrCat("SELECT ", lists ? "rowfilter IS NOT NULL" : "false",
                                                   " FROM pg_publication_tables WHERE pubname = $1 AND schemaname = $2 "
                                                   "AND tablename = $3"),
                                      {spec_.publication, spec_.schema, spec_.table}));
  if (PQntuples(found.get()) == 0) {
    return Wrong(absl::StrCat("publication ", name, " doesn't have the table: ALTER PUBLICATION ", name, " ADD TABLE ",
                              quoted_));
  }
  if (IsTrue(found, 0, 0)) {
    return Wrong(absl::StrCat("publication ", name, " filters the table's rows, which isn't implemented: publish all ",
                              "of them, and filter in a step"));
  }
  if (!lists) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const PgResult columns,
                      connection_.Run("SELECT unnest(attnames) FROM pg_publication_tables WHERE pubname = $1 AND "
                                      "schemaname = $2 AND tablename = $3",
                                      {spec_.publication, spec_.schema, spec_.table}));
  for (int r = 0; r < PQntuples(columns.get()); ++r) published_.insert(Value(columns, r, 0));
  return absl::OkStatus();
}

absl::Status Inspection::ReadColumns() {
  TM_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection_.Run("SELECT a.attname, t.oid, t.typtype, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', "
                      "a.atttypid "
                      "FROM pg_attribute a JOIN pg_type d ON d.oid = a.atttypid "
                      "JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END "
                      "WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                      {absl::StrCat(table_.oid)}));
  std::vector<std::string> names;
  for (int r = 0; r < PQntuples(rows.get()); ++r) names.push_back(Value(rows, r, 0));
  table_.unnamed = names;
  for (size_t c = 0; c < source_.columns.size(); ++c) {
    const SourceColumn& source = source_.columns[c];
    if (source.from != SourceColumn::From::kValue) continue;
    PgColumn column;
    column.name = source.path.empty() ? source.column.name : source.path[0];
    column.column = source.column;
    column.position = c;
    column.key = std::find(source_.key.begin(), source_.key.end(), c) != source_.key.end();
    const auto at = std::find(names.begin(), names.end(), column.name);
    if (at == names.end()) {
      return Wrong(absl::StrCat("table ", quoted_, " has no column '", column.name, "'", DidYouMean(column.name, names),
                                ": correct it, or leave it out"));
    }
    const int r = static_cast<int>(at - names.begin());
    const std::string type = Value(rows, r, 3);
    if (IsTrue(rows, r, 4)) {
      return Wrong(absl::StrCat("column ", column.name, " is generated, and generated columns don't stand in the log: ",
                                "leave it out, and compute it in a step"));
    }
    if (!published_.empty() && !published_.contains(column.name)) {
      return Wrong(absl::StrCat("publication ", PgConnection::Quote(spec_.publication), " leaves column ", column.name,
                                " out: add it there, or leave it out here"));
    }
    column.type = Number(rows, r, 5);
    column.kind = Value(rows, r, 2) == "e" ? PgKind::kText : PgKindOf(Number(rows, r, 1));
    if (column.kind == PgKind::kRefused) {
      return Wrong(
          absl::StrCat("column ", column.name, " is of type ", type, ", which isn't implemented: leave it out"));
    }
    if (!PgKindFits(column.kind, column.column.type)) {
      return Wrong(absl::StrCat("column ", column.name, " is of type ", type, ", which isn't read as ",
                                TypeName(column.column.type), "; write ", PgTypeMeant(column.kind)));
    }
    std::erase(table_.unnamed, column.name);
    table_.columns.push_back(std::move(column));
  }
  return absl::OkStatus();
}

// By the columns of the replica identity the log names the row that was updated or deleted, so they must be the key;
// with a full identity it names all, and the key must be unique.
absl::Status Inspection::CheckIdentity() {
  std::set<std::string> key;
  for (const PgColumn& column : table_.columns) {
    if (column.key) key.insert(column.name);
  }
  const std::string wanted = absl::StrJoin(key, ", ");
  if (identity_ == 'n') {
    return Wrong(absl::StrCat(
        "table ", quoted_, " has no replica identity, so the log doesn't say which row was changed: ", "ALTER TABLE ",
        quoted_, " REPLICA IDENTITY DEFAULT"));
  }
  const std::string which = identity_ == 'f'
                                ? "i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
                            : identity_ == 'i' ? "i.indisreplident"
                                               : "i.indisprimary AND i.indimmediate";
  TM_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection_.Run(absl::StrCat("SELECT i.indexrelid, a.attname, a.attnotnull FROM pg_index i "
                                   "CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(number) "
                                   "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
                                   "WHERE i.indrelid = $1 AND i.indisvalid AND ",
                                   which),
                      {absl::StrCat(table_.oid)}));
  std::map<std::string, std::set<std::string>> indexes;
  for (int r = 0; r < PQntuples(rows.get()); ++r) {
    // Rows with a NULL are as many as there are, whatever the index.
    indexes[Value(rows, r, 0)].insert(IsTrue(rows, r, 2) ? Value(rows, r, 1) : Value(rows, r, 1) + " (nullable)");
  }
  for (const auto& [index, columns] : indexes) {
    if (columns == key) return absl::OkStatus();
  }
  if (identity_ == 'f') {
    return Wrong(
        absl::StrCat("nothing says that (", wanted, ") is unique in ", quoted_,
                     ", and rows replace each other by the source's `key`: add a primary key or a unique index"));
  }
  if (indexes.empty()) {
    return Wrong(absl::StrCat(
        "table ", quoted_,
        " has no primary key (a deferrable one isn't enough), so the log doesn't say which row was changed: ",
        "add one, or ALTER TABLE ", quoted_, " REPLICA IDENTITY USING INDEX with a unique one"));
  }
  return Wrong(absl::StrCat("the log names rows of ", quoted_, " by (", absl::StrJoin(indexes.begin()->second, ", "),
                            "), its replica identity, and the source's `key` is (", wanted,
                            "): state those, or ALTER TABLE ", quoted_, " REPLICA IDENTITY FULL"));
}

}  // namespace

PgKind PgKindOf(uint32_t type) {
  switch (type) {
    case 16:
      return PgKind::kBool;
    case 21:  // int2
    case 23:
      return PgKind::kInt;
    case 20:
      return PgKind::kBigInt;
    case 700:
    case 701:
      return PgKind::kReal;
    case 1700:
      return PgKind::kNumeric;
    case 25:    // text
    case 1043:  // varchar
    case 1042:  // char(n)
    case 2950:  // uuid
    case 114:   // json
    case 3802:  // jsonb
      return PgKind::kText;
    case 17:
      return PgKind::kBytes;
    case 1082:
      return PgKind::kDate;
    case 1114:
      return PgKind::kTimestamp;
    case 1184:
      return PgKind::kTimestampTz;
    default:
      return PgKind::kRefused;
  }
}

bool PgKindFits(PgKind kind, const Type& column) {
  switch (column.kind) {
    case Kind::kBool:
      return kind == PgKind::kBool;
    case Kind::kInt32:
      return kind == PgKind::kInt;
    case Kind::kInt64:
      return kind == PgKind::kInt || kind == PgKind::kBigInt;
    case Kind::kDouble:
      return kind == PgKind::kReal || kind == PgKind::kInt || kind == PgKind::kNumeric;
    case Kind::kDecimal:
      return kind == PgKind::kNumeric || kind == PgKind::kInt || kind == PgKind::kBigInt;
    case Kind::kString:
      return kind == PgKind::kText;
    case Kind::kBytes:
      return kind == PgKind::kBytes;
    case Kind::kDate:
      return kind == PgKind::kDate;
    case Kind::kTimestamp:
      return kind == PgKind::kTimestamp || kind == PgKind::kTimestampTz;
    default:
      return false;
  }
}

const char* PgTypeMeant(PgKind kind) {
  switch (kind) {
    case PgKind::kBool:
      return "bool";
    case PgKind::kInt:
      return "int32";
    case PgKind::kBigInt:
      return "int64";
    case PgKind::kReal:
      return "double";
    case PgKind::kNumeric:
      return "decimal, with its digits and scale";
    case PgKind::kText:
      return "string";
    case PgKind::kBytes:
      return "bytes";
    case PgKind::kDate:
      return "date";
    case PgKind::kTimestamp:
    case PgKind::kTimestampTz:
      return "timestamp";
    case PgKind::kRefused:
      break;
  }
  return "";
}

absl::StatusOr<PgTable> InspectPgTable(PgConnection& connection, const SourcePlan& source) {
  return Inspection(connection, source).Run();
}

absl::StatusOr<PgSlot> InspectPgSlot(PgConnection& connection, const std::string& slot) {
  TM_ASSIGN_OR_RETURN(
      const PgResult row,
      connection.Run("SELECT slot_type = 'logical' AND plugin = 'pgoutput' AND database = current_database() AND NOT "
                     "temporary, coalesce(wal_status = 'lost', false), active, active_pid, confirmed_flush_lsn "
                     "FROM pg_replication_slots WHERE slot_name = $1",
                     {slot}));
  PgSlot found;
  if (PQntuples(row.get()) == 0) return found;
  if (!IsTrue(row, 0, 0)) {
    return absl::InvalidArgumentError(absl::StrCat("replication slot ", slot,
                                                   " isn't a permanent slot of plugin pgoutput in this database: name "
                                                   "another, which is made where it is missing"));
  }
  found.exists = true;
  found.lost = IsTrue(row, 0, 1);
  found.active = IsTrue(row, 0, 2);
  found.active_pid = static_cast<int>(Number(row, 0, 3));
  found.confirmed = ParseLsn(Value(row, 0, 4)).value_or(0);
  return found;
}

absl::StatusOr<std::string> InspectPgSource(const SourcePlan& source) {
  const PostgresTableSpec& spec = *source.postgres;
  const std::string table = absl::StrCat("table ", spec.schema, ".", spec.table);
  PgConnection connection(spec.url, "tidemark validate", table, nullptr, PgUse::kRead);
  TM_RETURN_IF_ERROR(connection.Connect());
  TM_RETURN_IF_ERROR(InspectPgTable(connection, source).status());
  TM_ASSIGN_OR_RETURN(const PgSlot slot, InspectPgSlot(connection, spec.slot));
  if (slot.lost) {
    return absl::InvalidArgumentError(absl::StrCat(
        "slot ", spec.slot, " is lost, as PostgreSQL kept no more than max_slot_wal_keep_size of its log: give the ",
        "topology a new name and the source a new slot"));
  }
  return absl::StrCat(
      table, " can be read; slot ", spec.slot,
      slot.exists ? absl::StrCat(" is there, confirmed up to ", LsnText(slot.confirmed)) : " will be made");
}

}  // namespace tidemark
