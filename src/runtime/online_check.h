// `validate --online`: what only the outside can tell. Changes nothing, except that a lake's folder is made.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"

namespace tidemark {

// Topics and partition counts, tables in PostgreSQL and their columns, write access to lakes. The text says what was
// found; InvalidArgument lists everything that is wrong, a line each.
absl::StatusOr<std::string> CheckOnline(const Plan& plan);

}  // namespace tidemark
