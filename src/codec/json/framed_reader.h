// JSON whose records name their schema by a number (Confluent's framing): the number is taken off, and has to be one of
// a JSON Schema that the registry has. The schema itself decides nothing, as with Confluent's own reader: columns are
// read from the JSON that is there. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>

#include "src/codec/json/object_reader.h"
#include "src/codec/schema_id.h"
#include "src/codec/schema_lookup.h"
#include "src/codec/value_reader.h"

namespace tidemark {

class FramedJsonReader final : public ValueReader {
 public:
  // `lookup` outlives the reader.
  FramedJsonReader(const std::vector<ReadTarget>& targets, bool array, SchemaPlace place, SchemaLookup* lookup)
      : object_(targets), array_(array), place_(place), lookup_(*lookup) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  // Why records with this number can't be rows ("": they can). Null: nobody knows, and `answer` says more.
  const std::string* Find(int32_t id, SchemaLookup::Answer* answer);

  JsonObjectReader object_;
  const bool array_;
  const SchemaPlace place_;
  SchemaLookup& lookup_;
  absl::flat_hash_map<int32_t, std::string> refused_;  // by number, of those that were found
};

}  // namespace tidemark
