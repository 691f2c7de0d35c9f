// The plans by which values, or keys, of many types are read into the same columns: one is compiled for each type when
// its first record comes, which names it by the number of a schema and the place of a message in it. Used by one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "src/codec/protobuf/scan_plan.h"
#include "src/codec/protobuf/schema.h"
#include "src/codec/schema_id.h"
#include "src/codec/schema_lookup.h"
#include "src/codec/value_reader.h"

namespace tidemark {

// Takes the indexes of a message off the front; false: there are none.
bool TakeMessageIndexes(std::string_view* from, std::vector<int64_t>* indexes);
// In the shorter spelling.
std::string MessageIndexes(const std::vector<int64_t>& indexes);

struct ProtobufReaderOptions {
  SchemaPlace place = SchemaPlace::kNowhere;
  std::shared_ptr<const ProtobufSchema> schema;  // of all records, whatever number they name; null: the lookup's
  std::string message;                           // which all records must be; "": any
  SchemaLookup* lookup = nullptr;                // outlives the reader
};

class ProtobufPlans {
 public:
  // What a record is found to be.
  struct Found {
    ProtobufScanPlan* plan = nullptr;
    std::string refused;  // why it can't be a row
    std::string later;    // what it waits for
  };

  ProtobufPlans(ProtobufReaderOptions options, std::vector<ReadTarget> targets)
      : options_(std::move(options)), targets_(std::move(targets)) {}

  // Of a record that says this of its schema and type; no indexes: it says nothing.
  Found Find(int32_t id, const std::vector<int64_t>& indexes);

 private:
  struct Schema {
    std::shared_ptr<const ProtobufSchema> schema;  // null: it was refused
    std::string refused;
  };

  const Schema* FindSchema(int32_t id, Found* found);

  const ProtobufReaderOptions options_;
  const std::vector<ReadTarget> targets_;
  absl::flat_hash_map<int32_t, Schema> schemas_;
  absl::flat_hash_map<std::string, std::unique_ptr<ProtobufScanPlan>> plans_;  // by what records say
};

}  // namespace tidemark
