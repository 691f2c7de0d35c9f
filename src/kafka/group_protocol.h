// What members of a consumer group tell each other through their coordinator: the bytes that the client library hands
// out as they came. Both texts are Kafka's `consumer` protocol: version (int16), then arrays with an int32 count,
// strings with an int16 length, all big-endian. What later versions put behind is not needed here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/record.h"

namespace tidemark {

// The topics that a member asks for. DataLoss: not such a text.
absl::StatusOr<std::vector<std::string>> ParseSubscription(std::string_view bytes);
// The partitions that a member was given; an empty text: none.
absl::StatusOr<std::vector<TopicPartition>> ParseAssignment(std::string_view bytes);

}  // namespace tidemark
