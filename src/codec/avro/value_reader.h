// Records whose value is one Avro record, a row each: all written with one schema, or each naming its own by the number
// in front of it (Confluent's framing: a byte 0, the number in four bytes, big-endian). A plan is compiled for each
// writer's schema when its first record comes, so that a batch may hold records of many. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>

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

class AvroValueReader final : public ValueReader {
 public:
  AvroValueReader(AvroReaderOptions options, std::vector<ReadTarget> targets)
      : options_(std::move(options)), targets_(std::move(targets)) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  // What is known of a writer's schema.
  struct Writer {
    AvroScanPlan plan;
    std::string refused;  // why its records can't be rows; "": they can
  };

  // Null: it isn't here, `answer` says more.
  Writer* Find(int32_t id, SchemaLookup::Answer* answer);
  void Compile(const AvroSchema& schema, Writer* writer) const;

  const AvroReaderOptions options_;
  const std::vector<ReadTarget> targets_;
  absl::flat_hash_map<int32_t, std::unique_ptr<Writer>> writers_;
  int32_t last_id_ = 0;
  Writer* last_ = nullptr;
};

}  // namespace tidemark
