#include "src/runtime/postgres_source.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

using packed::PostgresPosition;

// A quiet table's position moves so often; where the server asks, as it does before it stops, sooner.
constexpr int64_t kQuietUs = 10 * kSecond;
constexpr int64_t kAskedUs = kSecond / 2;
// The server ends a connection that is silent for wal_sender_timeout, a minute unless it is set.
constexpr int64_t kAnswerEveryUs = 5 * kSecond;
constexpr int64_t kConfirmEveryUs = kSecond / 2;
// While the log goes on: how often it is looked what a snapshot waits for, and how long rows of one are waited for.
constexpr int64_t kLookEveryUs = kSecond / 5;
constexpr int64_t kRowsWaitUs = 5 * kMillisecond;
// How long the server's end of a stream that was closed is waited for before that is told.
constexpr int kFormerLooks = 50;

int64_t WallUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool IsEmpty(const IntakeRows& rows) { return rows.records.empty() && rows.letters.empty() && rows.counts.empty(); }

// What a statement was refused for is looked at when the catalogs are asked again, which say what to do.
absl::Status Passing(const absl::Status& status) {
  const bool refused = absl::IsInvalidArgument(status) || absl::IsOutOfRange(status);
  return refused ? absl::UnavailableError(status.message()) : status;
}

std::string WhatOf(const IntakePlan& intake) {
  const PostgresTableSpec& spec = *intake.sources.front()->postgres;
  return spec.shares_slot ? absl::StrCat("slot ", spec.slot) : absl::StrCat("table ", spec.schema, ".", spec.table);
}

}  // namespace

PostgresSource::PostgresSource(const Runtime& runtime, const IntakePlan& intake)
    : runtime_(runtime),
      spec_(*intake.sources.front()->postgres),
      table_(spec_.url, absl::StrCat("tidemark ", runtime.plan->application.Group(), " ", intake.name), WhatOf(intake),
             &interrupted_, PgUse::kRead),
      stream_(spec_.url, absl::StrCat("tidemark ", runtime.plan->application.Group(), " ", intake.name), WhatOf(intake),
              &interrupted_, PgUse::kReplicate),
      tables_(intake),
      snapshot_(table_, tables_, spec_.slot) {}

std::string PostgresSource::Of(const std::string& position) const { return PostgresPositionsOf(spec_, position); }

absl::Status PostgresSource::Open(const std::string& position, IntakeNotes /*notes*/) { return tables_.Read(position); }

absl::StatusOr<std::optional<IntakeRows>> PostgresSource::Poll(int64_t max_wait_us, int64_t max_bytes) {
  if (interrupted_.load()) return absl::UnavailableError("the worker stops");
  IntakeRows rows;
  moved_ = false;
  absl::Status status;
  if (phase_ == Phase::kConnect) status = Connect();
  if (status.ok() && phase_ == Phase::kMakeSlot) status = Passing(MakeSlot(max_wait_us));
  if (status.ok() && phase_ == Phase::kRead) status = Passing(Read(max_wait_us, max_bytes, &rows));
  if (!status.ok() && !still_making_) Close();
  // What came before an error counts. The next call meets it again, if it is one that stays.
  moved_ = moved_ || !IsEmpty(rows);
  if (!status.ok() && !moved_) return status;
  if (!moved_) return std::nullopt;
  rows.next = tables_.Write();
  return rows;
}

void PostgresSource::Close() {
  if (stream_.server_pid() != 0) former_pid_ = stream_.server_pid();
  table_.Close();
  stream_.Close();
  snapshot_.BreakOff();
  still_making_ = false;
  phase_ = Phase::kConnect;
}

absl::Status PostgresSource::Connect() {
  // A server that is being set up anew may refuse who was let in before.
  const auto let_in = [&](const absl::Status& status) {
    return absl::IsInvalidArgument(status) && connected_once_ ? absl::UnavailableError(status.message()) : status;
  };
  TM_RETURN_IF_ERROR(let_in(table_.Connect()));
  TM_RETURN_IF_ERROR(InspectTables());
  TM_RETURN_IF_ERROR(let_in(stream_.Connect()));
  TM_ASSIGN_OR_RETURN(const uint64_t system, PgSystem(stream_));
  TM_RETURN_IF_ERROR(CheckSystem(system));
  TM_ASSIGN_OR_RETURN(const PgSlot slot, InspectSlot());
  TM_RETURN_IF_ERROR(CheckSlot(slot));
  connected_once_ = true;
  for (PostgresTables::Table& table : tables_.all()) {
    table.rows.position().set_system(system);
    table.rows.position().set_table(table.rows.table().oid);
  }
  if (!slot.exists) {
    waiting_since_us_ = runtime_.clock->MonotonicUs();
    phase_ = Phase::kMakeSlot;
    return Passing(BeginPgSlot(stream_, spec_.slot));
  }
  streams_ = tables_.Begin();
  if (streams_) {
    TM_RETURN_IF_ERROR(Passing(StartStream()));
  } else {
    stream_.Close();
  }
  snapshot_.Begin();
  if (!snapshot_.under_way()) table_.Close();
  phase_ = Phase::kRead;
  return absl::OkStatus();
}

absl::Status PostgresSource::InspectTables() {
  for (PostgresTables::Table& table : tables_.all()) {
    const SourcePlan& source = table.rows.source();
    absl::StatusOr<PgTable> found = InspectPgTable(table_, source);
    if (!found.ok()) return tables_.OfTable(found.status(), table);
    const PostgresPosition& position = table.rows.position();
    if (position.lsn() != 0 && position.table() != found->oid) {
      return absl::FailedPreconditionError(absl::StrCat(
          "table ", source.postgres->schema, ".", source.postgres->table,
          " isn't the one that was read before: it was dropped and made anew, or another was named. To begin with what "
          "it holds now: `tidemark resnapshot ",
          source.name, "`"));
    }
    if (!connected_once_ && !found->unnamed.empty()) {
      LOG(INFO) << "source " << source.name
                << ": columns of the table that the topology doesn't name: " << absl::StrJoin(found->unnamed, ", ");
    }
    table.rows.Begin(*std::move(found));
  }
  return absl::OkStatus();
}

// A server takes a moment to see that the stream was closed.
absl::StatusOr<PgSlot> PostgresSource::InspectSlot() {
  TM_ASSIGN_OR_RETURN(PgSlot slot, InspectPgSlot(table_, spec_.slot));
  for (int look = 0; look < kFormerLooks && slot.active && slot.active_pid == former_pid_; ++look) {
    TM_RETURN_IF_ERROR(table_.Run("SELECT pg_sleep(0.02)").status());
    TM_ASSIGN_OR_RETURN(slot, InspectPgSlot(table_, spec_.slot));
  }
  return slot;
}

absl::Status PostgresSource::Refuse(const std::string& what) const {
  return absl::FailedPreconditionError(absl::StrCat(what, ". Changes behind ", LsnText(tables_.First()),
                                                    " are lost. To begin with what is in the database now, so that "
                                                    "rows which were deleted meanwhile are deleted here too: ",
                                                    tables_.Resnapshot()));
}

absl::Status PostgresSource::CheckSystem(uint64_t system) {
  for (const PostgresTables::Table& table : tables_.all()) {
    const PostgresPosition& position = table.rows.position();
    if (position.lsn() == 0 || position.system() == 0 || position.system() == system) continue;
    return Refuse(absl::StrCat("the url leads to another database system (", system, ") than the one that was read (",
                               position.system(), ")"));
  }
  return absl::OkStatus();
}

absl::Status PostgresSource::CheckSlot(const PgSlot& slot) const {
  const Lsn first = tables_.First();
  if (slot.exists && slot.lost) {
    const std::string lost = absl::StrCat("slot ", spec_.slot,
                                          " is lost, as PostgreSQL kept no more than max_slot_wal_keep_size of its "
                                          "log: SELECT pg_drop_replication_slot('",
                                          spec_.slot, "')");
    return first == 0 ? absl::FailedPreconditionError(lost + ", and it is made anew") : Refuse(lost);
  }
  if (!slot.exists && first != 0) return Refuse(absl::StrCat("slot ", spec_.slot, " is gone"));
  if (slot.exists && first != 0 && slot.confirmed > first) {
    return Refuse(absl::StrCat("slot ", spec_.slot, " is at ", LsnText(slot.confirmed),
                               ", ahead of what was read: somebody else has read from it, or it was made anew"));
  }
  if (slot.exists && slot.confirmed == 0) {
    return absl::UnavailableError(absl::StrCat("slot ", spec_.slot, " is being made by somebody else"));
  }
  if (slot.active) {
    return absl::UnavailableError(absl::StrCat("slot ", spec_.slot, " is active for PID ", slot.active_pid,
                                               " of the database server, a reader that hasn't ended yet"));
  }
  return absl::OkStatus();
}

absl::Status PostgresSource::MakeSlot(int64_t max_wait_us) {
  still_making_ = false;  // where it fails
  TM_ASSIGN_OR_RETURN(const std::optional<NewPgSlot> made, AwaitPgSlot(stream_, max_wait_us));
  if (!made) {
    still_making_ = runtime_.clock->MonotonicUs() - waiting_since_us_ >= kQuietUs;
    if (!still_making_) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("slot ", spec_.slot,
                                               " is being made, for which transactions of the server that were open "
                                               "before have to end: see pg_stat_activity"));
  }
  LOG(INFO) << tables_.name() << ": made slot " << spec_.slot << " at " << LsnText(made->lsn);
  TM_RETURN_IF_ERROR(snapshot_.Begin(made->snapshot, made->lsn));
  stream_.Close();  // what it has exported is ours now
  streams_ = false;
  phase_ = Phase::kRead;
  return absl::OkStatus();
}

absl::Status PostgresSource::Read(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  if (!snapshot_.under_way()) return ReadStream(max_wait_us, max_bytes, rows);
  TM_RETURN_IF_ERROR(streams_ ? ReadBoth(max_wait_us, max_bytes, rows) : StepSnapshot(max_wait_us, max_bytes, rows));
  if (!snapshot_.under_way()) {
    moved_ = true;
    Close();  // and with it the transaction, which has only read; then its tables take part in the log
  }
  return absl::OkStatus();
}

// The log first, which others wait for.
absl::Status PostgresSource::ReadBoth(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  const int64_t log_wait_us = snapshot_.copies() ? 0 : std::min(max_wait_us, kLookEveryUs);
  TM_RETURN_IF_ERROR(ReadStream(log_wait_us, max_bytes / 2, rows));
  const int64_t now = runtime_.clock->MonotonicUs();
  if (!snapshot_.copies() && now - looked_at_us_ < kLookEveryUs) return absl::OkStatus();
  looked_at_us_ = now;
  TM_RETURN_IF_ERROR(snapshot_.Step(IsEmpty(*rows) ? std::min(max_wait_us, kRowsWaitUs) : 0, max_bytes / 2, rows));
  if (snapshot_.under_way() && !snapshot_.copies()) {
    LOG_EVERY_T(INFO, 10) << tables_.name() << ": " << snapshot_.waits_for();
  }
  return absl::OkStatus();
}

absl::Status PostgresSource::StepSnapshot(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  TM_RETURN_IF_ERROR(snapshot_.Step(max_wait_us, max_bytes, rows));
  if (!snapshot_.under_way() || snapshot_.copies()) return absl::OkStatus();
  return absl::UnavailableError(snapshot_.waits_for());
}

absl::Status PostgresSource::StartStream() {
  TM_RETURN_IF_ERROR(StartPgStream(stream_, spec_, tables_.First()));
  sent_ = 0;
  asked_ = false;
  moved_at_us_ = told_at_us_ = runtime_.clock->MonotonicUs();
  return absl::OkStatus();
}

absl::Status PostgresSource::ReadStream(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  absl::Status status = Answer(/*at_once=*/false);
  bool more = true;
  for (int64_t bytes = 0; status.ok() && more && bytes < max_bytes;) {
    const bool empty = IsEmpty(*rows);
    const absl::StatusOr<PgConnection::CopyRead> read = stream_.ReadCopy(empty && bytes == 0 ? max_wait_us : 0);
    if (!read.ok()) {
      status = read.status();
    } else if (read->what == PgConnection::CopyRead::What::kNothing) {
      more = false;
    } else if (read->what == PgConnection::CopyRead::What::kEnd) {
      status = absl::UnavailableError("the database server has ended the replication");
    } else {
      const size_t records = rows->records.size(), letters = rows->letters.size();
      status = TakeFrame(read->data, rows);
      bytes += static_cast<int64_t>(read->data.size()) + BytesOf(*rows, records, letters);
    }
  }
  const int64_t now = runtime_.clock->MonotonicUs();
  moved_ = !IsEmpty(*rows);
  const bool quiet = now - moved_at_us_ >= (asked_ ? kAskedUs : kQuietUs);
  if (!moved_ && status.ok() && (quiet || runtime_.control->until_end)) {
    tables_.MoveTo(sent_);
    // Also where nothing moves: so that who was fenced, as a new snapshot is asked for (resnapshot.h), finds out.
    moved_ = quiet || tables_.First() > committed_;
    moved_at_us_ = now;
    asked_ = false;
  }
  if (moved_) moved_at_us_ = now;
  return status;
}

absl::Status PostgresSource::TakeFrame(std::string_view bytes, IntakeRows* rows) {
  TM_ASSIGN_OR_RETURN(const pgoutput::Frame frame, pgoutput::ReadFrame(bytes));
  if (frame.kind == pgoutput::Frame::Kind::kKeepalive) {
    sent_ = std::max(sent_, frame.lsn);
    asked_ = asked_ || frame.wants_answer;
    return frame.wants_answer ? Answer(/*at_once=*/true) : absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(const pgoutput::Message message, pgoutput::ReadMessage(frame.data));
  return tables_.Take(message, frame.lsn, rows);
}

absl::Status PostgresSource::Answer(bool at_once) {
  const int64_t now = runtime_.clock->MonotonicUs();
  const int64_t since = now - told_at_us_;
  if (!at_once && since < (committed_ > told_ ? kConfirmEveryUs : kAnswerEveryUs)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(stream_.WriteCopy(pgoutput::StatusUpdate(committed_, WallUs())));
  told_ = committed_;
  told_at_us_ = now;
  return absl::OkStatus();
}

// The first position that is told of a database is behind no place that any table has yet to be read from.
absl::Status PostgresSource::Committed(const std::string& position) {
  PostgresPosition at;
  if (ReadPostgresPosition(position, &at) && (at.snapshot_done() || at.tables_size() > 0)) committed_ = at.lsn();
  return absl::OkStatus();
}

SplitIntake::SourceMaker PostgresSourceMaker(const Runtime& runtime, const IntakePlan& intake) {
  return [&runtime, intake](int32_t) { return std::make_unique<PostgresSource>(runtime, intake); };
}

}  // namespace tidemark
