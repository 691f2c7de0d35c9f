#include "src/runtime/postgres_source.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/postgres/replication.h"

namespace tidemark {
namespace {

using packed::PostgresPosition;

// A quiet table's position moves so often; where the server asks, as it does before it stops, sooner.
constexpr int64_t kQuietUs = 10 * kSecond;
constexpr int64_t kAskedUs = kSecond / 2;
// The server ends a connection that is silent for wal_sender_timeout, a minute unless it is set.
constexpr int64_t kAnswerEveryUs = 5 * kSecond;
constexpr int64_t kConfirmEveryUs = kSecond / 2;
// What a row takes in memory beside its value.
constexpr int64_t kRowBytes = 200;

int64_t WallUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Of the records and letters behind so many.
int64_t BytesOf(const IntakeRows& rows, size_t records, size_t letters) {
  int64_t bytes = 0;
  for (size_t i = records; i < rows.records.size(); ++i) {
    bytes += kRowBytes + static_cast<int64_t>(rows.records[i].value.size());
  }
  for (size_t i = letters; i < rows.letters.size(); ++i) {
    bytes += kRowBytes + static_cast<int64_t>(rows.letters[i].value.size());
  }
  return bytes;
}

bool IsEmpty(const IntakeRows& rows) { return rows.records.empty() && rows.letters.empty(); }

// What a statement was refused for is looked at when the catalogs are asked again, which say what to do.
absl::Status Passing(const absl::Status& status) {
  const bool refused = absl::IsInvalidArgument(status) || absl::IsOutOfRange(status);
  return refused ? absl::UnavailableError(status.message()) : status;
}

}  // namespace

PostgresSource::PostgresSource(const Runtime& runtime, const SourcePlan& plan)
    : runtime_(runtime),
      plan_(plan),
      spec_(*plan.postgres),
      table_(spec_.url, absl::StrCat("tidemark ", runtime.plan->application.Group(), " ", plan.name),
             absl::StrCat("table ", spec_.schema, ".", spec_.table), &interrupted_, PgUse::kRead),
      stream_(spec_.url, absl::StrCat("tidemark ", runtime.plan->application.Group(), " ", plan.name),
              absl::StrCat("table ", spec_.schema, ".", spec_.table), &interrupted_, PgUse::kReplicate),
      rows_(plan) {}

std::string PostgresSource::Of() const { return absl::StrCat("a table's changes by replication slot ", spec_.slot); }

absl::Status PostgresSource::Open(const std::string& position, IntakeNotes /*notes*/) {
  if (!rows_.position().ParseFromString(position)) {
    return absl::FailedPreconditionError("a strange position in a table's changes");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IntakeRows>> PostgresSource::Poll(int64_t max_wait_us, int64_t max_bytes) {
  if (interrupted_.load()) return absl::UnavailableError("the worker stops");
  IntakeRows rows;
  moved_ = false;
  absl::Status status;
  if (phase_ == Phase::kConnect) status = Connect();
  if (status.ok() && phase_ == Phase::kMakeSlot) status = Passing(MakeSlot(max_wait_us));
  if (status.ok() && phase_ == Phase::kSnapshot) {
    status = Passing(ReadSnapshot(max_wait_us, max_bytes, &rows));
  } else if (status.ok() && phase_ == Phase::kStream) {
    status = Passing(ReadStream(max_wait_us, max_bytes, &rows));
  }
  if (!status.ok() && !still_making_) Close();
  // What came before an error counts. The next call meets it again, if it is one that stays.
  if (!status.ok() && !moved_) return status;
  if (!moved_) return std::nullopt;
  rows.next = rows_.position().SerializeAsString();
  return rows;
}

void PostgresSource::Close() {
  table_.Close();
  stream_.Close();
  still_making_ = false;
  phase_ = Phase::kConnect;
}

absl::Status PostgresSource::Connect() {
  // A server that is being set up anew may refuse who was let in before.
  const auto let_in = [&](const absl::Status& status) {
    return absl::IsInvalidArgument(status) && connected_once_ ? absl::UnavailableError(status.message()) : status;
  };
  TM_RETURN_IF_ERROR(let_in(table_.Connect()));
  TM_ASSIGN_OR_RETURN(PgTable table, InspectPgTable(table_, plan_));
  TM_RETURN_IF_ERROR(let_in(stream_.Connect()));
  TM_ASSIGN_OR_RETURN(const PgSlot slot, InspectPgSlot(table_, spec_.slot));
  TM_ASSIGN_OR_RETURN(const uint64_t system, PgSystem(stream_));
  PostgresPosition& position = rows_.position();
  if (position.table() != 0 && position.table() != table.oid) {
    return absl::FailedPreconditionError(absl::StrCat(
        "table ", spec_.schema, ".", spec_.table,
        " isn't the one that was read before: it was dropped and made anew, or another was named. Give the "
        "topology a new name and the source a new slot, to begin with what it holds now"));
  }
  TM_RETURN_IF_ERROR(CheckSlot(slot, system));
  if (!std::exchange(connected_once_, true) && !table.unnamed.empty()) {
    LOG(INFO) << "source " << plan_.name
              << ": columns of the table that the topology doesn't name: " << absl::StrJoin(table.unnamed, ", ");
  }
  position.set_system(system);
  position.set_table(table.oid);
  rows_.Begin(std::move(table));
  if (!slot.exists) {
    waiting_since_us_ = runtime_.clock->MonotonicUs();
    phase_ = Phase::kMakeSlot;
    return Passing(BeginPgSlot(stream_, spec_.slot));
  }
  if (position.lsn() == 0) position.set_lsn(slot.confirmed);
  if (position.snapshot_done()) return Passing(StartStream());
  TM_RETURN_IF_ERROR(Passing(AwaitOlder()));
  return Passing(StartSnapshot(""));
}

absl::Status PostgresSource::AwaitOlder() {
  TM_ASSIGN_OR_RETURN(const bool ended, PgHaveEnded(table_, &behind_slot_));
  if (ended) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("a snapshot behind slot ", spec_.slot,
                                             " begins when all transactions of the server that were open before, "
                                             "those below ",
                                             behind_slot_, ", have ended: see pg_stat_activity and pg_prepared_xacts"));
}

absl::Status PostgresSource::CheckSlot(const PgSlot& slot, uint64_t system) {
  const PostgresPosition& position = rows_.position();
  const auto refuse = [&](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat(what, ". Changes behind ", LsnText(position.lsn()),
                                                      " are lost, and a new snapshot wouldn't tell of rows that were ",
                                                      "deleted since (`resnapshot` isn't implemented): give the "
                                                      "topology a new name and the source a new slot, to begin ",
                                                      "with what the table holds now"));
  };
  if (position.lsn() != 0 && position.system() != 0 && position.system() != system) {
    return refuse(absl::StrCat("the url leads to another database system (", system, ") than the one that was read (",
                               position.system(), ")"));
  }
  if (slot.exists && slot.lost) {
    return refuse(absl::StrCat("slot ", spec_.slot,
                               " is lost, as PostgreSQL kept no more than max_slot_wal_keep_size of its log"));
  }
  if (!slot.exists && position.lsn() != 0) return refuse(absl::StrCat("slot ", spec_.slot, " is gone"));
  if (slot.exists && position.lsn() != 0 && slot.confirmed > position.lsn()) {
    return refuse(absl::StrCat("slot ", spec_.slot, " is at ", LsnText(slot.confirmed),
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
  LOG(INFO) << "source " << plan_.name << ": made slot " << spec_.slot << " at " << LsnText(made->lsn);
  rows_.position().set_lsn(made->lsn);
  return StartSnapshot(made->snapshot);
}

// With nothing exported, of the table as it is now.
absl::Status PostgresSource::StartSnapshot(const std::string& exported) {
  TM_ASSIGN_OR_RETURN(snapshot_, BeginPgSnapshot(table_, spec_, rows_.table(), exported));
  if (!exported.empty()) snapshot_.lsn = rows_.position().lsn();
  stream_.Close();  // what it has exported is ours now
  TM_RETURN_IF_ERROR(CopyPgTable(table_, spec_, rows_.table()));
  LOG(INFO) << "source " << plan_.name << ": snapshot of " << spec_.schema << "." << spec_.table << " at "
            << LsnText(snapshot_.lsn);
  rows_.position().set_snapshot_lsn(snapshot_.lsn);
  phase_ = Phase::kSnapshot;
  return absl::OkStatus();
}

absl::Status PostgresSource::ReadSnapshot(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  absl::Status status;
  for (int64_t bytes = 0; bytes < max_bytes;) {
    const absl::StatusOr<PgConnection::CopyRead> read = table_.ReadCopy(IsEmpty(*rows) ? max_wait_us : 0);
    status = read.status();
    if (!status.ok() || read->what == PgConnection::CopyRead::What::kNothing) break;
    if (read->what == PgConnection::CopyRead::What::kEnd) {
      rows_.position().set_snapshot_done(true);
      ++rows->counts["snapshots"];
      moved_ = true;
      Close();  // and with it the transaction, which has only read
      break;
    }
    const size_t records = rows->records.size(), letters = rows->letters.size();
    status = pgoutput::ReadCopyRow(read->data, &scratch_, &row_);
    if (!status.ok()) break;
    rows_.Row(row_, snapshot_.lsn, snapshot_.time_us, rows);
    bytes += BytesOf(*rows, records, letters);
  }
  moved_ = moved_ || !IsEmpty(*rows);
  return status;
}

absl::Status PostgresSource::StartStream() {
  table_.Close();
  TM_RETURN_IF_ERROR(StartPgStream(stream_, spec_, rows_.position().lsn()));
  sent_ = 0;
  asked_ = false;
  moved_at_us_ = told_at_us_ = runtime_.clock->MonotonicUs();
  phase_ = Phase::kStream;
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
  if (!moved_ && status.ok() && (now - moved_at_us_ >= (asked_ ? kAskedUs : kQuietUs) || runtime_.control->until_end)) {
    if (rows_.CanMoveTo(sent_)) rows_.position().set_lsn(sent_);
    moved_ = rows_.position().lsn() > committed_;
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
  return rows_.Take(message, frame.lsn, rows);
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

absl::Status PostgresSource::Committed(const std::string& position) {
  PostgresPosition at;
  if (at.ParseFromString(position) && at.snapshot_done()) committed_ = at.lsn();
  return absl::OkStatus();
}

SplitIntake::SourceMaker PostgresSourceMaker(const Runtime& runtime, const SourcePlan& plan) {
  return [&runtime, &plan](int32_t) { return std::make_unique<PostgresSource>(runtime, plan); };
}

}  // namespace tidemark
