#include "src/codec/avro/value_reader.h"

#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

// As in json/value_reader.cc.
constexpr size_t kAhead = 8;

void Prefetch(const RecordView& record) {
  if (!record.value) return;
  for (int line = 0; line < 2; ++line) __builtin_prefetch(record.value->data() + 64 * line);
}

}  // namespace

absl::Status AvroValueReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    if (i + kAhead < last) Prefetch(records[i + kAhead]);
    rows->BeginRecord(i);
    if (!records[i].value) [[unlikely]] {
      rows->Tombstone();
      continue;
    }
    ColumnSet& columns = rows->BeginRow();
    int32_t id = 0;
    size_t begin = 0;
    std::optional<std::string> reason;
    if (options_.place == SchemaPlace::kPrefix && ReadSchemaId(*records[i].value, &id)) [[likely]] {
      begin = kSchemaIdBytes;
    } else if (reason = FindSchemaId(options_.place, fetch, i, &id, &begin); reason) {
      rows->Reject(*std::move(reason));
      continue;
    }
    if (last_ == nullptr || id != last_id_) [[unlikely]] {
      SchemaLookup::Answer answer;
      last_ = Find(id, &answer);
      last_id_ = id;
      if (last_ == nullptr && answer.later) {
        rows->Later(std::move(answer.what));
        return absl::OkStatus();
      }
      if (last_ == nullptr) {
        rows->Reject(std::move(answer.what));
        continue;
      }
    }
    reason = last_->refused.empty() ? ScanAvro(last_->plan, *records[i].value, begin, &columns) : last_->refused;
    if (reason) [[unlikely]] {
      rows->Reject(*std::move(reason));
    } else {
      rows->EndRow();
    }
  }
  return absl::OkStatus();
}

AvroValueReader::Writer* AvroValueReader::Find(int32_t id, SchemaLookup::Answer* answer) {
  // Whatever number records name, a schema that was given is that of all.
  if (options_.schema != nullptr) id = 0;
  const auto known = writers_.find(id);
  if (known != writers_.end()) return known->second.get();
  auto writer = std::make_unique<Writer>();
  if (options_.schema != nullptr) {
    Compile(*options_.schema, writer.get());
  } else {
    *answer = options_.lookup->Find(id);
    if (answer->schema == nullptr) return nullptr;
    if (answer->schema->type != "AVRO") {
      writer->refused = absl::StrCat("schema ", id, " is one of ", answer->schema->type, ", not of Avro");
    } else {
      std::vector<std::string> references;
      for (const auto& reference : answer->schema->references) references.push_back(reference.text);
      const auto schema = AvroSchema::Parse(answer->schema->text, references);
      if (schema.ok()) {
        Compile(**schema, writer.get());
      } else {
        writer->refused = std::string(schema.status().message());
      }
      if (!writer->refused.empty()) writer->refused = absl::StrCat("schema ", id, ": ", writer->refused);
    }
  }
  return (writers_[id] = std::move(writer)).get();
}

void AvroValueReader::Compile(const AvroSchema& schema, Writer* writer) const {
  absl::StatusOr<AvroScanPlan> plan = CompileAvro(schema, targets_);
  if (plan.ok()) {
    writer->plan = *std::move(plan);
  } else {
    writer->refused = std::string(plan.status().message());
  }
}

}  // namespace tidemark
