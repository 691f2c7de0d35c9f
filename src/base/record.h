// Kafka records as they pass through the seam to the client library: views on the way in, views on the way out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemark {

using Offset = int64_t;

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;

  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const TopicPartition& tp) {
    return H::combine(std::move(h), tp.topic, tp.partition);
  }
};

// "topic-3", as Kafka's own tools write it.
std::string ToString(const TopicPartition& tp);

// A key, value or header value; absent (null) is not the same as empty.
using Bytes = std::optional<std::string_view>;

// One consumed record. The views live as long as the Fetch that holds it.
struct RecordView {
  Offset offset = 0;
  int64_t timestamp_ms = -1;  // -1 where the record has none
  Bytes key;
  Bytes value;
};

using HeaderList = std::vector<std::pair<std::string, std::optional<std::string>>>;

// Some consecutive records of one partition, in offset order, owned. Moves between threads, used by one at a time.
class Fetch {
 public:
  virtual ~Fetch() = default;

  virtual const TopicPartition& source() const = 0;
  virtual std::span<const RecordView> records() const = 0;
  // All headers of record `i`, in order. Slow: only sources that name a header, and dead letters, ask.
  virtual HeaderList Headers(size_t i) const = 0;
};

// One record to be produced. The views must live until Produce returns (the client copies).
struct OutRecord {
  int32_t partition = 0;
  Bytes key;
  Bytes value;
  const HeaderList* headers = nullptr;  // rare; null means none
};

}  // namespace tidemark
