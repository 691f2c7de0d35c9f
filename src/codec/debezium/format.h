// Debezium's changes of a table, in JSON or in Avro: a source of this format has a key, and what steps read of it are
// changes of rows (reader.h, avro_reader.h, and operators/changes behind them). Only values that are read.
#pragma once

#include <memory>

#include "src/codec/format.h"
#include "src/codec/schema_lookup.h"

namespace tidemark {

// Without a registry: for plans, and for JSON.
const Format& DebeziumFormat();
// With the one that records in Avro name schemas of. `lookup` outlives the format.
std::unique_ptr<const Format> MakeDebeziumFormat(SchemaLookup* lookup);

}  // namespace tidemark
