// JSON: a value is one object, its columns by name and path; with the option `array` (values that are read) an array of
// objects, a row each. Keys are objects of their columns. With `schema_id` records name a JSON Schema in a registry, as
// Confluent's serializers write them.
#pragma once

#include <memory>

#include "src/codec/format.h"
#include "src/codec/schema_lookup.h"

namespace tidemark {

const Format& JsonFormat();
// With the registry that records name schemas of. `lookup` outlives the format.
std::unique_ptr<const Format> MakeJsonFormat(SchemaLookup* lookup);
// That takes columns from a registry's schemas, for plans.
std::unique_ptr<const Format> MakeJsonFormat(TakeSchema take);

}  // namespace tidemark
