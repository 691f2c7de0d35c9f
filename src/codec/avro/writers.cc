#include "src/codec/avro/writers.h"

#include <utility>

#include <absl/strings/str_cat.h>

namespace tidemark {

AvroWriters::Writer* AvroWriters::Find(int32_t id, SchemaLookup::Answer* answer) {
  // Whatever number records name, a schema that was given is that of all.
  if (options_.schema != nullptr) id = 0;
  const auto known = writers_.find(id);
  if (known != writers_.end()) return known->second.get();
  auto writer = std::make_unique<Writer>();
  if (options_.schema != nullptr) {
    Compile(options_.schema, writer.get());
  } else {
    *answer = options_.lookup->Find(id);
    if (answer->schema == nullptr) return nullptr;
    if (answer->schema->type != "AVRO") {
      writer->refused = absl::StrCat("schema ", id, " is one of ", answer->schema->type, ", not of Avro");
    } else {
      std::vector<std::string> references;
      for (const auto& reference : answer->schema->references) references.push_back(reference.text);
      absl::StatusOr<std::unique_ptr<const AvroSchema>> schema = AvroSchema::Parse(answer->schema->text, references);
      if (schema.ok()) {
        Compile(*std::move(schema), writer.get());
      } else {
        writer->refused = std::string(schema.status().message());
      }
      if (!writer->refused.empty()) writer->refused = absl::StrCat("schema ", id, ": ", writer->refused);
    }
  }
  return (writers_[id] = std::move(writer)).get();
}

void AvroWriters::Compile(std::shared_ptr<const AvroSchema> schema, Writer* writer) const {
  absl::StatusOr<AvroScanPlan> plan = CompileAvro(*schema, targets_);
  if (plan.ok()) {
    writer->schema = std::move(schema);
    writer->plan = *std::move(plan);
  } else {
    writer->refused = std::string(plan.status().message());
  }
}

}  // namespace tidemark
