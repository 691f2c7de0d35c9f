// A table takes another's place, in one transaction of the database, with all that hangs on it: for a generation of a
// topology that was built beside the one that runs, into a shadow table. Used by one thread.
//
// In order, and from 2 on in one transaction:
//   1. Indexes that only the live table has (those that aren't unique) are built on the shadow, and committed: nobody
//      waits for that, and nobody does it twice.
//   2. A lock that only vacuuming and changes of the tables would wait for, so that an autovacuum ends and none begins.
//   3. Locks, each waited for a fraction of a second, in the order in which writers and readers take theirs: the table
//      of fences, the views, live, shadow. Where one isn't free, all are let go of, who waited behind us goes on, and
//      it is tried again. Our waits are shorter than deadlock_timeout, so it is never a reader who is cancelled. A
//      process that is silent with the locks loses them, first behind a second, then behind 3 and 15, as one that is
//      short of processors would never be done else.
//   4. The fence: n's epochs grow, and a row of partition -1 says that n may not take them over again
//      (LibpqSession::BumpFence looks). It carries the decision's number: a swap that finds it there is done. Of two
//      at once the second finds it under the lock, and lets everything go; what stands in the way is looked for there
//      once more, too.
//   5. Owner, rights, defaults, comments, storage parameters and replica identity of the live table become the
//      shadow's; live is renamed to kept, shadow to live, and indexes and constraints with them.
//   6. Views: they follow a table, not its name, so each that reads the live table is defined anew by its own text, as
//      it was before the renaming. Its owner, rights and options stay. Views of views need nothing.
// A reader that asks for the table by its name while this goes on waits for a moment and then finds the new one
// (PostgreSQL looks the name up again, once it has the lock). One that reads in a longer transaction holds the swap up.
//
// Where there is no live table (the sink is new, or writes elsewhere), all of this comes down to the fence and a
// rename.
//
// What can't be carried over is refused by name: Rehearse does all of the above with an empty copy of the shadow, and
// rolls it back. Constraints, unique indexes, triggers, policies, rules, publications and statistics of the live table
// must be made on the shadow too before, as rows that stand there may contradict them; keys of the sinks excepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/plan/plan.h"
#include "src/postgres/connection.h"

namespace tidemark {

struct PostgresSwapSpec {
  PostgresSinkSpec sink_spec;        // n's: url, schema, live table, key
  std::string shadow, kept;          // tables of the same schema
  std::vector<std::string> written;  // the columns of n's sink, to which the key's positions refer
  std::string sink, from_sink;       // n+1's, and what n calls it
  std::string from, to;              // keys of n and of n+1 (ApplicationId::Key), which their fences stand under
  int64_t decision = 0;              // above 0
};

class PostgresTableSwap {
 public:
  explicit PostgresTableSwap(PostgresSwapSpec spec);

  // Changes nothing; the live table is locked for some milliseconds. InvalidArgument: all that stands in the way.
  // Unavailable: call again.
  absl::Status Rehearse();
  // Unavailable: call again. FailedPrecondition: somebody has changed the tables since, and has to mend it; then call
  // again.
  absl::Status Run();

 private:
  absl::Status Open();
  absl::StatusOr<bool> IsDone();
  absl::StatusOr<bool> Exists(const std::string& table);
  absl::StatusOr<std::vector<std::string>> Complaints();
  absl::Status CheckFence(std::vector<std::string>* complaints);
  absl::Status BuildIndexes(const std::string& shadow);
  absl::Status BuildIndexesForGood(const std::string& shadow);
  void GiveMoreTimeAfter(const absl::Status& status);
  // Within the transaction, until the locks are there.
  absl::Status ExchangeInTime(const std::string& shadow);
  absl::Status EndMaintenance(const std::string& shadow, int64_t deadlock_ms);
  absl::Status Exchange(const std::string& shadow, int64_t wait_ms);
  absl::Status Lock(const std::string& shadow);
  absl::Status MoveFence();
  absl::Status Dress(const std::string& shadow);
  absl::Status Rename(const std::string& shadow);
  absl::Status RunLong(const std::string& sql);
  absl::Status RunAll(const std::vector<std::string>& statements);
  absl::StatusOr<std::vector<std::string>> Column(const std::string& sql, const std::vector<std::string>& parameters);
  std::string Holders();
  std::string Qualified(const std::string& table) const;

  const PostgresSwapSpec spec_;
  const std::string what_;          // "sink s: table public.orders"
  const std::string live_, fence_;  // quoted, with their schema
  PgConnection connection_;
  bool with_lock_ = false;  // it has asked for the locks that readers wait for
  size_t patience_ = 0;     // how often they were lost that way
};

}  // namespace tidemark
