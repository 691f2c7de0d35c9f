#include "src/codec/debezium/reader.h"

#include <utility>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/base/status.h"
#include "src/codec/debezium/change.h"
#include "src/codec/debezium/record_rules.h"
#include "src/codec/debezium/schema_part.h"
#include "src/codec/record_rows.h"

namespace tidemark::debezium {
namespace {

constexpr size_t kMostSchemas = 64;  // kept of one reader: a table that is altered has some, not many

std::vector<RowColumn> RowColumns(const std::vector<ReadTarget>& targets) {
  std::vector<RowColumn> columns;
  for (const ReadTarget& target : targets) {
    if (target.beside) continue;
    RowColumn& column = columns.emplace_back();
    column.column = target.column;
    column.name = target.path.at(0);
    column.type = target.type;
    column.key = target.key;
    if (const auto reading = ReadingAs(target.as, target.type)) column.as = *reading;
    if (target.type.kind == Kind::kJson) column.as.encoding = Encoding::kJsonText;
  }
  return columns;
}

// The number's unit, by the name of what stands beside the row.
std::optional<Encoding> UnitOf(const std::vector<std::string>& path) {
  if (path.back() == "ts_ms") return Encoding::kMillis;
  if (path.back() == "ts_us") return Encoding::kMicros;
  if (path.back() == "ts_ns") return Encoding::kNanos;
  return std::nullopt;
}

}  // namespace

Reader::Reader(Options options, const std::vector<ReadTarget>& targets) : options_(options), row_(RowColumns(targets)) {
  arrow::util::InitializeUTF8();
  for (const ReadTarget& target : targets) {
    if (!target.beside) continue;
    if (target.path.at(0) == kChangeColumn) {
      change_column_ = target.column;
    } else {
      beside_.push_back({target.column, target.type, target.path});
    }
  }
  for (const RowColumn& column : row_.columns()) stated_.push_back(column.as);
}

absl::Status Reader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (!records[i].value) continue;  // a tombstone: what it deletes was deleted by the record before
    std::string reason;
    absl::StatusOr<Operation> what = ReadRecord(records[i], rows, &reason);
    if (!what.ok()) {
      return absl::Status(what.status().code(), absl::StrCat(ToString(fetch.source()), " offset ", records[i].offset,
                                                             ": ", what.status().message()));
    }
    if (!reason.empty()) {
      rows->Reject(std::move(reason));
    } else if (*what == Operation::kRow) {
      rows->EndRow();
    } else if (*what == Operation::kDeletion) {
      rows->EndDeletion();
    }
    for (const std::string& name : std::exchange(unnamed_, {})) rows->Unnamed(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<Operation> Reader::ReadRecord(const RecordView& record, RecordRows* rows, std::string* reason) {
  if (auto why = envelopes_.Read(*record.value, &envelope_)) {
    *reason = *std::move(why);
    return Operation::kNothing;
  }
  TM_ASSIGN_OR_RETURN(const Operation operation, OperationOf(envelope_.op, options_.stop_on_truncate, reason));
  if (operation == Operation::kNothing) {
    const bool mark = envelope_.op == "m" && !envelope_.source.empty() && ReadMark(rows, reason);
    return mark ? Operation::kDeletion : operation;
  }
  if (auto why = ReadRow(record, operation == Operation::kDeletion, rows)) *reason = *std::move(why);
  return operation;
}

// Of its columns none means anything, as of a deletion those beside the key.
bool Reader::ReadMark(RecordRows* rows, std::string* reason) {
  Change change;
  if (envelopes_.ReadSource(envelope_.source, &change) || !change_column_) return false;
  if (!change.ends_transaction && change.resnapshot == 0) return false;
  change.ends_resnapshot = !change.ends_transaction;
  ColumnSet& columns = rows->BeginRow();
  for (const RowColumn& column : row_.columns()) {
    if (column.key) columns.SetAny(column.column);
  }
  std::optional<std::string> why = ReadBeside(envelope_, &columns);
  change_.clear();
  AppendChange(change, &change_);
  if (!why) why = columns.SetRaw(*change_column_, change_);
  if (why) *reason = *std::move(why);
  return true;
}

std::optional<std::string> Reader::ReadRow(const RecordView& record, bool deleted, RecordRows* rows) {
  if (!std::exchange(key_checked_, true)) {
    if (auto why = CheckKey(record.key)) {
      key_checked_ = false;
      return why;
    }
  }
  const std::string_view row = deleted ? envelope_.before : envelope_.after;
  if (row.empty() && !deleted) return absl::StrCat("op ", std::string(envelope_.op), " without `after`");
  ColumnSet& columns = rows->BeginRow();
  unchanged_.clear();
  if (row.empty()) {
    if (auto why = ReadKey(record.key, &columns)) return why;
  } else {
    std::string reason;
    const std::vector<Reading>* const readings = ReadingsOf(envelope_.schema, deleted ? "before" : "after", &reason);
    if (readings == nullptr) return reason;
    if (auto why = row_.Read(row, *readings, deleted, &columns, &unchanged_, &unnamed_)) {
      return TableChanged(*std::move(why));
    }
  }
  if (auto why = ReadBeside(envelope_, &columns)) return why;
  Change change;
  change.deletes = deleted;
  change.snapshot = envelope_.op == "r";
  change.unchanged = unchanged_;
  if (auto why = envelopes_.ReadSource(envelope_.source, &change)) return why;
  change_.clear();
  AppendChange(change, &change_);
  if (change_column_) return columns.SetRaw(*change_column_, change_);
  return std::nullopt;
}

const std::vector<Reading>* Reader::ReadingsOf(std::string_view schema, std::string_view row, std::string* reason) {
  if (schema.empty()) {
    if (!options_.schema_in_values) return &stated_;
    *reason =
        "the record has no schema part, so what its numbers and texts mean isn't known: set "
        "value.converter.schemas.enable "
        "= true in the connector, or state `schema_part: none` in the format, and of dates, times and decimals how "
        "they are "
        "written (`as`)";
    return nullptr;
  }
  // `before` and `after` are of one type.
  if (last_readings_ != nullptr && schema == last_schema_) return last_readings_;
  last_readings_ = nullptr;  // with what is cleared or erased now, `last_schema_` goes too
  if (by_schema_.size() >= kMostSchemas) by_schema_.clear();
  const auto [it, fresh] = by_schema_.try_emplace(std::string(schema));
  if (fresh) {
    if (auto why = ReadSchemaPart(schema, row, row_.columns(), &it->second)) {
      *reason = *std::move(why);
      by_schema_.erase(it);
      return nullptr;
    }
  }
  last_schema_ = it->first;
  last_readings_ = &it->second;
  return last_readings_;
}

std::optional<std::string> Reader::ReadKey(const Bytes& key, ColumnSet* columns) {
  if (!key) return kNoKeyOfDeletion;
  JsonText text(*key);
  std::string_view schema, payload = *key;
  FieldNames names({"schema", "payload"});
  const auto visit = [&](int number) {
    text.Peek();
    const char* const begin = text.position();
    if (!text.SkipValue(1)) return false;
    if (number >= 0) (number == 0 ? schema : payload) = {begin, static_cast<size_t>(text.position() - begin)};
    return true;
  };
  if (!WalkObject(&text, &names, visit, [](const std::string&) {})) return "record key: " + text.Reason();
  std::vector<Reading> readings = stated_;
  if (!schema.empty() && schema != "null") {
    if (auto why = ReadSchemaPart(schema, "", row_.columns(), &readings)) return "record key: " + *why;
  }
  std::string unchanged;
  std::vector<std::string> unnamed;
  if (auto why = row_.Read(payload, readings, true, columns, &unchanged, &unnamed)) return "record key: " + *why;
  return std::nullopt;
}

// Changes of one key must lie in one partition, in their order: they do where the record key is that key. A key that is
// no JSON object says nothing here; the partitions are checked anyway.
std::optional<std::string> Reader::CheckKey(const Bytes& key) {
  if (!key) return kNoRecordKey;
  std::vector<std::string> found;
  JsonText text(*key);
  FieldNames outer({"payload"}), inner({});
  const JsonText whole = text;
  bool payload = false;
  const auto collect = [&](const std::string& name) { found.push_back(name); };
  const auto skip = [&](int) { return text.SkipValue(2); };
  const auto visit = [&](int number) {
    if (number != 0 || text.Peek() != '{') return text.SkipValue(1);
    payload = true;
    return WalkObject(&text, &inner, skip, collect);
  };
  if (!WalkObject(&text, &outer, visit, [](const std::string&) {})) return std::nullopt;
  if (!payload) {
    text = whole;
    if (!WalkObject(&text, &inner, skip, collect)) return std::nullopt;
  }
  return OtherKey(std::move(found), row_.columns());
}

std::optional<std::string> Reader::ReadBeside(const Envelope& envelope, ColumnSet* columns) {
  for (const Beside& beside : beside_) {
    const std::string& name = beside.path[0];
    std::string_view text = name == "op"            ? envelope.op
                            : name == "ts_ms"       ? envelope.ts_ms
                            : name == "ts_us"       ? envelope.ts_us
                            : name == "ts_ns"       ? envelope.ts_ns
                            : name == "source"      ? envelope.source
                            : name == "transaction" ? envelope.transaction
                                                    : std::string_view();
    if (text.empty()) continue;
    ScalarText value;
    if (name == "op") {
      value = {ScalarText::Kind::kString, text};
    } else if (beside.path.size() == 1) {
      JsonText json(text);
      if (!json.ReadPlain(&value, &scratch_)) return json.Reason();
    } else {
      JsonText json(text);
      FieldNames names({beside.path[1]});
      const auto visit = [&](int number) {
        if (number != 0 || json.Peek() == '{' || json.Peek() == '[') return json.SkipValue(1);
        return json.ReadPlain(&value, &scratch_);
      };
      if (!WalkObject(&json, &names, visit, [](const std::string&) {})) return json.Reason();
    }
    const auto unit = UnitOf(beside.path);
    Reading reading;
    if (unit && beside.type.kind == Kind::kTimestamp) reading.encoding = *unit;
    // Flags were bools in earlier versions, and a number may be wanted as text.
    if (beside.type.kind == Kind::kString && value.kind != ScalarText::Kind::kString) {
      if (value.kind == ScalarText::Kind::kTrue) value.text = "true";
      if (value.kind == ScalarText::Kind::kFalse) value.text = "false";
      if (value.kind != ScalarText::Kind::kNull) value.kind = ScalarText::Kind::kString;
    }
    if (auto why = SetValue(reading, beside.column, value, columns)) return why;
  }
  return std::nullopt;
}

}  // namespace tidemark::debezium
