// Protobuf: values are messages, of one schema in a file or each of its own, found by its number in a registry. Columns
// are read by name and path; what is written has a schema that follows from the columns, or that a file has.
#pragma once

#include <memory>

#include "src/codec/format.h"
#include "src/codec/schema_lookup.h"

namespace tidemark {

// Without a registry: for plans, and for what a file is the schema of.
const Format& ProtobufFormat();
// With the one that records name schemas of. `lookup` outlives the format.
std::unique_ptr<const Format> MakeProtobufFormat(SchemaLookup* lookup);
// For plans too, where `columns: from_schema` may ask a registry for the newest schema of a subject.
std::unique_ptr<const Format> MakeProtobufFormat(TakeSchema take);

}  // namespace tidemark
