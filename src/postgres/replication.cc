#include "src/postgres/replication.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

// Of the first row; "": there is none.
std::string Value(const PGresult* result, int column) {
  if (PQntuples(result) == 0 || column >= PQnfields(result)) return "";
  return PQgetvalue(result, 0, column);
}

absl::Status Strange(const char* what) { return absl::UnavailableError(absl::StrCat("PostgreSQL doesn't say ", what)); }

std::string Quoted(const PostgresTableSpec& spec) {
  return absl::StrCat(PgConnection::Quote(spec.schema), ".", PgConnection::Quote(spec.table));
}

// The column is as the snapshot sees it; the functions say what is so now, whatever that sees.
absl::Status CheckFile(PgConnection& connection, const PgCopied& copied) {
  const std::string file = absl::StrCat(copied.table->file);
  TM_ASSIGN_OR_RETURN(const PgResult same,
                      connection.Run("SELECT FROM pg_class WHERE oid = $1 AND oid = to_regclass($2) AND "
                                     "relfilenode = $3 AND pg_relation_filenode(oid) = $3",
                                     {absl::StrCat(copied.table->oid), Quoted(*copied.spec), file}));
  if (PQntuples(same.get()) > 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("table ", copied.spec->schema, ".", copied.spec->table,
                                             " was written anew, emptied or replaced (ALTER TABLE, TRUNCATE, VACUUM "
                                             "FULL) while its snapshot began, which begins anew"));
}

}  // namespace

absl::StatusOr<uint64_t> PgSystem(PgConnection& connection) {
  TM_ASSIGN_OR_RETURN(const PgResult row, connection.Run("IDENTIFY_SYSTEM"));
  uint64_t system = 0;
  if (!absl::SimpleAtoi(Value(row.get(), 0), &system)) return Strange("which system it is");
  return system;
}

absl::Status BeginPgSlot(PgConnection& connection, const std::string& slot) {
  return connection.Send(
      absl::StrCat("CREATE_REPLICATION_SLOT ", PgConnection::Quote(slot), " LOGICAL pgoutput EXPORT_SNAPSHOT"));
}

absl::StatusOr<std::optional<NewPgSlot>> AwaitPgSlot(PgConnection& connection, int64_t max_wait_us) {
  TM_ASSIGN_OR_RETURN(const std::optional<PgResult> answer, connection.Await(max_wait_us));
  if (!answer) return std::nullopt;
  const auto lsn = ParseLsn(Value(answer->get(), 1));
  if (!lsn) return Strange("where the new slot begins");
  return NewPgSlot{*lsn, Value(answer->get(), 2)};
}

// A number of its own is behind those of all that are open. The xmax of a snapshot isn't: it is behind those that have
// ended.
absl::StatusOr<bool> PgHaveEnded(PgConnection& connection, uint64_t* behind) {
  if (*behind == 0) {
    TM_ASSIGN_OR_RETURN(const PgResult own, connection.Run("SELECT pg_current_xact_id()"));
    if (!absl::SimpleAtoi(Value(own.get(), 0), behind)) return Strange("which transaction it is in");
  }
  TM_ASSIGN_OR_RETURN(const PgResult row, connection.Run("SELECT pg_snapshot_xmin(pg_current_snapshot())"));
  uint64_t oldest = 0;
  if (!absl::SimpleAtoi(Value(row.get(), 0), &oldest)) return Strange("which transactions are open");
  return oldest > *behind;
}

absl::StatusOr<Lsn> PgLogEnd(PgConnection& connection) {
  TM_ASSIGN_OR_RETURN(const PgResult row, connection.Run("SELECT pg_current_wal_insert_lsn()"));
  const auto lsn = ParseLsn(Value(row.get(), 0));
  if (!lsn) return Strange("where its log ends");
  return *lsn;
}

absl::StatusOr<PgSnapshot> BeginPgSnapshot(PgConnection& connection, const std::vector<PgCopied>& tables,
                                           const std::string& snapshot) {
  TM_RETURN_IF_ERROR(connection.Run("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").status());
  for (const PgCopied& copied : tables) {  // takes no snapshot yet
    const std::string lock = absl::StrCat("LOCK TABLE ONLY ", Quoted(*copied.spec), " IN ACCESS SHARE MODE");
    TM_RETURN_IF_ERROR(connection.Run(lock).status());
  }
  if (!snapshot.empty()) {
    TM_RETURN_IF_ERROR(connection.Run("SET TRANSACTION SNAPSHOT " + PgConnection::QuoteText(snapshot)).status());
  }
  // The statement's snapshot is the transaction's, and is taken before the place is asked for.
  TM_ASSIGN_OR_RETURN(
      const PgResult row,
      connection.Run("SELECT pg_current_wal_insert_lsn(), (extract(epoch FROM now()) * 1000000)::bigint"));
  PgSnapshot taken;
  const auto lsn = ParseLsn(Value(row.get(), 0));
  if (!lsn || !absl::SimpleAtoi(Value(row.get(), 1), &taken.time_us)) return Strange("where its log ends");
  taken.lsn = *lsn;
  for (const PgCopied& copied : tables) TM_RETURN_IF_ERROR(CheckFile(connection, copied));
  return taken;
}

absl::Status CopyPgTable(PgConnection& connection, const PgCopied& copied) {
  const std::string columns = absl::StrJoin(copied.table->columns, ", ", [](std::string* out, const PgColumn& column) {
    out->append(PgConnection::Quote(column.name));
  });
  return connection.StartCopy(
      absl::StrCat("COPY (SELECT ", columns, " FROM ONLY ", Quoted(*copied.spec), ") TO STDOUT"));
}

absl::Status StartPgStream(PgConnection& connection, const PostgresTableSpec& spec, Lsn lsn) {
  return connection.StartCopy(absl::StrCat("START_REPLICATION SLOT ", PgConnection::Quote(spec.slot), " LOGICAL ",
                                           LsnText(lsn), " (proto_version '1', publication_names ",
                                           PgConnection::QuoteText(PgConnection::Quote(spec.publication)), ")"));
}

absl::StatusOr<Lsn> MarkPgLog(PgConnection& connection) {
  TM_ASSIGN_OR_RETURN(const PgResult row, connection.Run("SELECT pg_logical_emit_message(true, 'tidemark', '')"));
  const auto lsn = ParseLsn(Value(row.get(), 0));
  if (!lsn) return Strange("where its log ends");
  return *lsn;
}

}  // namespace tidemark
