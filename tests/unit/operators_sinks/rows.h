// Batches written down as JSON, for the tests of the sinks.
#pragma once

#include <string_view>
#include <vector>

#include "src/base/batch.h"
#include "src/base/schema.h"

namespace tidemark {

// "int64", "string?", ... : a column, nullable with a question mark.
Column Col(const char* name, std::string_view type);

// [[1, "a"], [2, null]]: the visible columns; `ops`, one a row, make it a batch of an update step.
Batch Rows(const Schema& schema, std::string_view json, const std::vector<Op>& ops = {});

}  // namespace tidemark
