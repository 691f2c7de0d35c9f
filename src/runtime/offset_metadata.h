// The text that is committed with an offset: what the next owner of a task, the end watcher and people who look at the
// consumer group can tell from the group's offsets alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/time.h"

namespace tidemark {

struct OffsetMetadata {
  uint64_t commit = 0;
  std::string identity;           // 16 bytes
  bool busy = false;              // the task has output to give that waits for its next commit
  EventTime max_time = kMinTime;  // source partitions
  EventTime floor = kMinTime;

  std::string ToString() const;
  static std::optional<OffsetMetadata> Parse(std::string_view text);
};

}  // namespace tidemark
