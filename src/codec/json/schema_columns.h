// The columns of values by their JSON Schema (any draft; `columns: from_schema`): its properties, in their order.
//
//   boolean                                bool
//   integer                                int64; int32 where minimum and maximum say that it fits
//   number                                 double
//   string                                 string; by format: date-time timestamp, date date; base64 bytes
//   enum, const of one of these            as that
//   object with properties                 each of these, under both names joined by _
//   anything else                          json: arrays, objects of any keys, values of several types, what contains
//                                          itself
//
// Nullable is what isn't required, what may be null (a type in a list, a branch of oneOf or anyOf, an enum with null,
// `nullable`), and what stands below that. $ref leads into the schema itself ("#/$defs/x"), or into one that the
// registry has as its reference, by its name. allOf is all of its parts. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/schema_lookup.h"
#include "src/plan/format_syntax.h"

namespace tidemark {

// InvalidArgument: it isn't JSON or no schema of objects, a $ref leads nowhere, two properties would be one column;
// says where.
absl::StatusOr<std::vector<TakenColumn>> ColumnsOfJsonSchema(std::string_view text,
                                                             const std::vector<WrittenSchema::Reference>& references);

}  // namespace tidemark
