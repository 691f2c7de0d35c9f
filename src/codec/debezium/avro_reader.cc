#include "src/codec/debezium/avro_reader.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/base/status.h"
#include "src/codec/debezium/change.h"
#include "src/codec/record_rows.h"
#include "src/codec/schema_id.h"

namespace tidemark::debezium {
namespace {

// What Debezium writes for a value that its database's log doesn't hold, as it hasn't changed.
constexpr std::string_view kUnavailable = "__debezium_unavailable_value";

// Slots of the plan that tells of the change.
enum Slot : size_t { kOp, kLsn, kFile, kPos, kRow, kTsMs, kTsUs, kSlots };

std::vector<ReadTarget> ChangeTargets() {
  const Type number{.kind = Kind::kInt64}, text{.kind = Kind::kString};
  return {{{"op"}, kOp, text},
          {{"source", "lsn"}, kLsn, number},
          {{"source", "file"}, kFile, text},
          {{"source", "pos"}, kPos, number},
          {{"source", "row"}, kRow, number},
          {{"source", "ts_ms"}, kTsMs, number},
          {{"source", "ts_us"}, kTsUs, number}};
}

// Connect's type, and the name of what it means, of one of Avro's.
std::string_view ConnectType(const AvroNode& node) {
  switch (node.type) {
    case AvroType::kBoolean:
      return "boolean";
    case AvroType::kInt:
      return "int32";
    case AvroType::kLong:
      return "int64";
    case AvroType::kFloat:
      return "float";
    case AvroType::kDouble:
      return "double";
    case AvroType::kBytes:
    case AvroType::kFixed:
      return "bytes";
    case AvroType::kString:
    case AvroType::kEnum:
      return "string";
    case AvroType::kArray:
      return "array";
    case AvroType::kMap:
      return "map";
    default:
      return "struct";
  }
}

// A schema that wasn't Connect's may have Avro's logical types alone.
std::string_view MeaningOf(const AvroNode& node) {
  if (!node.meaning.empty()) return node.meaning;
  switch (node.logical) {
    case AvroLogical::kDate:
      return "org.apache.kafka.connect.data.Date";
    case AvroLogical::kTimeMillis:
      return "org.apache.kafka.connect.data.Time";
    case AvroLogical::kTimeMicros:
      return "io.debezium.time.MicroTime";
    case AvroLogical::kTimeNanos:
      return "io.debezium.time.NanoTime";
    case AvroLogical::kTimestampMillis:
      return "org.apache.kafka.connect.data.Timestamp";
    case AvroLogical::kTimestampMicros:
      return "io.debezium.time.MicroTimestamp";
    case AvroLogical::kTimestampNanos:
      return "io.debezium.time.NanoTimestamp";
    case AvroLogical::kDecimal:
      return "org.apache.kafka.connect.data.Decimal";
    case AvroLogical::kVariableDecimal:
      return "io.debezium.data.VariableScaleDecimal";
    case AvroLogical::kUuid:
      return "io.debezium.data.Uuid";
    case AvroLogical::kNone:
      break;
  }
  return "";
}

const AvroNode* NotNull(const AvroNode* node) {
  if (node->type != AvroType::kUnion || node->members.size() != 2) return node;
  if (node->members[0]->type == AvroType::kNull) return node->members[1];
  return node->members[1]->type == AvroType::kNull ? node->members[0] : node;
}

std::string WhyNot(const AvroNode& node, const Type& column) {
  TableType of{ConnectType(node), MeaningOf(node), {}, {}, {}};
  if (node.logical == AvroLogical::kDecimal) of.scale = node.scale;
  if (node.type == AvroType::kArray) {
    const AvroNode& item = *NotNull(node.members[0]);
    of.item = ConnectType(item);
    of.item_name = MeaningOf(item);
  }
  return ReadingOf(of, column).refusal;
}

constexpr AvroTable kTable{&WhyNot, kUnavailable};

const AvroNode* RowOf(const AvroSchema& schema, std::string_view member) {
  const AvroNode* const envelope = schema.Record();
  if (envelope == nullptr) return nullptr;
  for (const AvroField& field : envelope->fields) {
    if (field.name != member) continue;
    const AvroNode* const row = NotNull(field.type);
    return row->type == AvroType::kRecord ? row : nullptr;
  }
  return nullptr;
}

}  // namespace

AvroReader::AvroReader(Options options, const std::vector<ReadTarget>& targets) : options_(options), targets_(targets) {
  arrow::util::InitializeUTF8();
  for (const ReadTarget& target : targets) {
    if (!target.beside) {
      row_.push_back({target.column, target.path.at(0), target.type, target.key, {}});
    } else if (target.path.at(0) == kChangeColumn) {
      change_column_ = target.column;
    }
  }
}

absl::Status AvroReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (!records[i].value) continue;  // a tombstone: what it deletes was deleted by the record before
    Trouble trouble;
    const absl::StatusOr<Operation> operation = ReadRecord(fetch, i, rows, &trouble);
    if (!operation.ok()) {
      return absl::Status(
          operation.status().code(),
          absl::StrCat(ToString(fetch.source()), " offset ", records[i].offset, ": ", operation.status().message()));
    }
    if (!trouble.later.empty()) {
      rows->Later(std::move(trouble.later));
      return absl::OkStatus();
    }
    if (!trouble.reason.empty()) {
      rows->Reject(absl::StrCat(trouble.reason, trouble.unknown ? AnotherFraming(fetch, i) : ""));
    } else if (*operation == Operation::kRow) {
      rows->EndRow();
    } else if (*operation == Operation::kDeletion) {
      rows->EndDeletion();
    }
    for (const std::string& name : std::exchange(unnamed_, {})) rows->Unnamed(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<Operation> AvroReader::ReadRecord(const Fetch& fetch, size_t i, RecordRows* rows, Trouble* trouble) {
  const RecordView& record = fetch.records()[i];
  trouble->reason = NamedInHeader(fetch, i, SchemaOf::kValue);
  if (!trouble->reason.empty()) [[unlikely]]
    return Operation::kNothing;
  const Writer* const writer = Find(*record.value, false, trouble);
  if (writer == nullptr) return Operation::kNothing;
  taken_.slots.assign(kSlots, {});
  taken_.unchanged.clear();
  if (auto why = ScanAvro(writer->change, *record.value, kSchemaIdBytes, nullptr, &taken_)) {
    trouble->reason = *std::move(why);
    return Operation::kNothing;
  }
  TM_ASSIGN_OR_RETURN(const Operation operation,
                      OperationOf(taken_.slots[kOp].text, options_.stop_on_truncate, &trouble->reason));
  if (operation == Operation::kNothing) return operation;
  if (!record.key) {
    trouble->reason = operation == Operation::kDeletion ? kNoKeyOfDeletion : kNoRecordKey;
    return operation;
  }
  if (std::string named = NamedInHeader(fetch, i, SchemaOf::kKey); !named.empty()) [[unlikely]] {
    trouble->reason = absl::StrCat("record key: ", named);
    return operation;
  }
  if (Find(*record.key, true, trouble) == nullptr) return operation;
  ColumnSet& columns = rows->BeginRow();
  if (operation == Operation::kRow) {
    trouble->reason = ReadRow(*record.value, *writer, &columns);
  } else {
    ReadDeletion(record, *writer, &columns, trouble);
  }
  if (trouble->none()) trouble->reason = SetChange(operation, &columns);
  return operation;
}

std::string AvroReader::ReadRow(std::string_view value, const Writer& writer, ColumnSet* columns) {
  auto why = ScanAvro(writer.after, value, kSchemaIdBytes, columns, &taken_);
  if (why) return TableChanged(*std::move(why));
  const bool nothing =
      std::none_of(row_.begin(), row_.end(), [&](const RowColumn& column) { return columns->HasValue(column.column); });
  return nothing ? absl::StrCat("op ", std::string(taken_.slots[kOp].text), " without `after`") : "";
}

void AvroReader::ReadDeletion(const RecordView& record, const Writer& writer, ColumnSet* columns, Trouble* trouble) {
  auto why = ScanAvro(writer.before, *record.value, kSchemaIdBytes, columns, &taken_);
  const bool has_key = std::all_of(row_.begin(), row_.end(), [&](const RowColumn& column) {
    return !column.key || columns->HasValue(column.column);
  });
  if (!why && !has_key) {
    why = ScanAvro(Find(*record.key, true, trouble)->key, *record.key, kSchemaIdBytes, columns, &taken_);
    if (why) *why = absl::StrCat("record key: ", *why);
  }
  if (why) trouble->reason = TableChanged(*std::move(why));
}

std::string AvroReader::SetChange(Operation operation, ColumnSet* columns) {
  if (!change_column_) return "";
  const auto number = [&](Slot slot) {
    return taken_.slots[slot].is_there ? std::make_optional(taken_.slots[slot].number) : std::nullopt;
  };
  const LogPlace place{number(kLsn),  number(kPos),  number(kRow),
                       number(kTsMs), number(kTsUs), taken_.slots[kFile].text};
  Change change;
  change.deletes = operation == Operation::kDeletion;
  change.snapshot = taken_.slots[kOp].text == "r";
  change.committed_us = CommittedUs(place);
  position_.clear();
  AppendPosition(place, &position_);
  change.position = position_;
  change.unchanged = taken_.unchanged;
  change_.clear();
  AppendChange(change, &change_);
  return columns->SetRaw(*change_column_, change_).value_or("");
}

const AvroReader::Writer* AvroReader::Find(std::string_view bytes, bool key, Trouble* trouble) {
  int32_t id = 0;
  const char* const of = key ? "record key: " : "";
  if (!ReadSchemaId(bytes, &id)) {
    trouble->reason = absl::StrCat(of, "it doesn't begin with the number of a schema (a byte 0 and four more)");
    trouble->unknown = true;
    return nullptr;
  }
  int32_t& last = key ? last_key_ : last_value_;
  const Writer*& last_writer = key ? last_key_writer_ : last_value_writer_;
  if (last_writer == nullptr || id != last) [[unlikely]] {
    last_writer = nullptr;
    std::unique_ptr<Writer>& writer = (key ? keys_ : values_)[id];
    if (writer == nullptr) {
      const SchemaLookup::Answer answer = options_.lookup->Find(id);
      if (answer.schema == nullptr) {
        (answer.later ? trouble->later : trouble->reason) = answer.later ? answer.what : absl::StrCat(of, answer.what);
        trouble->unknown = !answer.later;
        return nullptr;
      }
      writer = std::make_unique<Writer>();
      std::vector<std::string> references;
      for (const auto& reference : answer.schema->references) references.push_back(reference.text);
      const auto schema =
          answer.schema->type == "AVRO"
              ? AvroSchema::Parse(answer.schema->text, references)
              : absl::InvalidArgumentError(absl::StrCat("it is one of ", answer.schema->type, ", not of Avro"));
      if (!schema.ok()) {
        writer->refused = std::string(schema.status().message());
      } else if (key) {
        CompileKey(**schema, writer.get());
      } else {
        CompileValue(**schema, writer.get());
      }
      if (!writer->refused.empty()) writer->refused = absl::StrCat(of, "schema ", id, ": ", writer->refused);
    }
    last = id;
    last_writer = writer.get();
  }
  if (last_writer->refused.empty()) [[likely]]
    return last_writer;
  trouble->reason = last_writer->refused;
  return nullptr;
}

std::vector<ReadTarget> AvroReader::Targets(std::string_view below, bool key_only) const {
  std::vector<ReadTarget> targets;
  for (const ReadTarget& of : targets_) {
    if (of.beside && (below.empty() || of.path[0] == kChangeColumn)) continue;
    if (!of.beside && key_only && !of.key) continue;
    ReadTarget& target = targets.emplace_back(of);
    if (!of.beside && !below.empty()) target.path.insert(target.path.begin(), std::string(below));
    const std::string& name = of.path.back();
    if (of.beside) {
      target.as = name == "ts_ms"   ? "Timestamp"
                  : name == "ts_us" ? "MicroTimestamp"
                  : name == "ts_ns" ? "NanoTimestamp"
                                    : "";
    }
  }
  return targets;
}

void AvroReader::CompileValue(const AvroSchema& schema, Writer* writer) {
  const auto plan = [&](absl::StatusOr<AvroScanPlan> compiled, AvroScanPlan* out) {
    if (compiled.ok()) {
      *out = *std::move(compiled);
    } else {
      writer->refused = std::string(compiled.status().message());
    }
  };
  plan(CompileAvroTaking(schema, ChangeTargets()), &writer->change);
  plan(CompileAvro(schema, Targets("after", false), &kTable), &writer->after);
  plan(CompileAvro(schema, Targets("before", true), &kTable), &writer->before);
  const AvroNode* const row = RowOf(schema, "after");
  if (row == nullptr) return;
  for (const AvroField& field : row->fields) {
    const bool asked = std::any_of(row_.begin(), row_.end(), [&](const RowColumn& c) { return c.name == field.name; });
    if (!asked && named_.insert(field.name).second) unnamed_.push_back(field.name);
  }
}

// Changes of one key must lie in one partition, in their order: they do where the record key is that key.
void AvroReader::CompileKey(const AvroSchema& schema, Writer* writer) const {
  std::vector<std::string> names;
  if (schema.Record() == nullptr) {
    writer->refused = absl::StrCat("it is ", schema.root().Describe(), ", and no record of the key's columns");
    return;
  }
  for (const AvroField& field : schema.Record()->fields) names.push_back(field.name);
  if (auto why = OtherKey(std::move(names), row_)) {
    writer->refused = *std::move(why);
    return;
  }
  absl::StatusOr<AvroScanPlan> plan = CompileAvro(schema, Targets("", true), &kTable);
  if (plan.ok()) {
    writer->key = *std::move(plan);
  } else {
    writer->refused = std::string(plan.status().message());
  }
}

}  // namespace tidemark::debezium
