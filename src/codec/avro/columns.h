// The columns that an Avro schema has, for `columns: from_schema`: its fields in their order, those of records within
// it under their names joined by _, each with the type that loses nothing of it. What no column can hold (unions of
// several types, a decimal of more than 38 digits) is left out, and so are arrays and maps where they aren't asked for:
// then each is a json column.
#pragma once

#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/avro/schema.h"
#include "src/plan/format_syntax.h"

namespace tidemark {

// InvalidArgument: it is no record, it has no field that a column can hold, or two columns would have one name.
absl::StatusOr<std::vector<TakenColumn>> ColumnsOfAvro(const AvroSchema& schema, bool nested);

}  // namespace tidemark
