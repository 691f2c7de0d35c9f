// The text that is committed with an offset: what the next owner of a task, the end watcher and people who look at the
// consumer group can tell from the group's offsets alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/base/time.h"

namespace tidemark {

// What `tidemark reset` commits (reset.h). Beside the offset of a source: the reset isn't done, nothing may be read.
inline constexpr char kResetBegun[] = "tidemark:reset-begun";
// It is: a task without state begins at this offset.
inline constexpr char kStartHere[] = "tidemark:start-here";
// Beside that of the first partition of dead letters, which every application has.
inline constexpr char kResetDone[] = "tidemark:reset-done";
// Of a text in a later form, whatever stands behind it: "tidemark/2:" (src/base/kept_format.h).
inline constexpr char kTextOfFormat[] = "tidemark/";
// What a start ends with meanwhile.
inline constexpr char kResetUnderWay[] =
    "a reset of this topology has begun and isn't done: run `tidemark reset` again, with --execute, before anything "
    "else";

struct OffsetMetadata {
  uint64_t commit = 0;
  std::string identity;  // 16 bytes
  bool busy = false;     // the task has output to give that waits for its next commit
  // Source partitions: nothing is read any more that isn't fixed for this switch, and time stands
  // (generations/drained.h); 0: none. Of a busy task it isn't said; versions that don't know it pass it over.
  int64_t stands_for = 0;
  EventTime max_time = kMinTime;  // source partitions
  EventTime floor = kMinTime;

  std::string ToString() const;
  static std::optional<OffsetMetadata> Parse(std::string_view text);
};

// InvalidArgument: a newer version has committed the text beside `input`.
absl::Status CheckMetadataFormat(std::string_view text, const TopicPartition& input);

}  // namespace tidemark
