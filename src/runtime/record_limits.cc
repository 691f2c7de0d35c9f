#include "src/runtime/record_limits.h"

#include <algorithm>
#include <memory>
#include <set>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/compression.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/kafka/record_too_large.h"
#include "src/runtime/runtime.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr int64_t kBatchHeaderBytes = 61;
// Of a record: lengths, attributes, and differences to the batch's first, each at its longest.
constexpr int64_t kRecordBytes = 40;
constexpr int64_t kHeaderLengths = 10;
// A producer's batches stay this much below a topic's limit.
constexpr int64_t kBatchRoom = 1 << 10;
constexpr int64_t kUsualBatchBytes = 1'000'000;      // librdkafka's default
constexpr int64_t kClientBytes = int64_t{64} << 20;  // as src/kafka/rdkafka_producer.cc sets it
constexpr size_t kLz4Block = 64 << 10;               // which the client compresses each by itself

std::optional<int64_t> UsersNumber(const Plan& plan, std::string_view property) {
  for (const auto& [name, value] : plan.kafka.properties) {
    int64_t number = 0;
    if (name == property && absl::SimpleAtoi(value, &number)) return number;
  }
  return std::nullopt;
}

int64_t CompressedSize(arrow::util::Codec& codec, std::string_view text) {
  const auto* input = reinterpret_cast<const uint8_t*>(text.data());
  const auto length = static_cast<int64_t>(text.size());
  std::string out(static_cast<size_t>(codec.MaxCompressedLen(length, input)), '\0');
  const auto size =
      codec.Compress(length, input, static_cast<int64_t>(out.size()), reinterpret_cast<uint8_t*>(&out[0]));
  return size.ok() ? std::min(*size, length) : length;
}

// What the client's compression makes of a text, at its usual level; as it is where the codec isn't one.
int64_t CompressedSize(const std::string& name, std::string_view text) {
  const auto size = static_cast<int64_t>(text.size());
  const bool lz4 = name == "lz4";
  const auto kind = lz4 ? arrow::Result(arrow::Compression::LZ4) : arrow::util::Codec::GetCompressionType(name);
  if (!kind.ok()) return size;
  const int level = name == "gzip" ? 6 : name == "zstd" ? 3 : arrow::util::kUseDefaultCompressionLevel;
  auto codec = arrow::util::Codec::Create(*kind, level);
  if (!codec.ok() || *codec == nullptr) return size;
  if (!lz4) return CompressedSize(**codec, text);
  int64_t sum = 0;
  for (size_t at = 0; at < text.size(); at += kLz4Block) {
    sum += 4 + CompressedSize(**codec, text.substr(at, kLz4Block));
  }
  return std::min(sum, size);
}

std::string HowToRaise(const std::string& topic) {
  return absl::StrCat("raise it (kafka-configs.sh --alter --entity-type topics --entity-name ", topic,
                      " --add-config max.message.bytes=...), or make the rows smaller");
}

}  // namespace

int64_t HeaderBytes(const HeaderList& headers) {
  int64_t bytes = 0;
  for (const auto& [name, value] : headers) {
    bytes += kHeaderLengths + static_cast<int64_t>(name.size() + (value ? value->size() : 0));
  }
  return bytes;
}

int64_t BatchBytes(const OutRecord& record, int64_t header_bytes) {
  const size_t bytes = (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
  return kBatchHeaderBytes + kRecordBytes + header_bytes + static_cast<int64_t>(bytes);
}

std::optional<std::string> WhyTooLarge(const OutRecord& record, const std::string& topic, const RecordLimit& limit) {
  const int64_t plain = BatchBytes(record, record.headers != nullptr ? HeaderBytes(*record.headers) : 0);
  if (limit.FitsPlain(plain)) return std::nullopt;
  if (plain > limit.client_bytes) {
    return absl::StrCat("a record of ", plain, " bytes for topic ", topic,
                        " is larger than the client takes: ", limit.client_bytes, " before compression");
  }
  std::string text;
  for (const Bytes& part : {record.key, record.value}) {
    if (part) text.append(*part);
  }
  for (const auto& [name, value] : record.headers != nullptr ? *record.headers : HeaderList()) {
    absl::StrAppend(&text, name, value.value_or(""));
  }
  for (const std::string& codec : limit.codecs) {
    const int64_t packed = CompressedSize(codec, text);
    // Two hundredths more: the client's level may be another, and it sees the record's lengths between its bytes.
    const int64_t size = plain - static_cast<int64_t>(text.size()) + packed + packed / 50;
    if (size <= limit.batch_bytes) continue;
    const bool compressed = packed < static_cast<int64_t>(text.size());
    return absl::StrCat("a record of ", plain, " bytes", compressed ? absl::StrCat(" (", size, " as ", codec, ")") : "",
                        " is larger than topic ", topic, " takes: max.message.bytes is ", limit.batch_bytes);
  }
  return std::nullopt;
}

RecordLimits::RecordLimits(const Plan& plan) : plan_(plan) {
  const int64_t client_bytes = UsersNumber(plan, "message.max.bytes").value_or(kClientBytes);
  std::set<std::string> topics = SideTopics(plan);
  topics.insert(plan.dead_letter_topic);
  std::map<std::string, std::string> codecs;
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka == nullptr) continue;
    topics.insert(kafka->topic);
    codecs[kafka->topic] = kafka->compression;
  }
  for (const SourcePlan& source : plan.sources) {
    if (source.intake()) topics.insert(source.topic);
  }
  for (const std::string& topic : topics) {
    RecordLimit& limit = limits_[topic];
    limit.client_bytes = client_bytes;
    limit.codecs = {codecs[topic].empty() ? "lz4" : codecs[topic]};
  }
}

absl::Status RecordLimits::Read(Admin& admin) {
  std::vector<std::string> topics;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [topic, limit] : limits_) topics.push_back(topic);
  }
  TM_ASSIGN_OR_RETURN(const auto found, admin.Limits(topics));
  {
    const absl::MutexLock lock(&mutex_);
    bool changed = false;
    for (const auto& [topic, told] : found) {
      RecordLimit& limit = limits_[topic];
      std::vector<std::string> codecs = {limit.codecs.front()};
      if (told.compression != "producer" && told.compression != codecs[0]) codecs.push_back(told.compression);
      const int64_t bytes = told.batch_bytes > 0 ? told.batch_bytes : limit.batch_bytes;
      changed = changed || bytes != limit.batch_bytes || codecs != limit.codecs;
      limit.batch_bytes = bytes;
      limit.codecs = std::move(codecs);
    }
    if (changed) ++version_;
  }
  for (const std::string& topic : LetterTopics(plan_)) {
    const int64_t bytes = Of(topic).batch_bytes;
    if (bytes >= kLeastDeadLetterBytes) continue;
    return absl::InvalidArgumentError(absl::StrCat("the dead-letter topic '", topic, "' takes records of ", bytes,
                                                   " bytes (max.message.bytes), and ", kLeastDeadLetterBytes,
                                                   " is the least that dead letters need"));
  }
  return CheckBatchSize();
}

// What the user sets comes last, see src/kafka/rdkafka_handle.cc.
absl::Status RecordLimits::CheckBatchSize() const {
  const std::optional<int64_t> users = UsersNumber(plan_, "batch.size");
  if (!users) return absl::OkStatus();
  const absl::MutexLock lock(&mutex_);
  for (const auto& [topic, limit] : limits_) {
    if (*users <= limit.batch_bytes - kBatchRoom) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "kafka property 'batch.size' is ", *users, ", but topic '", topic, "' takes batches of ", limit.batch_bytes,
        " bytes (max.message.bytes): at most ", limit.batch_bytes - kBatchRoom, " is safe"));
  }
  return absl::OkStatus();
}

int64_t RecordLimits::version() const {
  const absl::MutexLock lock(&mutex_);
  return version_;
}

absl::Status RecordLimits::Explain(const absl::Status& refused, int64_t version, Admin& admin) {
  const std::optional<std::string> topic = TooLargeForTopic(refused);
  if (!topic) return refused;
  if (this->version() == version) TM_RETURN_IF_ERROR(Read(admin));
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = limits_.find(*topic);
    if (found == limits_.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          refused.message(), ": internal topics need a max.message.bytes of 17825792: ", HowToRaise(*topic)));
    }
    if (version_ == version && found->second.batch_bytes == RecordLimit().batch_bytes) {  // they wouldn't tell
      found->second.batch_bytes = kDefaultBatchBytes;
      ++version_;
    }
    if (version_ == version) {
      return absl::InvalidArgumentError(absl::StrCat(refused.message(), "; the topic's max.message.bytes is ",
                                                     found->second.batch_bytes, ": ", HowToRaise(*topic)));
    }
    LOG(WARNING) << "topic " << *topic << " takes batches of " << found->second.batch_bytes
                 << " bytes now (max.message.bytes); larger rows become dead letters";
  }
  return absl::UnknownError(refused.message());
}

RecordLimit RecordLimits::Of(const std::string& topic) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = limits_.find(topic);
  return found == limits_.end() ? RecordLimit() : found->second;
}

int64_t RecordLimits::ProducerBatchBytes() const {
  int64_t bytes = kUsualBatchBytes;
  const absl::MutexLock lock(&mutex_);
  for (const auto& [topic, limit] : limits_) bytes = std::min(bytes, limit.batch_bytes - kBatchRoom);
  return std::max<int64_t>(bytes, 1);
}

int64_t DeadLetterBytes(const Runtime& runtime) { return DeadLetterBytes(runtime, runtime.plan->dead_letter_topic); }

int64_t DeadLetterBytes(const Runtime& runtime, const std::string& topic) {
  return runtime.limits == nullptr ? kDefaultBatchBytes : runtime.limits->Of(topic).batch_bytes;
}

int64_t ProducerBatchBytes(const Runtime& runtime) {
  return runtime.limits == nullptr ? kUsualBatchBytes : runtime.limits->ProducerBatchBytes();
}

int64_t LimitsVersion(const Runtime& runtime) { return runtime.limits == nullptr ? 0 : runtime.limits->version(); }

absl::Status ExplainRefusal(const Runtime& runtime, const absl::Status& refused, int64_t version) {
  return runtime.limits == nullptr ? refused : runtime.limits->Explain(refused, version, runtime.kafka->admin());
}

}  // namespace tidemark
