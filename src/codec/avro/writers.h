// The plans by which values, or keys, of many writers are read into the same columns: one is compiled for each writer's
// schema when its first record comes. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "src/codec/avro/scan_plan.h"
#include "src/codec/schema_id.h"
#include "src/codec/schema_lookup.h"
#include "src/codec/value_reader.h"

namespace tidemark {

struct AvroReaderOptions {
  SchemaPlace place = SchemaPlace::kNowhere;
  std::shared_ptr<const AvroSchema> schema;  // of all records, whatever number they name; null: the lookup's
  SchemaLookup* lookup = nullptr;            // outlives the reader
};

class AvroWriters {
 public:
  // What is known of a writer's schema.
  struct Writer {
    std::shared_ptr<const AvroSchema> schema;
    AvroScanPlan plan;
    std::string refused;  // why its records can't be rows; "": they can
  };

  AvroWriters(AvroReaderOptions options, std::vector<ReadTarget> targets)
      : options_(std::move(options)), targets_(std::move(targets)) {}

  // Null: it isn't here, `answer` says more.
  Writer* Find(int32_t id, SchemaLookup::Answer* answer);

 private:
  void Compile(std::shared_ptr<const AvroSchema> schema, Writer* writer) const;

  const AvroReaderOptions options_;
  const std::vector<ReadTarget> targets_;
  absl::flat_hash_map<int32_t, std::unique_ptr<Writer>> writers_;
};

}  // namespace tidemark
