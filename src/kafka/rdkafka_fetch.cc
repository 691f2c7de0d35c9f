#include "src/kafka/rdkafka_fetch.h"

namespace tidemark::rdkafka {
namespace {

Bytes View(const void* data, size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string_view(static_cast<const char*>(data), size);
}

// Messages were made by another thread, most likely on another processor: their memory is asked for some ahead.
constexpr size_t kAhead = 8;

void Prefetch(const rd_kafka_message_t* message) {
  const char* const at = reinterpret_cast<const char*>(message);
  for (int line = -2; line <= 2; ++line) __builtin_prefetch(at + 64 * line);  // librdkafka's own fields are around it
}

}  // namespace

RdFetch::RdFetch(std::shared_ptr<RdHandle> handle, TopicPartition source, rd_kafka_message_t** messages, size_t count)
    : handle_(std::move(handle)), source_(std::move(source)), messages_(messages, messages + count) {
  records_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) Prefetch(messages_[i + kAhead]);
    const rd_kafka_message_t& m = *messages_[i];
    RecordView& r = records_[i];
    r.offset = m.offset;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    r.timestamp_ms = rd_kafka_message_timestamp(&m, &type);
    r.key = View(m.key, m.key_len);
    r.value = View(m.payload, m.len);
  }
}

RdFetch::~RdFetch() {
  for (size_t i = 0; i < messages_.size(); ++i) {
    if (i + kAhead < messages_.size()) Prefetch(messages_[i + kAhead]);
    rd_kafka_message_destroy(messages_[i]);
  }
}

HeaderList RdFetch::Headers(size_t i) const {
  HeaderList list;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(messages_[i], &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return list;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t n = 0; rd_kafka_header_get_all(headers, n, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++n) {
    const Bytes bytes = View(value, size);
    list.emplace_back(name, bytes ? std::optional<std::string>(*bytes) : std::nullopt);
  }
  return list;
}

// librdkafka 2.0.2 has no getters, but writes metadata in a fixed form: "CGMDv2:", the generation as the machine's
// int32, then the group's and the member's id, both ended by a zero byte.
RdGroupMetadata::RdGroupMetadata(rd_kafka_consumer_group_metadata_t* metadata) : metadata_(metadata) {
  constexpr std::string_view kMagic = "CGMDv2:";
  if (metadata == nullptr) return;
  void* buffer = nullptr;
  size_t size = 0;
  const Error error(rd_kafka_consumer_group_metadata_write(metadata, &buffer, &size));
  if (error != nullptr) return;
  const std::string_view text(static_cast<const char*>(buffer), size);
  const size_t group_at = kMagic.size() + sizeof generation_;
  if (text.substr(0, kMagic.size()) == kMagic && text.size() > group_at) {
    std::memcpy(&generation_, text.data() + kMagic.size(), sizeof generation_);
    group_ = text.data() + group_at;
    const size_t member_at = group_at + group_.size() + 1;
    if (member_at < text.size()) member_id_ = text.data() + member_at;
  }
  rd_kafka_mem_free(nullptr, buffer);
}

}  // namespace tidemark::rdkafka
