#include "operators/sinks/postgres/swap.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/sinks/postgres/swap_catalog.h"
#include "operators/sinks/postgres/table.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr size_t kNameBytes = 63;
// What a lock is waited for: first so long, later longer, always less than half of deadlock_timeout (a second, unless
// somebody has changed it), after which a reader who stands behind us could be taken for the one to cancel.
constexpr int64_t kFirstWaitMs = 50, kLongestWaitMs = 400;
constexpr int kAttempts = 60;
// Longer than deadlock_timeout usually is, so that an autovacuum ends.
constexpr int64_t kBuilderWaitMs = 1'500;
// A process that is frozen with the lock loses it behind this, as readers wait for it. One that is only short of
// processors would lose it each time, so it is given longer then.
constexpr int kIdleWithLockMs[] = {1'000, 3'000, 15'000};
constexpr char kScratch[] = "tidemark_rehearsal";
constexpr char kNotInTime[] = "(SQLSTATE 55P03)";

std::string Text(const PgResult& result, int row, int column) { return PQgetvalue(result.get(), row, column); }

struct Index {
  std::string name, definition;
  bool unique = false, constraint = false;
};

absl::StatusOr<std::vector<Index>> IndexesOf(PgConnection& connection, const std::string& table) {
  TM_ASSIGN_OR_RETURN(const PgResult rows, connection.Run(swap_catalog::kIndexes, {table}));
  std::vector<Index> indexes;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    indexes.push_back({Text(rows, i, 0), Text(rows, i, 1), !Text(rows, i, 2).empty(), !Text(rows, i, 3).empty()});
  }
  return indexes;
}

// Of each of `some` the one of `others` that is alike and nobody else's; nothing where there is none.
std::vector<const Index*> Matches(const std::vector<Index>& some, const std::vector<Index>& others) {
  std::vector<const Index*> found;
  std::set<const Index*> taken;
  for (const Index& index : some) {
    const auto at = std::find_if(others.begin(), others.end(), [&](const Index& other) {
      return !taken.contains(&other) && std::tie(index.definition, index.unique, index.constraint) ==
                                            std::tie(other.definition, other.unique, other.constraint);
    });
    found.push_back(at == others.end() ? nullptr : &*at);
    taken.insert(found.back());
  }
  return found;
}

// "orders_pkey" of a table that becomes orders__g1 is orders_pkey__g1.
std::string NameOfKept(std::string index, const std::string& live, const std::string& kept) {
  const std::string tail =
      absl::StartsWith(kept, live) && kept.size() > live.size() ? kept.substr(live.size()) : "__kept";
  if (index.size() + tail.size() > kNameBytes) index.resize(kNameBytes - std::min(tail.size(), kNameBytes));
  return index + tail;
}

}  // namespace

PostgresTableSwap::PostgresTableSwap(PostgresSwapSpec spec)
    : spec_(std::move(spec)),
      what_(absl::StrCat("sink ", spec_.sink, ": table ", spec_.sink_spec.schema, ".", spec_.sink_spec.table)),
      live_(Qualified(spec_.sink_spec.table)),
      fence_(FenceTableOf(spec_.sink_spec)),
      connection_(spec_.sink_spec.url, absl::StrCat("tidemark switch ", spec_.sink), what_, nullptr) {}

std::string PostgresTableSwap::Qualified(const std::string& table) const {
  return absl::StrCat(PgConnection::Quote(spec_.sink_spec.schema), ".", PgConnection::Quote(table));
}

absl::Status PostgresTableSwap::Open() {
  if (connection_.idle()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(connection_.Connect());
  // Names in what the catalogs tell come with their schemas.
  return connection_.Run("SET search_path = ''; SET statement_timeout = 0").status();
}

absl::StatusOr<std::vector<std::string>> PostgresTableSwap::Column(const std::string& sql,
                                                                   const std::vector<std::string>& parameters) {
  TM_ASSIGN_OR_RETURN(const PgResult rows, connection_.Run(sql, parameters));
  std::vector<std::string> texts;
  for (int i = 0; i < PQntuples(rows.get()); ++i) texts.push_back(Text(rows, i, 0));
  return texts;
}

absl::Status PostgresTableSwap::RunAll(const std::vector<std::string>& statements) {
  for (const std::string& statement : statements) TM_RETURN_IF_ERROR(connection_.Run(statement).status());
  return absl::OkStatus();
}

absl::Status PostgresTableSwap::RunLong(const std::string& sql) {
  TM_RETURN_IF_ERROR(connection_.Send(sql));
  while (true) {
    TM_ASSIGN_OR_RETURN(const std::optional<PgResult> answer, connection_.Await(kSecond));
    if (answer) return absl::OkStatus();
  }
}

absl::Status PostgresTableSwap::Rehearse() {
  TM_RETURN_IF_ERROR(Open());
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> complaints, Complaints());
  if (!complaints.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(what_, ": ", absl::StrJoin(complaints, "; ")));
  }
  const std::string scratch = Qualified(kScratch);
  with_lock_ = false;
  absl::Status status = connection_.Run("BEGIN").status();
  if (status.ok()) {
    status =
        connection_.Run(absl::StrCat("CREATE TABLE ", scratch, " (LIKE ", Qualified(spec_.shadow), " INCLUDING ALL)"))
            .status();
  }
  if (status.ok()) status = BuildIndexes(scratch);
  if (status.ok()) status = ExchangeInTime(scratch);
  GiveMoreTimeAfter(status);
  if (!connection_.Run("ROLLBACK").ok()) connection_.Close();
  // What a statement says that was refused in the rehearsal is for the user to mend.
  return absl::IsOutOfRange(status)
             ? absl::InvalidArgumentError(absl::StrCat(what_, ": ", std::string(status.message())))
             : status;
}

absl::Status PostgresTableSwap::Run() {
  TM_RETURN_IF_ERROR(Open());
  TM_ASSIGN_OR_RETURN(const bool done, IsDone());
  if (done) return absl::OkStatus();
  // Somebody may have made a view, or an index, since.
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> complaints, Complaints());
  if (!complaints.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(what_, ": ", absl::StrJoin(complaints, "; ")));
  }
  const std::string shadow = Qualified(spec_.shadow);
  with_lock_ = false;
  absl::Status status = BuildIndexesForGood(shadow);
  if (status.ok()) status = connection_.Run("BEGIN").status();
  if (status.ok()) status = BuildIndexes(shadow);  // those that were made on the live table meanwhile
  if (status.ok()) status = ExchangeInTime(shadow);
  if (status.ok()) status = Failpoint("swap_postgres.before_commit");
  if (status.ok()) {
    // An answer that is lost leaves it open what has happened: the next call looks.
    const auto committed = connection_.Run("COMMIT");
    status = committed.status();
    if (status.ok() && std::string_view(PQcmdStatus(committed->get())) != "COMMIT") {
      status = absl::UnavailableError(absl::StrCat(what_, ": PostgreSQL rolled the transaction back"));
    }
  }
  GiveMoreTimeAfter(status);
  if (!status.ok()) {
    connection_.Close();  // which rolls back
    if (absl::IsUnavailable(status)) return status;
    // What another command did meanwhile isn't for anybody to mend.
    TM_RETURN_IF_ERROR(Open());
    TM_ASSIGN_OR_RETURN(const bool by_another, IsDone());
    if (by_another) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(what_, " isn't what it was: ", std::string(status.message())));
  }
  return Failpoint("swap_postgres.after_commit");
}

absl::StatusOr<bool> PostgresTableSwap::IsDone() {
  TM_ASSIGN_OR_RETURN(const auto done, Column(absl::StrCat("SELECT 1 FROM ", fence_,
                                                           " WHERE application = $1 AND sink = $2 AND "
                                                           "partition = -1 AND epoch >= $3::bigint"),
                                              {spec_.to, spec_.sink, absl::StrCat(spec_.decision)}));
  return !done.empty();
}

absl::StatusOr<bool> PostgresTableSwap::Exists(const std::string& table) {
  TM_ASSIGN_OR_RETURN(const auto found, Column("SELECT 1 WHERE to_regclass($1) IS NOT NULL", {table}));
  return !found.empty();
}

absl::Status PostgresTableSwap::BuildIndexes(const std::string& shadow) {
  TM_ASSIGN_OR_RETURN(const std::vector<Index> of_live, IndexesOf(connection_, live_));
  TM_ASSIGN_OR_RETURN(const std::vector<Index> of_shadow, IndexesOf(connection_, shadow));
  const std::vector<const Index*> matches = Matches(of_live, of_shadow);
  for (size_t i = 0; i < of_live.size(); ++i) {
    if (matches[i] != nullptr || of_live[i].unique || of_live[i].constraint) continue;
    TM_RETURN_IF_ERROR(Annotate(RunLong(absl::StrCat("CREATE INDEX ON ", shadow, of_live[i].definition)),
                                absl::StrCat("index ", of_live[i].name)));
  }
  return absl::OkStatus();
}

// Committed by itself, so that an exchange that has to be tried again doesn't begin with all of that. Of several
// commands one builds, and the next finds what it has made: the lock is the one that CREATE INDEX of others waits for.
absl::Status PostgresTableSwap::BuildIndexesForGood(const std::string& shadow) {
  TM_RETURN_IF_ERROR(connection_.Run(absl::StrCat("BEGIN; SET LOCAL lock_timeout = ", kBuilderWaitMs)).status());
  const absl::Status locked =
      connection_.Run(absl::StrCat("LOCK TABLE ", shadow, " IN SHARE UPDATE EXCLUSIVE MODE")).status();
  if (absl::StrContains(locked.message(), kNotInTime)) {
    return absl::UnavailableError(absl::StrCat(what_, ": ", shadow, " is being vacuumed, analysed or changed"));
  }
  TM_RETURN_IF_ERROR(locked);
  TM_RETURN_IF_ERROR(connection_
                         .Run(absl::StrCat("SET LOCAL lock_timeout = 0; SET LOCAL "
                                           "idle_in_transaction_session_timeout = ",
                                           kIdleWithLockMs[std::size(kIdleWithLockMs) - 1]))
                         .status());
  TM_RETURN_IF_ERROR(BuildIndexes(shadow));
  return connection_.Run("COMMIT").status();
}

void PostgresTableSwap::GiveMoreTimeAfter(const absl::Status& status) {
  if (with_lock_ && absl::IsUnavailable(status)) patience_ = std::min(patience_ + 1, std::size(kIdleWithLockMs) - 1);
}

absl::Status PostgresTableSwap::ExchangeInTime(const std::string& shadow) {
  TM_ASSIGN_OR_RETURN(const auto patience,
                      Column("SELECT setting FROM pg_settings WHERE name = 'deadlock_timeout'", {}));
  int64_t deadlock_ms = 0;
  if (patience.size() != 1 || !absl::SimpleAtoi(patience[0], &deadlock_ms)) deadlock_ms = 1'000;
  TM_RETURN_IF_ERROR(EndMaintenance(shadow, deadlock_ms));
  const int64_t longest_ms = std::clamp<int64_t>(deadlock_ms / 2 - 1, 1, kLongestWaitMs);
  int64_t wait_ms = std::min(kFirstWaitMs, longest_ms);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const absl::Status status = Exchange(shadow, wait_ms);
    if (status.ok() || !absl::StrContains(status.message(), kNotInTime)) return status;
    TM_RETURN_IF_ERROR(connection_.Run("ROLLBACK TO SAVEPOINT exchange").status());
    with_lock_ = false;
    // Whoever stood behind us has its turn.
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    wait_ms = std::min(wait_ms * 2, longest_ms);
  }
  return absl::UnavailableError(absl::StrCat(what_, ": its lock isn't to be had: ", Holders()));
}

// PostgreSQL ends an autovacuum that somebody has waited for as long as for a deadlock, which we never do while we hold
// what readers want. So what only such work, and a change of the table, would wait for is asked for first.
absl::Status PostgresTableSwap::EndMaintenance(const std::string& shadow, int64_t deadlock_ms) {
  TM_RETURN_IF_ERROR(
      connection_.Run(absl::StrCat("SAVEPOINT quiet; SET LOCAL lock_timeout = ", deadlock_ms * 3 / 2)).status());
  TM_ASSIGN_OR_RETURN(const bool has_live, Exists(live_));
  for (const std::string& table : {live_, shadow}) {
    if (table == live_ && !has_live) continue;
    const absl::Status locked =
        connection_.Run(absl::StrCat("LOCK TABLE ", table, " IN SHARE UPDATE EXCLUSIVE MODE")).status();
    if (locked.ok() || !absl::StrContains(locked.message(), kNotInTime)) {
      TM_RETURN_IF_ERROR(locked);
      continue;
    }
    TM_RETURN_IF_ERROR(connection_.Run("ROLLBACK TO SAVEPOINT quiet").status());
    return absl::UnavailableError(
        absl::StrCat(what_, ": ", table, " is being vacuumed, analysed or changed: ", Holders()));
  }
  return absl::OkStatus();
}

absl::Status PostgresTableSwap::Exchange(const std::string& shadow, int64_t wait_ms) {
  TM_RETURN_IF_ERROR(
      connection_
          .Run(absl::StrCat("SAVEPOINT exchange; SET LOCAL lock_timeout = ", wait_ms,
                            "; SET LOCAL idle_in_transaction_session_timeout = ", kIdleWithLockMs[patience_]))
          .status());
  with_lock_ = true;
  TM_RETURN_IF_ERROR(Lock(shadow));
  // Again, where nobody can change it any more.
  if (shadow == Qualified(spec_.shadow)) {
    TM_ASSIGN_OR_RETURN(const std::vector<std::string> complaints, Complaints());
    if (!complaints.empty()) return absl::FailedPreconditionError(absl::StrJoin(complaints, "; "));
  }
  TM_RETURN_IF_ERROR(MoveFence());
  TM_RETURN_IF_ERROR(Dress(shadow));
  return Rename(shadow);
}

// A view is locked by a change of its owner to who it is: LOCK TABLE would lock what it reads too, with its owner's
// rights. A view that was made meanwhile is locked as it is defined anew.
absl::Status PostgresTableSwap::Lock(const std::string& shadow) {
  TM_RETURN_IF_ERROR(connection_.Run(absl::StrCat("LOCK TABLE ", fence_, " IN SHARE ROW EXCLUSIVE MODE")).status());
  TM_ASSIGN_OR_RETURN(const PgResult views, connection_.Run(swap_catalog::kViews, {live_}));
  for (int i = 0; i < PQntuples(views.get()); ++i) {
    TM_RETURN_IF_ERROR(
        connection_.Run(absl::StrCat("ALTER VIEW ", Text(views, i, 0), " OWNER TO ", Text(views, i, 1))).status());
  }
  TM_ASSIGN_OR_RETURN(const bool has_live, Exists(live_));
  if (has_live) {
    TM_RETURN_IF_ERROR(connection_.Run(absl::StrCat("LOCK TABLE ", live_, " IN ACCESS EXCLUSIVE MODE")).status());
  }
  return connection_.Run(absl::StrCat("LOCK TABLE ", shadow, " IN ACCESS EXCLUSIVE MODE")).status();
}

// Under the lock of the table, so that a sink that takes a partition over for the first time waits for it too.
absl::Status PostgresTableSwap::MoveFence() {
  TM_RETURN_IF_ERROR(connection_
                         .Run(absl::StrCat("UPDATE ", fence_,
                                           " SET epoch = epoch + 1 WHERE application = $1 AND "
                                           "sink = $2 AND partition >= 0"),
                              {spec_.from, spec_.from_sink})
                         .status());
  for (const bool retired : {true, false}) {
    TM_ASSIGN_OR_RETURN(
        const auto moved,
        Column(absl::StrCat("INSERT INTO ", fence_,
                            " AS f (application, sink, partition, epoch, next_offset, heard) "
                            "VALUES ($1, $2, -1, $3, -1, $4) ON CONFLICT (application, sink, partition) DO UPDATE "
                            "SET epoch = EXCLUDED.epoch, heard = EXCLUDED.heard WHERE f.epoch < EXCLUDED.epoch "
                            "RETURNING 1"),
               {retired ? spec_.from : spec_.to, retired ? spec_.from_sink : spec_.sink, absl::StrCat(spec_.decision),
                retired ? RetiredFrom(live_) : "active"}));
    if (moved.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("decision ", spec_.decision, ", or a later one, has been here meanwhile"));
    }
  }
  return absl::OkStatus();
}

absl::Status PostgresTableSwap::Dress(const std::string& shadow) {
  TM_ASSIGN_OR_RETURN(const auto owner, Column(swap_catalog::kOwner, {live_, shadow}));
  TM_RETURN_IF_ERROR(RunAll(owner));
  TM_ASSIGN_OR_RETURN(const auto outfit, Column(swap_catalog::kOutfit, {live_, shadow}));
  return RunAll(outfit);
}

absl::Status PostgresTableSwap::Rename(const std::string& shadow) {
  TM_ASSIGN_OR_RETURN(const auto views, Column(swap_catalog::kViewsAnew, {live_}));
  TM_ASSIGN_OR_RETURN(const std::vector<Index> of_live, IndexesOf(connection_, live_));
  TM_ASSIGN_OR_RETURN(const std::vector<Index> of_shadow, IndexesOf(connection_, shadow));
  TM_ASSIGN_OR_RETURN(const PgResult constraints, connection_.Run(swap_catalog::kConstraintNames, {live_, shadow}));
  const std::string& live_name = spec_.sink_spec.table;
  const auto rename_index = [&](const std::string& from, const std::string& to) {
    return from == to
               ? absl::OkStatus()
               : connection_.Run(absl::StrCat("ALTER INDEX ", Qualified(from), " RENAME TO ", PgConnection::Quote(to)))
                     .status();
  };
  const auto rename_table = [&](const std::string& from, const std::string& to) {
    return connection_.Run(absl::StrCat("ALTER TABLE ", from, " RENAME TO ", PgConnection::Quote(to))).status();
  };
  for (const Index& index : of_live) {
    TM_RETURN_IF_ERROR(rename_index(index.name, NameOfKept(index.name, live_name, spec_.kept)));
  }
  TM_ASSIGN_OR_RETURN(const bool has_live, Exists(live_));
  if (has_live) TM_RETURN_IF_ERROR(rename_table(live_, spec_.kept));
  TM_RETURN_IF_ERROR(rename_table(shadow, live_name));
  const std::vector<const Index*> matches = Matches(of_live, of_shadow);
  for (size_t i = 0; i < of_live.size(); ++i) {
    if (matches[i] != nullptr) TM_RETURN_IF_ERROR(rename_index(matches[i]->name, of_live[i].name));
  }
  for (int i = 0; i < PQntuples(constraints.get()); ++i) {
    TM_RETURN_IF_ERROR(connection_
                           .Run(absl::StrCat("ALTER TABLE ", live_, " RENAME CONSTRAINT ",
                                             PgConnection::Quote(Text(constraints, i, 1)), " TO ",
                                             PgConnection::Quote(Text(constraints, i, 0))))
                           .status());
  }
  return Annotate(RunAll(views), "a view that reads it");
}

std::string PostgresTableSwap::Holders() {
  const auto holders = Column(swap_catalog::kHolders, {live_});
  if (!holders.ok() || holders->empty()) return "somebody holds it";
  return absl::StrCat(absl::StrJoin(*holders, ", "), " use it in a long transaction");
}

}  // namespace tidemark
