// `validate --online`: what only the outside can tell. Changes nothing there: no topic, table or folder is made, no row
// written; it says what a run would make.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// Topics and partition counts, tables in PostgreSQL with their columns and rights, write access to lakes, keys
// that open files. The text says what was found and what a run would make; InvalidArgument lists everything that is
// wrong, a line each.
absl::StatusOr<std::string> CheckOnline(const Plan& plan);

}  // namespace tidemark
