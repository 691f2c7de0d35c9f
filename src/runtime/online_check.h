// `validate --online`: what only the outside can tell. Creates no topic and writes no row; a lake's folder and a
// sink's table (with `create`) are made where they are missing, as that is how write access shows.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// Topics and partition counts, tables in PostgreSQL and their columns, write access to lakes. The text says what was
// found; InvalidArgument lists everything that is wrong, a line each.
absl::StatusOr<std::string> CheckOnline(const Plan& plan);

}  // namespace tidemark
