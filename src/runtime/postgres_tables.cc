#include "src/runtime/postgres_tables.h"

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {

using packed::PostgresPosition;

PostgresTables::PostgresTables(const IntakePlan& intake)
    : name_(intake.name), shared_(intake.sources.front()->postgres->shares_slot) {
  for (size_t s = 0; s < intake.sources.size(); ++s) tables_.emplace_back(*intake.sources[s], s);
}

// As it was when a slot had one table.
std::string PostgresPositionsOf(const PostgresTableSpec& spec, const std::string& position) {
  PostgresPosition all;
  bool anew = ReadPostgresPosition(position, &all) && all.resnapshot() > 0;
  for (const auto& [source, each] : all.tables()) anew = anew || each.resnapshot() > 0;
  return absl::StrCat("a table's changes by replication slot ", spec.slot,
                      anew ? ", taken anew by `tidemark resnapshot`, which needs a version that knows of it" : "");
}

bool ReadPostgresPosition(const std::string& text, PostgresPosition* position) {
  return position->ParseFromString(text);
}

// The position of a table that was read alone is that of the intake.
absl::Status PostgresTables::Read(const std::string& position) {
  PostgresPosition all;
  if (!ReadPostgresPosition(position, &all)) {
    return absl::FailedPreconditionError("a strange position in tables' changes");
  }
  if (!position.empty() && all.tables().empty()) {
    PostgresPosition alone;
    alone.Swap(&all);
    (*all.mutable_tables())[name_] = std::move(alone);
  }
  std::set<std::string> gone;
  for (const auto& [source, each] : all.tables()) gone.insert(source);
  for (Table& table : tables_) {
    const std::string& source = table.rows.source().name;
    gone.erase(source);
    const auto found = all.tables().find(source);
    table.rows.position() = found == all.tables().end() ? PostgresPosition() : found->second;
  }
  for (const std::string& source : gone) {
    LOG(INFO) << "slot " << name_ << ": how far the table of source " << source << " was read is forgotten";
  }
  return absl::OkStatus();
}

std::string PostgresTables::Write() const {
  if (tables_.size() == 1 && tables_.front().rows.source().name == name_) {
    return tables_.front().rows.position().SerializeAsString();
  }
  PostgresPosition all;
  all.set_lsn(First());
  all.set_snapshot_done(all_are_read());
  for (const Table& table : tables_) (*all.mutable_tables())[table.rows.source().name] = table.rows.position();
  return all.SerializeAsString();
}

bool PostgresTables::Begin() {
  bool any = false;
  for (Table& table : tables_) any = (table.streams = table.is_read()) || any;
  return any;
}

Lsn PostgresTables::First() const {
  Lsn first = 0;
  for (const Table& table : tables_) {
    if (table.lsn() != 0 && (first == 0 || table.lsn() < first)) first = table.lsn();
  }
  return first;
}

bool PostgresTables::all_are_read() const {
  return std::all_of(tables_.begin(), tables_.end(), [](const Table& table) { return table.is_read(); });
}

absl::Status PostgresTables::Take(const pgoutput::Message& message, Lsn lsn, IntakeRows* rows) {
  const auto* change = std::get_if<pgoutput::Change>(&message);
  for (Table& table : tables_) {
    if (!table.streams || (change != nullptr && change->relation != table.rows.table().oid)) continue;
    const absl::Status taken = table.rows.Take(message, lsn, rows);
    if (!taken.ok()) return OfTable(taken, table);
  }
  return absl::OkStatus();
}

void PostgresTables::MoveTo(Lsn lsn) {
  for (Table& table : tables_) {
    if (table.streams && table.rows.CanMoveTo(lsn)) table.rows.position().set_lsn(lsn);
  }
}

std::string PostgresTables::Resnapshot() const {
  std::string words = "`tidemark resnapshot";
  for (const Table& table : tables_) absl::StrAppend(&words, " ", table.rows.source().name);
  return words + "`";
}

absl::Status PostgresTables::OfTable(const absl::Status& status, const Table& table) const {
  return shared_ ? Annotate(status, absl::StrCat("source ", table.rows.source().name)) : status;
}

}  // namespace tidemark
