// The brokers' refusal of a record for its size: InvalidArgument, as it would recur, that carries the topic, so that
// whoever knows of limits can look them up again (src/runtime/record_limits.h).
#pragma once

#include <optional>
#include <string>

#include <absl/status/status.h>

namespace tidemark {

absl::Status RecordTooLarge(const std::string& topic, const std::string& message);

// The topic that a record was too large for; nothing where the status says something else.
std::optional<std::string> TooLargeForTopic(const absl::Status& status);

}  // namespace tidemark
