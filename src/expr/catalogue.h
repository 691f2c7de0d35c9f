// Functions by name: which of a name's variants fits the arguments, by PostgreSQL's preferences, and what to say where
// none does.
#pragma once

#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/expr/bound.h"

namespace tidemark::internal {

bool IsFunction(std::string_view name);
// A function whose value depends on when or where it is computed, not on its arguments alone; none of them is there.
bool IsOfTheMoment(std::string_view name);
// What is written for a function that other databases have; "" where nothing comes near.
const char* InsteadOf(std::string_view name);
// The names that a misspelled function may have meant.
std::vector<std::string> FunctionNames();

// The call with its arguments converted as needed.
absl::StatusOr<BoundPtr> CallByName(std::string_view name, std::vector<BoundPtr> args, int position);

}  // namespace tidemark::internal
