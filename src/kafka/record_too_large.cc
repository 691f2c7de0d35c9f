#include "src/kafka/record_too_large.h"

namespace tidemark {
namespace {

constexpr char kTopic[] = "tidemark/too_large_for_topic";

}  // namespace

absl::Status RecordTooLarge(const std::string& topic, const std::string& message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kTopic, absl::Cord(topic));
  return status;
}

std::optional<std::string> TooLargeForTopic(const absl::Status& status) {
  const auto topic = status.GetPayload(kTopic);
  if (!topic) return std::nullopt;
  return std::string(*topic);
}

}  // namespace tidemark
