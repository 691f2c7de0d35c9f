// The tables that one replication slot tells of (postgres_source.h), with how far each of them is read: every table has
// a position of its own, as if it were the only one, and the intake's position is all of them. The log goes to the
// tables that take part in it; what it tells of others, or tells a table again, is left out. No I/O; used by one
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include <absl/status/status.h>

#include "src/plan/intakes.h"
#include "src/runtime/postgres_rows.h"

namespace tidemark {

class PostgresTables {
 public:
  struct Table {
    Table(const SourcePlan& source, size_t target) : rows(source, target) {}
    Lsn lsn() const { return rows.position().lsn(); }
    bool is_read() const { return rows.position().snapshot_done(); }

    PostgresRows rows;
    bool streams = false;  // takes part in the log: its snapshot was in when that began
  };

  // What it points at outlives this. Its sources are tables.
  explicit PostgresTables(const IntakePlan& intake);

  // How far the tables were read. What it says of others is forgotten: the intake has seen that they are given up
  // (intake.h, rule 8). FailedPrecondition: it isn't such a text.
  absl::Status Read(const std::string& position);
  std::string Write() const;

  // The log is followed from here on by the tables whose snapshot is in. Whether there are any.
  bool Begin();
  // The smallest place of those that have one: the log must be had from there on. 0: none has.
  Lsn First() const;
  // Every snapshot is in.
  bool all_are_read() const;

  // What comes next of the log, from the place `lsn`, to those that take part: as PostgresRows::Take.
  absl::Status Take(const pgoutput::Message& message, Lsn lsn, IntakeRows* rows);
  // Everything in front of `lsn` has come, and nothing else is on its way.
  void MoveTo(Lsn lsn);

  std::deque<Table>& all() { return tables_; }
  const std::deque<Table>& all() const { return tables_; }
  const std::string& name() const { return name_; }
  // An error of that table, with its name where there may be several.
  absl::Status OfTable(const absl::Status& status, const Table& table) const;
  // The words for what begins all of them anew: `tidemark resnapshot a b`.
  std::string Resnapshot() const;

 private:
  const std::string name_;  // of the intake
  const bool shared_;       // it is the slot's
  std::deque<Table> tables_;
};

// What that position of an intake is a position in. Where a new snapshot of a table was asked for, other words: an
// earlier version, which knows of none, would take one that deletes nothing.
std::string PostgresPositionsOf(const PostgresTableSpec& spec, const std::string& position);

// What a position says for all tables: that they are read up to there, and whether all snapshots are in. False: it
// isn't such a text.
bool ReadPostgresPosition(const std::string& text, packed::PostgresPosition* position);

}  // namespace tidemark
