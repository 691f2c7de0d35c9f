#include "src/codec/debezium/reader.h"

#include <algorithm>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/util/utf8.h>

#include "src/base/status.h"
#include "src/codec/debezium/change.h"
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
    absl::StatusOr<What> what = ReadRecord(records[i], rows, &reason);
    if (!what.ok()) {
      return absl::Status(what.status().code(), absl::StrCat(ToString(fetch.source()), " offset ", records[i].offset,
                                                             ": ", what.status().message()));
    }
    if (!reason.empty()) {
      rows->Reject(std::move(reason));
    } else if (*what == What::kRow) {
      rows->EndRow();
    } else if (*what == What::kDeletion) {
      rows->EndDeletion();
    }
    for (const std::string& name : std::exchange(unnamed_, {})) rows->Unnamed(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<Reader::What> Reader::ReadRecord(const RecordView& record, RecordRows* rows, std::string* reason) {
  const auto refuse = [&](std::string why) {
    *reason = std::move(why);
    return What::kNothing;
  };
  if (auto why = envelopes_.Read(*record.value, &envelope_)) return refuse(*std::move(why));
  const std::string_view op = envelope_.op;
  if (op.empty()) {
    return refuse(
        "no Debezium record: it has no `op` (is a transformation such as ExtractNewRecordState on? rows by "
        "themselves are read as format json)");
  }
  if (op == "m") return What::kNothing;
  if (op == "t") {
    TM_RETURN_IF_ERROR(Truncated(reason));
    return What::kNothing;
  }
  if (op != "c" && op != "u" && op != "r" && op != "d") return refuse(absl::StrCat("unknown op ", Excerpt(op)));
  const bool deleted = op == "d";
  if (auto why = ReadRow(record, deleted, rows)) return refuse(*std::move(why));
  return deleted ? What::kDeletion : What::kRow;
}

absl::Status Reader::Truncated(std::string* reason) const {
  if (!options_.stop_on_truncate) {
    *reason = "the table was emptied (TRUNCATE), and its rows stand here as they were (on_truncate: dead_letter)";
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      "the table was emptied (TRUNCATE). The record has no key and no order among the other partitions, so which of "
      "the "
      "rows that are kept it means can't be told. Either state `on_truncate: dead_letter` in the format, which passes "
      "it "
      "over and leaves the rows as they were; or start anew under another name, with a topic that begins with a new "
      "snapshot");
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
      return absl::StrCat(*why, " (has the table changed?)");
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
        "= true in the connector, or state `schema: none` in the format, and of dates, times and decimals how they are "
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
  if (!key) return "a deletion without `before`, and without a record key: which row it means isn't known";
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
  if (!key) {
    return "the record key is null, so changes of one row lie in any partition and have no order: give the table a "
           "primary "
           "key, or the connector message.key.columns";
  }
  std::vector<std::string> wanted, found;
  for (const RowColumn& column : row_.columns()) {
    if (column.key) wanted.push_back(column.name);
  }
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
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  if (wanted == found) return std::nullopt;
  return absl::StrCat("the record key is (", absl::StrJoin(found, ", "), "), the source's `key` (",
                      absl::StrJoin(wanted, ", "), "): changes of one key must lie in one partition, in their order");
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
