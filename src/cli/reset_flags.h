// The flags of `tidemark reset` that say where to begin.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "src/runtime/reset.h"

namespace tidemark {

struct ResetFlags {
  bool earliest = false, latest = false;
  std::string timestamp, offsets, shift_by;  // empty: not stated
};

// InvalidArgument: not exactly one of them, one that can't be read, or a file that can't.
absl::StatusOr<ResetTo> ResetPlace(const ResetFlags& flags);

}  // namespace tidemark
