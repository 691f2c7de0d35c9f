#include "src/codec/record_rows.h"

#include <algorithm>
#include <array>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/debezium/change.h"
#include "src/codec/schema_id.h"

namespace tidemark {
namespace {

using From = SourceColumn::From;

// What the record as a whole does, not what its value says.
bool ToldByRecord(const SourceColumn& column) {
  return column.from == From::kBeside && column.path.empty() && column.column.name == kChangeColumn;
}

// A change of which nothing more is known: a row in the place of its key's, or no row.
const std::string& BareChange(bool deletes) {
  static const auto& bytes = *[] {
    auto* made = new std::array<std::string, 2>;
    AppendChange(Change(), &(*made)[0]);
    AppendChange(Change{.deletes = true}, &(*made)[1]);
    return made;
  }();
  return bytes[deletes ? 1 : 0];
}

std::vector<std::string> PathOf(const SourceColumn& column) {
  return column.path.empty() ? std::vector<std::string>{column.column.name} : column.path;
}

std::vector<ReadTarget> TargetsFrom(const std::vector<SourceColumn>& columns, From from) {
  std::vector<ReadTarget> targets;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].from != from || ToldByRecord(columns[c])) continue;
    targets.push_back({.path = PathOf(columns[c]),
                       .column = c,
                       .type = columns[c].column.type,
                       .beside = from == From::kBeside,
                       .as = columns[c].as});
  }
  return targets;
}

}  // namespace

std::vector<ReadTarget> KeyTargets(const std::vector<SourceColumn>& columns) {
  return TargetsFrom(columns, From::kKey);
}

// Columns that the table reads from the key are read the same way; otherwise the key is the table's key, by the names
// of its columns.
std::vector<ReadTarget> TombstoneTargets(const TablePlan& plan) {
  std::vector<ReadTarget> targets;
  for (const size_t c : plan.key) {
    const SourceColumn& column = plan.columns[c];
    const bool own_path = column.from == From::kKey && !column.path.empty();
    targets.push_back({own_path ? column.path : std::vector<std::string>{column.column.name}, c, column.column.type});
  }
  return targets;
}

RecordRows::RecordRows(const std::vector<SourceColumn>& columns, std::unique_ptr<KeyReader> key)
    : columns_(columns), value_targets_(TargetsFrom(columns, From::kValue)), key_(std::move(key)) {
  for (size_t c = 0; c < columns.size(); ++c) {
    const From from = columns[c].from;
    if (from == From::kHeader) header_columns_.push_back(c);
    if (from == From::kTopic || from == From::kPartition || from == From::kOffset || from == From::kTimestamp ||
        from == From::kRaw || ToldByRecord(columns[c])) {
      place_columns_.push_back(c);
    }
  }
}

// The Java client spreads null keys at will, so nothing holds such a row to the promise.
RecordRows::RecordRows(const SourcePlan& plan, std::unique_ptr<KeyReader> key)
    : RecordRows(plan.columns, std::move(key)) {
  key_columns_ = plan.key;
  for (ReadTarget& target : value_targets_) {
    target.key = std::find(plan.key.begin(), plan.key.end(), target.column) != plan.key.end();
  }
  for (ReadTarget& target : TargetsFrom(plan.columns, From::kBeside)) value_targets_.push_back(std::move(target));
  needs_key_ = plan.verify_partitioning || (!plan.columns.empty() && ToldByRecord(plan.columns.back()));
  schema_ = BatchSchema(ColumnsSchema(plan.columns), HiddenSet().Without(Hidden::kTime));
  hidden_.emplace(plan);
}

RecordRows::RecordRows(const TablePlan& plan, std::unique_ptr<KeyReader> key, std::unique_ptr<KeyReader> tombstone_key)
    : RecordRows(plan.columns, std::move(key)) {
  tombstone_key_ = std::move(tombstone_key);
  key_columns_ = plan.key;
}

void RecordRows::Start(const Fetch& fetch, size_t first, SourceTime* time, std::vector<DecodeError>* errors) {
  fetch_ = &fetch;
  records_ = fetch.records();
  errors_ = errors;
  row_ = 0;
  capacity_ = static_cast<int64_t>(records_.size() - first);
  first_ = first;
  begun_ = 0;
  record_ = kNone;
  rejected_ = false;
  next_ = records_.size();
  waits_for_.clear();
  empty_records_ = 0;
  ops_.clear();
  record_of_.clear();
  columns_.Start(capacity_);
  if (hidden_) hidden_->Start(capacity_, time);
}

absl::StatusOr<int64_t> RecordRows::Finish(std::vector<std::shared_ptr<arrow::Array>>* out) {
  if (record_has_no_rows()) ++empty_records_;
  const size_t due = next_ - first_ + (waits_for_.empty() ? 0 : 1);
  if (begun_ != due) {
    return absl::InternalError(
        absl::StrCat("a reader of values was given ", due, " records and has spoken of ", begun_, " of them"));
  }
  record_ = kNone;
  columns_.Finish(row_, out);
  if (hidden_ && hidden_->asks_rows()) TM_RETURN_IF_ERROR(FindTimes(out));
  if (hidden_) hidden_->Finish(row_, fetch_->source().partition, out);
  return row_;
}

// Event time is an expression over the rows, which stand now: those of records that have none go.
absl::Status RecordRows::FindTimes(std::vector<std::shared_ptr<arrow::Array>>* columns) {
  std::vector<DecodeError> refused;
  std::vector<int32_t> kept;
  const auto rows = arrow::RecordBatch::Make(schema_, row_, *columns);
  TM_RETURN_IF_ERROR(hidden_->FindTimes(*rows, records_, record_of_, &kept, &refused));
  if (refused.empty()) return absl::OkStatus();
  for (std::shared_ptr<arrow::Array>& column : *columns) {
    TM_ASSIGN_OR_RETURN(column, TakeCells(*column->data(), kept));
  }
  row_ = static_cast<int64_t>(kept.size());
  errors_->insert(errors_->end(), std::make_move_iterator(refused.begin()), std::make_move_iterator(refused.end()));
  std::stable_sort(errors_->begin(), errors_->end(),
                   [](const DecodeError& a, const DecodeError& b) { return a.record < b.record; });
  return absl::OkStatus();
}

// Records of many rows: there was room for one each.
void RecordRows::Grow() {
  capacity_ = std::max<int64_t>(capacity_ * 2, 16);
  columns_.Grow(capacity_);
  if (hidden_) hidden_->Grow(capacity_);
}

bool RecordRows::EndRow(Op op) {
  if (rejected_) [[unlikely]]
    return false;
  if (std::optional<std::string> reason = FinishRow(op, false)) [[unlikely]] {
    Reject(*std::move(reason));
    return false;
  }
  ++row_;
  return true;
}

bool RecordRows::EndDeletion() {
  if (rejected_) return false;
  if (std::optional<std::string> reason = FinishRow(Op::kInsert, true)) {
    Reject(*std::move(reason));
    return false;
  }
  ++row_;
  return true;
}

std::optional<std::string> RecordRows::FinishColumns(bool deletion) {
  if (!deletion) [[likely]] {
    std::optional<std::string> reason = columns_.EndRow();
    const bool told = !place_columns_.empty() && ToldByRecord(columns_.column(place_columns_.back()));
    if (reason && hidden_ && !key_columns_.empty() && !told)
      absl::StrAppend(&*reason, " (the table changed, or never was as the topology says)");
    return reason;
  }
  for (const size_t c : key_columns_) {
    if (!columns_.HasValue(c)) return absl::StrCat("a deletion without key column ", columns_.column(c).column.name);
  }
  columns_.EndTombstone();
  return std::nullopt;
}

std::optional<std::string> RecordRows::FinishRow(Op op, bool deletion) {
  const RecordView& record = records_[record_];
  if (key_ != nullptr && record.key) {
    if (std::optional<std::string> reason = ReadKey(key_.get(), &columns_)) [[unlikely]]
      return reason;
  }
  if (!header_columns_.empty()) {
    std::optional<std::string> reason = ReadHeaders();
    if (reason) return reason;
  }
  if (!place_columns_.empty()) {
    std::optional<std::string> reason = ReadPlace();
    if (reason) return reason;
  }
  if (needs_key_ && !record.key) {
    return key_columns_.empty() ? "record key is null, against partitioned_by"
                                : "record key is null, so changes of one row lie in any partition and have no order";
  }
  if (std::optional<std::string> reason = FinishColumns(deletion)) [[unlikely]]
    return reason;
  if (!hidden_) {
    ops_.push_back(op);
    return std::nullopt;
  }
  if (op != Op::kInsert && !hidden_->has_op()) return "a change of a row, where rows are only ever added";
  if (hidden_->asks_rows()) [[unlikely]] {
    record_of_.resize(static_cast<size_t>(row_));  // rows that were taken back go
    record_of_.push_back(record_);
  }
  return hidden_->Set(row_, record, columns_, op, deletion);
}

std::optional<std::string> RecordRows::ReadKey(KeyReader* key, ColumnSet* columns) {
  std::string named;
  if (key->numbered()) named = NamedInHeader(*fetch_, record_, SchemaOf::kKey);
  if (!named.empty()) [[unlikely]] {
    Reject(absl::StrCat("record key: ", named));
    return named;
  }
  std::optional<std::string> reason = key->Read(*records_[record_].key, columns);
  if (reason && key->waits_for().empty()) {
    Reject(absl::StrCat("record key: ", *reason));
  } else if (reason) {
    Later(std::string(key->waits_for()));
  }
  return reason;
}

void RecordRows::Tombstone() {
  if (rejected_) return;
  if (hidden_ && !key_columns_.empty()) {
    BeginRow();
    EndDeletion();
    return;
  }
  if (!tombstone_key_) return Reject("value is null (tombstone)");
  const RecordView& record = records_[record_];
  if (!record.key) return Reject("value is null (deletion), and so is the record key: which row to delete isn't known");
  if (ReadKey(tombstone_key_.get(), &BeginRow())) return;
  for (const size_t c : key_columns_) {
    if (columns_.HasValue(c)) continue;
    return Reject("value is null (deletion), but the record key lacks column " + columns_.column(c).column.name);
  }
  columns_.EndTombstone();
  ops_.push_back(Op::kDelete);
  ++row_;
}

void RecordRows::TakeBack() {
  row_ = first_row_;
  if (hidden_) {
    hidden_->TakeBack(time_before_);
  } else {
    ops_.resize(static_cast<size_t>(row_));
  }
}

void RecordRows::Reject(std::string reason) {
  if (rejected_) return;
  TakeBack();
  rejected_ = true;
  errors_->push_back({record_, std::move(reason)});
}

void RecordRows::Later(std::string what) {
  if (!waits_for_.empty()) return;
  TakeBack();
  // What was wrong with it is found again.
  if (rejected_) errors_->pop_back();
  rejected_ = true;
  next_ = record_;
  waits_for_ = std::move(what);
  record_ = kNone;
}

// Of several headers of one name the last one counts, as in Kafka's own lastHeader.
std::optional<std::string> RecordRows::ReadHeaders() {
  const HeaderList headers = fetch_->Headers(record_);
  for (const size_t c : header_columns_) {
    const std::string* text = nullptr;
    for (const auto& [name, value] : headers) {
      if (name == columns_.column(c).header) text = value ? &*value : nullptr;
    }
    if (text == nullptr) continue;
    const bool raw = columns_.column(c).column.type.kind == Kind::kBytes;
    std::optional<std::string> reason = raw ? columns_.SetRaw(c, *text) : SetPlainText(c, *text, &columns_);
    if (reason) return absl::StrCat("header ", columns_.column(c).header, ": ", *reason);
  }
  return std::nullopt;
}

std::optional<std::string> RecordRows::ReadPlace() {
  const RecordView& record = records_[record_];
  for (const size_t c : place_columns_) {
    int64_t value = 0;
    switch (columns_.column(c).from) {
      case From::kTopic: {
        std::optional<std::string> reason = SetPlainText(c, fetch_->source().topic, &columns_);
        if (reason) return reason;
        continue;
      }
      case From::kPartition:
        value = fetch_->source().partition;
        break;
      case From::kOffset:
        value = record.offset;
        break;
      case From::kBeside:
        if (auto reason = columns_.SetRaw(c, BareChange(!record.value))) return reason;
        continue;
      case From::kRaw: {
        if (!record.value) continue;
        const bool raw = columns_.column(c).column.type.kind == Kind::kBytes;
        std::optional<std::string> reason =
            raw ? columns_.SetRaw(c, *record.value) : SetPlainText(c, *record.value, &columns_);
        if (reason) return reason;
        continue;
      }
      default:
        if (record.timestamp_ms == -1) continue;
        // An integer column gets what Kafka says: milliseconds.
        value = record.timestamp_ms;
        if (columns_.column(c).column.type.kind == Kind::kTimestamp &&
            ScaleTimestamp(value, TimestampForm::kMillis, &value) != Fit::kOk) {
          std::optional<std::string> reason =
              columns_.Reject(c, absl::StrCat("the record's timestamp ", record.timestamp_ms, " ms is out of range"));
          if (reason) return reason;
          continue;
        }
    }
    std::optional<std::string> reason = columns_.SetInt64(c, value);
    if (reason) return reason;
  }
  return std::nullopt;
}

}  // namespace tidemark
