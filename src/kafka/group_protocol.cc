#include "src/kafka/group_protocol.h"

#include <cstdint>

namespace tidemark {
namespace {

class BigEndianText {
 public:
  explicit BigEndianText(std::string_view bytes) : left_(bytes) {}

  // What isn't there is 0, or empty; ok() then tells.
  int64_t Number(size_t size) {
    if (left_.size() < size) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(left_[i]);
    left_.remove_prefix(size);
    const unsigned unused = 64 - 8 * static_cast<unsigned>(size);
    return static_cast<int64_t>(value << unused) >> unused;
  }
  std::string Text() {
    const int64_t size = Number(2);
    if (size < 0 || static_cast<size_t>(size) > left_.size()) {
      ok_ = false;
      return "";
    }
    std::string text(left_.substr(0, static_cast<size_t>(size)));
    left_.remove_prefix(static_cast<size_t>(size));
    return text;
  }
  bool ok() const { return ok_; }

 private:
  std::string_view left_;
  bool ok_ = true;
};

absl::Status Damaged(const char* what) {
  return absl::DataLossError(std::string("a member's ") + what + " can't be read");
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseSubscription(std::string_view bytes) {
  BigEndianText in(bytes);
  in.Number(2);
  std::vector<std::string> topics;
  for (int64_t left = in.Number(4); left > 0 && in.ok(); --left) topics.push_back(in.Text());
  if (!in.ok()) return Damaged("subscription");
  return topics;
}

absl::StatusOr<std::vector<TopicPartition>> ParseAssignment(std::string_view bytes) {
  std::vector<TopicPartition> partitions;
  if (bytes.empty()) return partitions;
  BigEndianText in(bytes);
  in.Number(2);
  for (int64_t topics = in.Number(4); topics > 0 && in.ok(); --topics) {
    const std::string topic = in.Text();
    for (int64_t left = in.Number(4); left > 0 && in.ok(); --left) {
      partitions.push_back({topic, static_cast<int32_t>(in.Number(4))});
    }
  }
  if (!in.ok()) return Damaged("assignment");
  return partitions;
}

}  // namespace tidemark
