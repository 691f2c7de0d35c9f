// Environment variables in the scalars of a topology file. Applied after the YAML is parsed, so that what a variable
// holds can change a value but never the structure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace tidemark {

// The value of an environment variable; nothing where it is unset.
using EnvLookup = std::function<std::optional<std::string>(const std::string& name)>;

// The environment of this process.
EnvLookup ProcessEnvironment();

// Replaces `${X}` and `${X:-default}` (unset or empty), and `$${` by a literal `${`. A default may hold
// variables in turn, `${A:-${B:-c}}`. What a variable holds isn't looked at again.
absl::StatusOr<std::string> Substitute(std::string_view text, const EnvLookup& env);

}  // namespace tidemark
