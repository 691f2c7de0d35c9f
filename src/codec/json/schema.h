// The JSON Schema (draft 7) of what a JsonValueWriter writes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/schema.h"

namespace tidemark {

// An object of these columns and no others, so that by a registry's rule a later version may have more of them; those
// that can't be NULL are required.
//
//   bool                    boolean
//   int32, int64            integer
//   double, decimal         number (a double that is NaN or infinite is written as text all the same)
//   string                  string
//   bytes                   string, in base64
//   date, timestamp         string, of that format
//   timestamp_s, _ms, _us   integer
//   json                    anything
//   nullable                that, or null
std::string JsonSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view title);

}  // namespace tidemark
