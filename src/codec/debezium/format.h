// Debezium's changes of a table, in JSON: a source of this format has a key, and what steps read of it are changes of
// rows (reader.h, and operators/changes behind it). Only values that are read.
#pragma once

#include "src/codec/format.h"

namespace tidemark {

const Format& DebeziumFormat();

}  // namespace tidemark
