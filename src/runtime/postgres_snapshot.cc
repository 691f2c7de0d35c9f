#include "src/runtime/postgres_snapshot.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

// What a row takes in memory beside its value.
constexpr int64_t kRowBytes = 200;

}  // namespace

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

void PostgresSnapshot::Begin() {
  left_.clear();
  bool placed = true;
  for (Table& table : tables_.all()) {
    if (table.is_read()) continue;
    left_.push_back(&table);
    placed = placed && table.lsn() != 0;
  }
  std::reverse(left_.begin(), left_.end());
  // `older_` was noted behind every place, or isn't noted. What was noted of a table that was published then may not
  // hold of one that is so now.
  phase_ = left_.empty() ? Phase::kNone : placed ? Phase::kOlder : Phase::kPublished;
  published_ = 0;
}

absl::Status PostgresSnapshot::Begin(const std::string& exported, Lsn lsn) {
  Begin();
  for (Table* table : left_) table->rows.position().set_lsn(lsn);
  return Start(exported, lsn);
}

absl::Status PostgresSnapshot::Step(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  if (phase_ == Phase::kPublished) {
    TM_ASSIGN_OR_RETURN(const bool ended, PgHaveEnded(connection_, &published_));
    if (!ended) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const Lsn end, PgLogEnd(connection_));
    for (Table* table : left_) {
      if (table->lsn() == 0) table->rows.position().set_lsn(end);
    }
    older_ = 0;
    phase_ = Phase::kOlder;
  }
  if (phase_ == Phase::kOlder) {
    TM_ASSIGN_OR_RETURN(const bool ended, PgHaveEnded(connection_, &older_));
    if (!ended) return absl::OkStatus();
    TM_RETURN_IF_ERROR(Start("", 0));
  }
  return phase_ == Phase::kCopy ? Read(max_wait_us, max_bytes, rows) : absl::OkStatus();
}

std::string PostgresSnapshot::waits_for() const {
  return absl::StrCat("a snapshot behind slot ", slot_,
                      " begins when all transactions of the server that were open before, those below ",
                      phase_ == Phase::kPublished ? published_ : older_,
                      ", have ended: see pg_stat_activity and pg_prepared_xacts");
}

absl::Status PostgresSnapshot::Start(const std::string& exported, Lsn lsn) {
  std::vector<PgCopied> copied;
  for (const Table* table : left_) copied.push_back({&*table->rows.source().postgres, &table->rows.table()});
  TM_ASSIGN_OR_RETURN(snapshot_, BeginPgSnapshot(connection_, copied, exported));
  if (lsn != 0) snapshot_.lsn = lsn;
  for (Table* table : left_) table->rows.position().set_snapshot_lsn(snapshot_.lsn);
  phase_ = Phase::kCopy;
  return StartCopy();
}

absl::Status PostgresSnapshot::StartCopy() {
  const Table& table = *left_.back();
  const PostgresTableSpec& spec = *table.rows.source().postgres;
  LOG(INFO) << "source " << table.rows.source().name << ": snapshot of " << spec.schema << "." << spec.table << " at "
            << LsnText(snapshot_.lsn);
  return CopyPgTable(connection_, {&spec, &table.rows.table()});
}

absl::Status PostgresSnapshot::Read(int64_t max_wait_us, int64_t max_bytes, IntakeRows* rows) {
  for (int64_t bytes = 0; bytes < max_bytes;) {
    TM_ASSIGN_OR_RETURN(const PgConnection::CopyRead read, connection_.ReadCopy(bytes == 0 ? max_wait_us : 0));
    if (read.what == PgConnection::CopyRead::What::kNothing) break;
    Table& table = *left_.back();
    if (read.what == PgConnection::CopyRead::What::kEnd) {
      table.rows.EndSnapshot(snapshot_.lsn, snapshot_.time_us, rows);
      left_.pop_back();
      if (!left_.empty()) return StartCopy();
      phase_ = Phase::kNone;
      break;
    }
    const size_t records = rows->records.size(), letters = rows->letters.size();
    TM_RETURN_IF_ERROR(pgoutput::ReadCopyRow(read.data, &scratch_, &row_));
    table.rows.Row(row_, snapshot_.lsn, snapshot_.time_us, rows);
    bytes += BytesOf(*rows, records, letters);
  }
  return absl::OkStatus();
}

void PostgresSnapshot::BreakOff() { phase_ = Phase::kNone; }

}  // namespace tidemark
