// A row that a sink on an external system could not take: what the dead-letter topic gets to hear. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

namespace tidemark {

struct SinkRowFailure {
  std::string row_json;  // the visible columns, as RowToJson writes them
  std::string reason;
};

// Where a sink's failures go. Called by the sink's own thread, inside the sink's calls.
using SinkFailures = absl::FunctionRef<absl::Status(const std::vector<SinkRowFailure>&)>;

}  // namespace tidemark
