// Small files that are read whole: topologies and what they name. Blocks; any thread may call.
#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace tidemark {

// InvalidArgument: why it can't be read, in the system's words.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace tidemark
