#include "operators/sinks/postgres/libpq.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/record_batch.h>

#include "operators/sinks/postgres/arrays.h"
#include "operators/sinks/postgres/table.h"
#include "src/base/batch.h"
#include "src/base/status.h"
#include "src/postgres/connection.h"

namespace tidemark {
namespace {

// Rows a statement: enough to make its fixed cost small, few enough for the server's memory.
constexpr int64_t kStatementRows = 8'192;
constexpr int64_t kStatementBytes = 8 << 20;

int64_t ToInt64(const char* text) {
  int64_t value = 0;
  (void)absl::SimpleAtoi(text, &value);
  return value;
}

PostgresFence FenceOf(const PgResult& row) {
  return {ToInt64(PQgetvalue(row.get(), 0, 0)), ToInt64(PQgetvalue(row.get(), 0, 1)), PQgetvalue(row.get(), 0, 2)};
}

class LibpqSession final : public PostgresSession {
 public:
  LibpqSession(const PostgresSinkSpec& spec, std::string_view application, std::string_view sink, const Schema& schema,
               const StepMode& mode, const std::atomic<bool>* interrupted)
      : spec_(spec),
        application_(application),
        sink_(sink),
        schema_(schema),
        mode_(mode),
        what_(absl::StrCat("sink ", sink_)),
        connection_(spec.url, absl::StrCat("tidemark ", application_, " ", sink_), what_, interrupted) {}

  absl::Status Connect() override;
  absl::StatusOr<PostgresFence> BumpFence(int32_t partition) override;
  absl::Status Begin() override;
  absl::StatusOr<bool> MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                 const std::string& heard) override;
  absl::StatusOr<PostgresFence> ReadFence(int32_t partition) override;
  absl::Status Write(const arrow::RecordBatch& rows) override;
  absl::Status Delete(const arrow::RecordBatch& rows) override;
  absl::Status Savepoint() override;
  absl::Status RollbackToSavepoint() override { return connection_.Run("ROLLBACK TO SAVEPOINT piece").status(); }
  absl::Status Commit() override;
  void Rollback() override;

 private:
  std::string WriteSql() const;
  std::string DeleteSql(uint32_t nulls) const;
  absl::Status RunRows(const std::string& statement, const arrow::RecordBatch& rows,
                       const std::vector<size_t>& columns);
  absl::Status DeleteWithNulls(const arrow::RecordBatch& rows, uint32_t nulls);
  std::vector<std::string> FenceKey(int32_t partition) const { return {application_, sink_, absl::StrCat(partition)}; }
  // What the user could mend, once Connect has been through, is waited out.
  static absl::Status Retryable(absl::Status status) {
    return absl::IsInvalidArgument(status) ? absl::UnavailableError(status.message()) : status;
  }

  const PostgresSinkSpec spec_;
  const std::string application_, sink_;
  const Schema schema_;
  const StepMode mode_;
  const std::string what_;
  PgConnection connection_;
  PostgresTarget target_;
  std::vector<size_t> all_columns_;
  std::set<uint32_t> delete_statements_;  // prepared on this connection, by the key columns that are null
  bool was_open_ = false;
  bool has_savepoint_ = false;
};

absl::Status LibpqSession::Connect() {
  if (connection_.idle()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(connection_.Connect());
  // A table that has vanished while the sink was at work isn't made again: its rows would be missing without a word.
  auto target = PreparePostgresTables(connection_, spec_, schema_, mode_, what_, spec_.create && !was_open_);
  absl::Status status = target.status();
  if (status.ok()) {
    target_ = *std::move(target);
    all_columns_.clear();
    std::vector<Oid> types;
    for (size_t i = 0; i < schema_.size(); ++i) {
      all_columns_.push_back(i);
      types.push_back(PostgresArrayOids(schema_[i].type).array);
    }
    delete_statements_.clear();
    status = connection_.Prepare("write", WriteSql(), types);
  }
  if (!status.ok()) {
    connection_.Close();
    return status;
  }
  was_open_ = true;
  return absl::OkStatus();
}

absl::StatusOr<PostgresFence> LibpqSession::BumpFence(int32_t partition) {
  std::vector<std::string> key = FenceKey(partition);
  key.push_back(RetiredFrom(target_.table));
  auto row = connection_.Run(absl::StrCat("INSERT INTO ", target_.fence_table,
                                          " AS f SELECT $1, $2, $3::integer, 1, -1 WHERE NOT EXISTS "
                                          "(SELECT FROM ",
                                          target_.fence_table,
                                          " WHERE application = $1 AND sink = $2 AND partition = -1 AND "
                                          "heard = $4) ON CONFLICT (application, sink, partition) DO UPDATE SET "
                                          "epoch = f.epoch + 1 RETURNING epoch, next_offset, heard"),
                             key);
  if (!row.ok()) return Retryable(row.status());
  if (PQntuples(row->get()) == 0) {
    return absl::UnavailableError(absl::StrCat(what_, ": table ", target_.table,
                                               " was given to another generation of the topology; this one (",
                                               application_, ") writes no more"));
  }
  return FenceOf(*row);
}

absl::StatusOr<PostgresFence> LibpqSession::ReadFence(int32_t partition) {
  auto row = connection_.Run(absl::StrCat("SELECT epoch, next_offset, heard FROM ", target_.fence_table,
                                          " WHERE application = $1 AND sink = $2 AND partition = $3"),
                             FenceKey(partition));
  if (!row.ok()) return Retryable(row.status());
  return PQntuples(row->get()) == 0 ? PostgresFence{} : FenceOf(*row);
}

// Deferred constraints would speak up at the commit, where nobody could say any more which row they mean.
absl::Status LibpqSession::Begin() {
  has_savepoint_ = false;
  return Retryable(connection_.Run("BEGIN; SET CONSTRAINTS ALL IMMEDIATE").status());
}

absl::StatusOr<bool> LibpqSession::MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                             const std::string& heard) {
  std::vector<std::string> parameters = FenceKey(partition);
  for (int64_t number : {expected.epoch, expected.next_offset, next_offset}) parameters.push_back(absl::StrCat(number));
  parameters.push_back(heard);
  auto moved =
      connection_.Run(absl::StrCat("UPDATE ", target_.fence_table,
                                   " SET next_offset = $6, heard = $7 WHERE application = $1 AND sink = $2 AND "
                                   "partition = $3 AND epoch = $4 AND next_offset = $5"),
                      parameters);
  if (!moved.ok()) return Retryable(moved.status());
  return std::string_view(PQcmdTuples(moved->get())) == "1";
}

std::string LibpqSession::WriteSql() const {
  std::vector<std::string> names, arrays, updates;
  for (size_t i = 0; i < schema_.size(); ++i) {
    const std::string name = PgConnection::Quote(schema_[i].name);
    names.push_back(name);
    arrays.push_back(absl::StrCat("unnest($", i + 1, ")"));
    if (std::find(spec_.key.begin(), spec_.key.end(), i) == spec_.key.end()) {
      updates.push_back(absl::StrCat(name, " = EXCLUDED.", name));
    }
  }
  std::string sql = absl::StrCat("INSERT INTO ", target_.table, " (", absl::StrJoin(names, ", "), ") SELECT ",
                                 absl::StrJoin(arrays, ", "));
  if (!spec_.upsert) return sql;
  const std::string key = absl::StrJoin(spec_.key, ", ", [&](std::string* out, size_t column) {
    absl::StrAppend(out, PgConnection::Quote(schema_[column].name));
  });
  return absl::StrCat(sql, " ON CONFLICT (", key, ") DO ",
                      updates.empty() ? "NOTHING" : absl::StrCat("UPDATE SET ", absl::StrJoin(updates, ", ")));
}

absl::Status LibpqSession::RunRows(const std::string& statement, const arrow::RecordBatch& rows,
                                   const std::vector<size_t>& columns) {
  const int64_t row_bytes = std::max<int64_t>(1, BatchBytes(rows) / std::max<int64_t>(1, rows.num_rows()));
  const int64_t step = std::clamp<int64_t>(kStatementBytes / row_bytes, 1, kStatementRows);
  std::vector<std::string> arrays(columns.size());
  for (int64_t start = 0; start < rows.num_rows(); start += step) {
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto slice = rows.column(static_cast<int>(columns[i]))->Slice(start, step);
      TM_RETURN_IF_ERROR(EncodePostgresArray(schema_[columns[i]].type, *slice, &arrays[i]));
    }
    TM_RETURN_IF_ERROR(Retryable(connection_.RunPrepared(statement, arrays).status()));
  }
  return absl::OkStatus();
}

absl::Status LibpqSession::Write(const arrow::RecordBatch& rows) { return RunRows("write", rows, all_columns_); }

// Only "=" can use the key's index, so rows whose key has a NULL go apart, in one statement for each set of null
// columns.
absl::Status LibpqSession::Delete(const arrow::RecordBatch& rows) {
  std::vector<uint32_t> nulls(rows.num_rows(), 0);
  std::set<uint32_t> kinds;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    for (size_t k = 0; k < spec_.key.size(); ++k) {
      nulls[row] |= static_cast<uint32_t>(rows.column(static_cast<int>(spec_.key[k]))->IsNull(row)) << k;
    }
    kinds.insert(nulls[row]);
  }
  if (kinds.size() == 1) return DeleteWithNulls(rows, *kinds.begin());
  const Batch all = arrow::RecordBatch::Make(rows.schema(), rows.num_rows(), rows.columns());
  for (uint32_t kind : kinds) {
    std::vector<int32_t> some;
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      if (nulls[row] == kind) some.push_back(static_cast<int32_t>(row));
    }
    TM_RETURN_IF_ERROR(DeleteWithNulls(*TakeRows(all, some), kind));
  }
  return absl::OkStatus();
}

absl::Status LibpqSession::DeleteWithNulls(const arrow::RecordBatch& rows, uint32_t nulls) {
  const std::string name = absl::StrCat("delete_", nulls);
  if (!delete_statements_.contains(nulls)) {
    std::vector<Oid> types;
    for (size_t column : spec_.key) types.push_back(PostgresArrayOids(schema_[column].type).array);
    TM_RETURN_IF_ERROR(Retryable(connection_.Prepare(name, DeleteSql(nulls), types)));
    delete_statements_.insert(nulls);
  }
  return RunRows(name, rows, spec_.key);
}

std::string LibpqSession::DeleteSql(uint32_t nulls) const {
  std::vector<std::string> arrays, conditions;
  for (size_t k = 0; k < spec_.key.size(); ++k) {
    const std::string column = absl::StrCat("t.", PgConnection::Quote(schema_[spec_.key[k]].name));
    arrays.push_back(absl::StrCat("unnest($", k + 1, ") AS k", k));
    // In the column's own type, so that its index is used.
    conditions.push_back((nulls >> k & 1u) != 0
                             ? absl::StrCat(column, " IS NULL")
                             : absl::StrCat(column, " = u.k", k, "::", target_.column_types[spec_.key[k]]));
  }
  return absl::StrCat("DELETE FROM ", target_.table, " AS t USING (SELECT ", absl::StrJoin(arrays, ", "),
                      ") AS u WHERE ", absl::StrJoin(conditions, " AND "));
}

absl::Status LibpqSession::Savepoint() {
  const char* sql = has_savepoint_ ? "RELEASE SAVEPOINT piece; SAVEPOINT piece" : "SAVEPOINT piece";
  has_savepoint_ = true;
  return Retryable(connection_.Run(sql).status());
}

// COMMIT of a broken transaction answers ROLLBACK, without an error.
absl::Status LibpqSession::Commit() {
  auto done = connection_.Run("COMMIT");
  if (!done.ok()) return Retryable(done.status());
  if (std::string_view(PQcmdStatus(done->get())) == "COMMIT") return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what_, ": PostgreSQL rolled the transaction back"));
}

void LibpqSession::Rollback() {
  if (connection_.idle()) return;
  if (!connection_.Run("ROLLBACK").ok()) connection_.Close();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresSession>> MakeLibpqSession(const PostgresSinkSpec& spec,
                                                                  std::string_view application, std::string_view sink,
                                                                  const Schema& schema, const StepMode& mode,
                                                                  const std::atomic<bool>* interrupted) {
  if (spec.key.size() > 32) {
    return absl::InvalidArgumentError(
        absl::StrCat("sink ", std::string(sink), ": PostgreSQL takes at most 32 key columns"));
  }
  return std::make_unique<LibpqSession>(spec, application, sink, schema, mode, interrupted);
}

absl::Status RewindPostgres(const PostgresSinkSpec& spec, std::string_view application, std::string_view sink) {
  PgConnection connection(spec.url, "tidemark reset", absl::StrCat("sink ", std::string(sink)), nullptr);
  TM_RETURN_IF_ERROR(connection.Connect());
  const std::string table = FenceTableOf(spec);
  TM_ASSIGN_OR_RETURN(const PgResult columns,
                      connection.Run("SELECT count(*), count(*) FILTER (WHERE attname = 'heard') FROM pg_attribute "
                                     "WHERE attrelid = to_regclass($1)",
                                     {table}));
  if (ToInt64(PQgetvalue(columns.get(), 0, 0)) == 0) return absl::OkStatus();  // nothing was ever written
  const bool is_old = ToInt64(PQgetvalue(columns.get(), 0, 1)) == 0;           // an earlier version made the table
  return connection
      .Run(absl::StrCat("UPDATE ", table, " SET epoch = epoch + 1, next_offset = -1", is_old ? "" : ", heard = ''",
                        " WHERE application = $1 AND partition >= 0"),
           {std::string(application)})
      .status();
}

absl::StatusOr<std::string> InspectPostgres(const PostgresSinkSpec& spec, std::string_view sink, const Schema& schema,
                                            const StepMode& mode) {
  const std::string what = absl::StrCat("sink ", std::string(sink));
  PgConnection connection(spec.url, "tidemark validate", what, nullptr);
  TM_RETURN_IF_ERROR(connection.Connect());
  TM_RETURN_IF_ERROR(connection.Run("SET default_transaction_read_only = on").status());
  return InspectPostgresTables(connection, spec, schema, mode, what);
}

}  // namespace tidemark
