// The commands by which a table and its changes are had from a PostgreSQL server, over connections of the caller's.
// Used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/postgres/connection.h"
#include "src/postgres/lsn.h"
#include "src/postgres/table.h"

namespace tidemark {

// On a connection for replication: the identifier of the database system.
absl::StatusOr<uint64_t> PgSystem(PgConnection& connection);

// A slot of pgoutput: what is committed behind `lsn`, it will tell; a transaction that imports `snapshot` sees what was
// committed before. The connection for replication keeps the snapshot until it is used for anything else.
struct NewPgSlot {
  Lsn lsn = 0;
  std::string snapshot;
};
absl::Status BeginPgSlot(PgConnection& connection, const std::string& slot);
// Nothing: transactions that were open have still to end.
absl::StatusOr<std::optional<NewPgSlot>> AwaitPgSlot(PgConnection& connection, int64_t max_wait_us);

// On a connection for reading: whether every transaction that has written, and was open when `*behind` was noted (0: it
// is noted now), has ended by now: then a snapshot sees all that was committed in front of there. What a snapshot sees
// may be less than what is in the log: a transaction whose commit waits for a synchronous standby is still open.
absl::StatusOr<bool> PgHaveEnded(PgConnection& connection, uint64_t* behind);

// On a connection for reading: where the log ends now.
absl::StatusOr<Lsn> PgLogEnd(PgConnection& connection);

// On a connection for reading: begins a transaction, which sees what `snapshot` says, "" is what there is now, of all
// these tables; then a COPY of each one's columns. Unavailable: a table isn't in the file that it was in, or the
// snapshot was taken in front of that: what writes a table anew (ALTER TABLE), or empties it, leaves nothing in it for
// an older snapshot. BeginPgSnapshot locks the tables against that.
struct PgSnapshot {
  Lsn lsn = 0;  // what it sees was committed in front of here
  int64_t time_us = 0;
};
struct PgCopied {
  const PostgresTableSpec* spec = nullptr;
  const PgTable* table = nullptr;
};
absl::StatusOr<PgSnapshot> BeginPgSnapshot(PgConnection& connection, const std::vector<PgCopied>& tables,
                                           const std::string& snapshot);
absl::Status CopyPgTable(PgConnection& connection, const PgCopied& copied);

// On a connection for replication: from `lsn` on, or from where the slot is if that is later.
absl::Status StartPgStream(PgConnection& connection, const PostgresTableSpec& spec, Lsn lsn);  // of any of its tables

// A place in the log that its readers will come by, though nothing else is ever written.
absl::StatusOr<Lsn> MarkPgLog(PgConnection& connection);

}  // namespace tidemark
