// Arrow columns as PostgreSQL arrays in binary form, to be unnested by a prepared statement. Free functions, any
// thread.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/status.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"

namespace tidemark {

// The SQL type that holds a column of that type: "bigint", "timestamp with time zone", "numeric(10,2)".
std::string PostgresTypeName(const Type& type);
// Object ids of the type's array and of its elements; fixed in every PostgreSQL.
struct PostgresOids {
  uint32_t array = 0, element = 0;
};
PostgresOids PostgresArrayOids(const Type& type);

// Replaces `out` by the array of `column` (in ArrowType(type)). A date or time outside the database's range becomes one
// that the server refuses as out of range, so that the row fails and not the batch.
absl::Status EncodePostgresArray(const Type& type, const arrow::Array& column, std::string* out);

}  // namespace tidemark
