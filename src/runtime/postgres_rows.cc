#include "src/runtime/postgres_rows.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/intake_names.h"
#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/murmur2.h"

namespace tidemark {
namespace {

using pgoutput::Cell;
using pgoutput::Change;
using pgoutput::Tuple;

// Of the format, for a value that has been left out; as bytes in base64.
constexpr char kUnavailable[] = "__debezium_unavailable_value";

bool IsNumber(std::string_view text) {
  return !text.empty() && ((text.back() >= '0' && text.back() <= '9') || text.back() == '.');
}

bool IsHex(std::string_view text) {
  return text.size() >= 2 && text.size() % 2 == 0 && text.substr(0, 2) == "\\x" &&
         std::all_of(text.begin() + 2, text.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<uint8_t>(c)); });
}

// 2026-01-31 12:34:56.5+00 -> 2026-01-31T12:34:56.5Z. What isn't a time of our calendar stays as it is.
std::string Rfc3339(std::string_view text) {
  std::string out(text);
  const size_t space = out.find(' ');
  if (space == std::string::npos || absl::EndsWith(out, " BC")) return out;
  out[space] = 'T';
  if (absl::EndsWith(out, "+00")) out.resize(out.size() - 3);
  out.push_back('Z');
  return out;
}

std::string InJson(std::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

}  // namespace

void PostgresRows::Begin(PgTable table) {
  table_ = std::move(table);
  transaction_.reset();
  known_ = false;
  changed_.clear();
  // A snapshot's rows have the columns that it asks for.
  places_.clear();
  names_.clear();
  for (size_t c = 0; c < table_.columns.size(); ++c) {
    places_.emplace_back(c);
    names_.push_back(absl::StrCat(InJson(table_.columns[c].name), ":"));
  }
  width_ = table_.columns.size();
  where_ = absl::StrCat(",\"db\":", InJson(table_.database), ",\"schema\":", InJson(source_.postgres->schema),
                        ",\"table\":", InJson(source_.postgres->table), "}");
}

void PostgresRows::Row(const Tuple& row, Lsn lsn, int64_t time_us, IntakeRows* rows) {
  ++rows->counts[target_]["snapshot_rows"];
  Emit('r', row, {lsn, time_us, 0, /*snapshot=*/true, false}, rows);
}

absl::Status PostgresRows::Take(const pgoutput::Message& message, Lsn lsn, IntakeRows* rows) {
  if (const auto* begin = std::get_if<pgoutput::Begin>(&message)) return TakeBegin(*begin);
  if (const auto* commit = std::get_if<pgoutput::Commit>(&message)) return TakeCommit(*commit, lsn, rows);
  if (const auto* relation = std::get_if<pgoutput::Relation>(&message)) return TakeRelation(*relation);
  if (const auto* change = std::get_if<Change>(&message)) {
    return change->relation == table_.oid ? TakeChange(*change, lsn, rows) : absl::OkStatus();
  }
  if (const auto* truncate = std::get_if<pgoutput::Truncate>(&message)) {
    const auto& emptied = truncate->relations;
    const bool ours = std::find(emptied.begin(), emptied.end(), table_.oid) != emptied.end();
    return ours ? TakeTruncate(lsn, rows) : absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status PostgresRows::TakeBegin(const pgoutput::Begin& begin) {
  if (transaction_) return absl::DataLossError("the replication stream begins a transaction within another");
  if (position_.commit_lsn() != 0 && begin.commit_lsn > position_.commit_lsn()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the transaction that was committed at ", LsnText(position_.commit_lsn()),
                     " is in by half, and the log goes on ", "behind it, at ", LsnText(begin.commit_lsn),
                     ": is it another server's log, or was the publication changed?"));
  }
  transaction_ = begin;
  seen_ = 0;
  return absl::OkStatus();
}

absl::Status PostgresRows::TakeCommit(const pgoutput::Commit& commit, Lsn lsn, IntakeRows* rows) {
  if (!transaction_) return absl::DataLossError("the replication stream commits a transaction that it didn't begin");
  const bool is_new = transaction_->commit_lsn >= position_.lsn();
  if (position_.commit_lsn() == transaction_->commit_lsn) {
    if (seen_ < position_.changes()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "of the transaction that was committed at ", LsnText(position_.commit_lsn()), " ", position_.changes(),
          " changes are in, and now it has ", seen_, ": was the publication changed?"));
    }
    position_.set_commit_lsn(0);
    position_.set_changes(0);
    position_.set_change_lsn(0);
  }
  if (whole_transactions_ && is_new && seen_ > 0) EndTransaction(lsn, rows);
  position_.set_lsn(std::max<Lsn>(position_.lsn(), commit.end_lsn));
  transaction_.reset();
  return absl::OkStatus();
}

absl::Status PostgresRows::TakeRelation(const pgoutput::Relation& relation) {
  if (relation.id != table_.oid) {
    if (relation.schema != source_.postgres->schema || relation.name != source_.postgres->table)
      return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("table ", relation.schema, ".", relation.name,
                                                      " was dropped and made anew, and what became of its rows isn't "
                                                      "in the log. To begin with what the table holds now: `tidemark "
                                                      "resnapshot ",
                                                      source_.name, "`"));
  }
  identity_ = CheckIdentity(relation);
  known_ = true;
  changed_.clear();
  places_.assign(table_.columns.size(), std::nullopt);
  width_ = relation.columns.size();
  for (size_t c = 0; c < table_.columns.size(); ++c) {
    const PgColumn& column = table_.columns[c];
    const auto found = std::find_if(relation.columns.begin(), relation.columns.end(),
                                    [&](const auto& there) { return there.name == column.name; });
    if (found == relation.columns.end()) {
      changed_ = absl::StrCat("the table has changed: it has no column ", column.name);
      continue;
    }
    places_[c] = static_cast<size_t>(found - relation.columns.begin());
    if (found->type == column.type) continue;
    // All kinds that fit a column are written in its one form: integers of any width, decimals, and so on.
    const PgKind kind = PgKindOf(found->type);
    if (kind == column.kind || PgKindFits(kind, column.column.type)) continue;
    changed_ = absl::StrCat("the table has changed: column ", column.name, " is of another type");
  }
  if (!changed_.empty()) LOG(WARNING) << "source " << source_.name << ": " << changed_ << "; its rows are dead letters";
  return absl::OkStatus();
}

// Of a change of another identity nobody knows which row it was: a deletion would name none, or another.
absl::Status PostgresRows::CheckIdentity(const pgoutput::Relation& relation) const {
  if (relation.identity == 'f') return absl::OkStatus();
  std::set<std::string> identity, key;
  for (const auto& column : relation.columns) {
    if (column.identity) identity.insert(column.name);
  }
  for (const PgColumn& column : table_.columns) {
    if (column.key) key.insert(column.name);
  }
  if (identity == key) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the log names rows of ", relation.schema, ".", relation.name, " by (", absl::StrJoin(identity, ", "),
      "), its replica identity at that time, and the source's `key` is (", absl::StrJoin(key, ", "),
      "), so it isn't known which rows were changed: put the replica identity right (REPLICA IDENTITY "
      "FULL goes with every key), and begin with what the table holds now: `tidemark resnapshot ",
      source_.name, "`"));
}

absl::StatusOr<bool> PostgresRows::IsNew(Lsn lsn) {
  if (!transaction_) return absl::DataLossError("the replication stream has a change outside of a transaction");
  ++seen_;
  if (transaction_->commit_lsn < position_.lsn()) return false;
  if (position_.commit_lsn() == 0) return true;
  if (transaction_->commit_lsn < position_.commit_lsn() ||
      (seen_ == position_.changes() && lsn != position_.change_lsn())) {
    return absl::FailedPreconditionError(absl::StrCat("of the transaction that was committed at ",
                                                      LsnText(position_.commit_lsn()), " ", position_.changes(),
                                                      " changes are in, and the log tells other ones now: is it "
                                                      "another server's log, or was the publication changed?"));
  }
  return seen_ > position_.changes();
}

void PostgresRows::Taken(Lsn lsn) {
  position_.set_commit_lsn(transaction_->commit_lsn);
  position_.set_changes(seen_);
  position_.set_change_lsn(lsn);
}

absl::Status PostgresRows::TakeTruncate(Lsn lsn, IntakeRows* rows) {
  TM_ASSIGN_OR_RETURN(const bool is_new, IsNew(lsn));
  if (!is_new) return absl::OkStatus();
  if (source_.postgres->stop_on_truncate) {
    return absl::FailedPreconditionError(
        absl::StrCat("the table was emptied (TRUNCATE) at ", LsnText(lsn),
                     ", by the transaction that was committed at ", LsnText(transaction_->commit_lsn),
                     ". Its rows stand here as they were. State `on_truncate: dead_letter`, which passes it over and "
                     "leaves them; or begin with what the table holds now: `tidemark resnapshot ",
                     source_.name, "`"));
  }
  Taken(lsn);
  ++rows->counts[target_]["truncates_passed_over"];
  rows->letters.push_back({"",
                           "the table was emptied (TRUNCATE), and its rows stand here as they were (on_truncate: "
                           "dead_letter)",
                           {{kIntakeLsnHeader, LsnText(lsn)}},
                           target_});
  return absl::OkStatus();
}

absl::Status PostgresRows::TakeChange(const Change& change, Lsn lsn, IntakeRows* rows) {
  if (!known_) return absl::DataLossError("the replication stream has a change of a table that it hasn't described");
  for (const Tuple* tuple : {&change.old_row, &change.new_row}) {
    if (tuple->empty() || tuple->size() == width_) continue;
    return absl::DataLossError(
        absl::StrCat("the replication stream has a row of ", tuple->size(), " columns, the table has ", width_));
  }
  TM_ASSIGN_OR_RETURN(const bool is_new, IsNew(lsn));
  if (!is_new) return absl::OkStatus();
  if (change.kind != Change::Kind::kInsert) TM_RETURN_IF_ERROR(identity_);  // who adds a row says all of it
  Origin origin{lsn, transaction_->committed_us, transaction_->xid, false, false};
  origin.overtaken = transaction_->commit_lsn < position_.snapshot_lsn();
  if (change.kind == Change::Kind::kDelete) {
    if (change.old_row.empty()) return absl::DataLossError("the replication stream has a deletion of no row");
    ++rows->counts[target_]["deletes"];
    Emit('d', change.old_row, origin, rows);
    Taken(lsn);
    return absl::OkStatus();
  }
  const Tuple* row = &change.new_row;
  if (change.old_kind != 0) {
    // Of the columns that the row before has: all, or those of the key.
    filled_ = change.new_row;
    for (size_t c = 0; c < table_.columns.size(); ++c) {
      if (!places_[c] || (change.old_kind == 'K' && !table_.columns[c].key)) continue;
      if (filled_[*places_[c]].kind == Cell::Kind::kUnchanged) filled_[*places_[c]] = change.old_row[*places_[c]];
    }
    row = &filled_;
  }
  if (change.kind == Change::Kind::kInsert) {
    ++rows->counts[target_]["inserts"];
    Emit('c', *row, origin, rows);
  } else if (change.old_kind != 0 && !SameKey(change.old_row, *row)) {
    ++rows->counts[target_]["key_changes"];
    Emit('d', change.old_row, origin, rows);
    Emit('c', *row, origin, rows);
  } else {
    ++rows->counts[target_]["updates"];
    Emit('u', *row, origin, rows);
  }
  Taken(lsn);
  return absl::OkStatus();
}

const Cell& PostgresRows::CellOf(const Tuple& row, size_t column) const {
  static const Cell null;
  return places_[column] && *places_[column] < row.size() ? row[*places_[column]] : null;
}

bool PostgresRows::SameKey(const Tuple& a, const Tuple& b) const {
  for (size_t c = 0; c < table_.columns.size(); ++c) {
    if (!table_.columns[c].key) continue;
    const Cell &left = CellOf(a, c), &right = CellOf(b, c);
    if (left.kind != right.kind || left.text != right.text) return false;
  }
  return true;
}

std::string PostgresRows::Key(const Tuple& row) const {
  std::string key = "{";
  for (const size_t k : source_.key) {
    for (size_t c = 0; c < table_.columns.size(); ++c) {
      const PgColumn& column = table_.columns[c];
      if (column.position != k) continue;
      if (key.size() > 1) key.push_back(',');
      key.append(names_[c]);
      (void)AppendValue(column, CellOf(row, c), &key);
    }
  }
  key.push_back('}');
  return key;
}

std::optional<std::string> PostgresRows::AppendValue(const PgColumn& column, const Cell& cell, std::string* out) const {
  if (cell.kind == Cell::Kind::kNull) {
    out->append("null");
    return std::nullopt;
  }
  if (cell.kind == Cell::Kind::kUnchanged) {
    absl::StrAppend(out, "\"", kUnavailable, "\"");
    return std::nullopt;
  }
  const std::string_view text = cell.text;
  switch (column.column.type.kind) {
    case Kind::kBool:
      out->append(text == "t" ? "true" : "false");
      return std::nullopt;
    case Kind::kInt32:
    case Kind::kInt64:
    case Kind::kDouble:
      if (IsNumber(text)) {
        out->append(text);
      } else {
        AppendJsonString(text, out);  // NaN, Infinity: refused with its name where it is read
      }
      return std::nullopt;
    case Kind::kTimestamp:
      AppendJsonString(Rfc3339(text), out);
      return std::nullopt;
    case Kind::kBytes: {
      if (!IsHex(text))
        return absl::StrCat("column ", column.column.name, ": expected bytes as \\x and hexadecimal digits");
      const std::string bytes = absl::HexStringToBytes(absl::string_view(text.data() + 2, text.size() - 2));
      AppendJsonString(absl::Base64Escape(bytes), out);
      if (bytes != kUnavailable) return std::nullopt;
      break;
    }
    default:
      AppendJsonString(text, out);
      if (text != kUnavailable) return std::nullopt;
  }
  return absl::StrCat("column ", column.column.name, " holds the very value that stands for one that hasn't changed");
}

std::string PostgresRows::Head(char op, const Origin& origin) const {
  std::string json;
  json.reserve(256);
  absl::StrAppend(&json, "{\"op\":\"", absl::string_view(&op, 1), "\",\"source\":{\"lsn\":", origin.lsn,
                  ",\"ts_us\":", origin.committed_us, ",\"ts_ms\":", origin.committed_us / 1000);
  if (origin.xid != 0) absl::StrAppend(&json, ",\"txId\":", origin.xid);
  absl::StrAppend(&json, ",\"snapshot\":", origin.snapshot ? "true" : "false",
                  origin.overtaken ? ",\"overtaken\":true" : "");
  if (position_.resnapshot() > 0) absl::StrAppend(&json, ",\"resnapshot\":", position_.resnapshot());
  json.append(where_);
  return json;
}

// In the one partition there is.
void PostgresRows::EndTransaction(Lsn lsn, IntakeRows* rows) {
  std::string json = Head('m', {lsn, transaction_->committed_us, transaction_->xid, false, false});
  json.insert(json.size() - 1, ",\"ends_transaction\":true");
  json.push_back('}');
  rows->records.push_back(
      {0, "{\"tidemark.transaction\":0}", std::move(json), {}, target_, /*is_row=*/false, kIntakeForm});
}

// A record lies where its key says, so each mark has one that lies in its partition.
void PostgresRows::EndSnapshot(Lsn lsn, int64_t time_us, IntakeRows* rows) {
  position_.set_snapshot_done(true);
  ++rows->counts[target_]["snapshots"];
  if (position_.resnapshot() == 0) return;
  const std::string json = Head('m', {lsn, time_us, 0, /*snapshot=*/true, false}) + "}";
  for (int32_t partition = 0; partition < source_.postgres->partitions; ++partition) {
    std::string key;
    for (int i = 0; key.empty() || JavaPartition(key, source_.postgres->partitions) != partition; ++i) {
      key = absl::StrCat("{\"tidemark.resnapshot\":", i, "}");
    }
    rows->records.push_back({partition, std::move(key), json, {}, target_, /*is_row=*/false, kIntakeForm});
  }
}

void PostgresRows::Emit(char op, const Tuple& row, const Origin& origin, IntakeRows* rows) {
  std::string json = Head(op, origin);
  json.append(op == 'd' ? ",\"before\":{" : ",\"after\":{");
  std::optional<std::string> reason;
  bool first = true;
  for (size_t c = 0; c < table_.columns.size(); ++c) {
    const PgColumn& column = table_.columns[c];
    if (!places_[c] || (op == 'd' && !column.key)) continue;
    if (!std::exchange(first, false)) json.push_back(',');
    json.append(names_[c]);
    if (auto why = AppendValue(column, CellOf(row, c), &json)) reason = std::move(why);
  }
  json.append("}}");
  // A deletion has only its key, which a table that has changed has all the same.
  if (!reason && op != 'd' && !changed_.empty()) reason = changed_;
  if (reason) {
    rows->letters.push_back({std::move(json), *std::move(reason), {{kIntakeLsnHeader, LsnText(origin.lsn)}}, target_});
    return;
  }
  std::string key = Key(row);
  const int32_t partition = JavaPartition(key, source_.postgres->partitions);
  rows->records.push_back({partition,
                           std::move(key),
                           std::move(json),
                           {},
                           target_,
                           /*is_row=*/true,
                           position_.resnapshot() > 0 ? kIntakeForm : 1});
}

}  // namespace tidemark
