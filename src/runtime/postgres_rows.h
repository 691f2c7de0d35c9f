// The rows of a PostgreSQL table and their changes, as records of format debezium without its schema part (docs:
// formats.md), and how far they have been taken: what a PostgresSource (postgres_source.h) makes of what its connection
// says. No I/O; used by one thread.
//
//   Row       a row of the snapshot                                              op r
//   Insert, update, delete                                                       op c, u, d
//   Update of a key      a deletion of the old key, then an insert of the new one: of two keys, in their partitions
//   The end of a new snapshot (resnapshot.h), in every partition               op m
//   The end of a transaction that has changed the table, with `atomic: transactions`   op m
//   Truncate             an error in front of which all is taken, or a dead letter
//
// A value that the log leaves out as it hasn't changed (TOAST) is taken from the row before where the log has that
// (REPLICA IDENTITY FULL), else it is left out here too, and operators/changes has it from the row that it keeps.
//
// A position is (place behind the last transaction that is in as a whole, changes of the next one that are in). A
// transaction comes again as a whole, with the same changes in the same order, as the log tells it by the catalogs of
// its time: those that are in are counted off, and the last of them must stand where it stood.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "proto/postgres.pb.h"
#include "src/plan/intakes.h"
#include "src/plan/plan.h"
#include "src/postgres/pgoutput.h"
#include "src/postgres/table.h"
#include "src/runtime/intake.h"

namespace tidemark {

class PostgresRows {
 public:
  // `source` outlives this. `target`: which of its intake's it is.
  explicit PostgresRows(const SourcePlan& source, size_t target = 0)
      : source_(source), target_(target), whole_transactions_(KeepsTransactions(source)) {}

  const SourcePlan& source() const { return source_; }
  size_t target() const { return target_; }

  const packed::PostgresPosition& position() const { return position_; }
  packed::PostgresPosition& position() { return position_; }
  const PgTable& table() const { return table_; }

  // The table as the catalogs have it now. What isn't in as a whole comes again.
  void Begin(PgTable table);

  // A row of a snapshot that was taken at `lsn`.
  void Row(const pgoutput::Tuple& row, Lsn lsn, int64_t time_us, IntakeRows* rows);
  // The snapshot is in. Behind a new one it says so to whoever keeps rows of earlier ones, in every partition.
  void EndSnapshot(Lsn lsn, int64_t time_us, IntakeRows* rows);
  // What comes next of the log, from the place `lsn`. FailedPrecondition: a TRUNCATE, another table of that name,
  // another replica identity than the key, a log that isn't the one that was read before; nothing of it is taken, and
  // `rows` has what came before.
  absl::Status Take(const pgoutput::Message& message, Lsn lsn, IntakeRows* rows);
  // Everything in front of `lsn` has come, and between transactions nothing else is on its way: whether the position
  // can move there.
  bool CanMoveTo(Lsn lsn) const { return !transaction_ && position_.commit_lsn() == 0 && lsn > position_.lsn(); }

 private:
  struct Origin {
    Lsn lsn = 0;
    int64_t committed_us = 0;
    uint32_t xid = 0;
    bool snapshot = false;
    bool overtaken = false;  // the snapshot may have seen the row later
  };

  absl::Status TakeBegin(const pgoutput::Begin& begin);
  absl::Status TakeCommit(const pgoutput::Commit& commit, Lsn lsn, IntakeRows* rows);
  absl::Status TakeRelation(const pgoutput::Relation& relation);
  absl::Status CheckIdentity(const pgoutput::Relation& relation) const;
  absl::Status TakeChange(const pgoutput::Change& change, Lsn lsn, IntakeRows* rows);
  absl::Status TakeTruncate(Lsn lsn, IntakeRows* rows);
  // True: the change, which is the table's next in its transaction, isn't in yet.
  absl::StatusOr<bool> IsNew(Lsn lsn);
  void Taken(Lsn lsn);
  void EndTransaction(Lsn lsn, IntakeRows* rows);

  std::string Head(char op, const Origin& origin) const;
  void Emit(char op, const pgoutput::Tuple& row, const Origin& origin, IntakeRows* rows);
  std::string Key(const pgoutput::Tuple& row) const;
  bool SameKey(const pgoutput::Tuple& a, const pgoutput::Tuple& b) const;
  // The reason, where the value can't be told.
  std::optional<std::string> AppendValue(const PgColumn& column, const pgoutput::Cell& cell, std::string* out) const;
  const pgoutput::Cell& CellOf(const pgoutput::Tuple& row, size_t column) const;

  const SourcePlan& source_;
  const size_t target_;
  const bool whole_transactions_;
  packed::PostgresPosition position_;
  PgTable table_;
  // By column of the table: where it stands in a row; nothing: it is gone.
  std::vector<std::optional<size_t>> places_;
  size_t width_ = 0;  // of rows
  // As JSON: by column its name, and what all records say of where they are from.
  std::vector<std::string> names_;
  std::string where_;
  std::string changed_;  // why rows can't be read as the table is now; "": they can
  std::optional<pgoutput::Begin> transaction_;
  bool known_ = false;     // the log has told of the table on this connection
  absl::Status identity_;  // whether changes of rows can be taken, as the log has told of the table
  uint64_t seen_ = 0;      // changes of the table in the transaction
  pgoutput::Tuple filled_;
};

}  // namespace tidemark
