#include "src/runtime/dead_letter.h"

#include <xxhash.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/codec/json_encoder.h"

namespace tidemark {
namespace {

HeaderList Where(std::string_view step, const TopicPartition& input, std::string_view reason) {
  return {{"tidemark.reason", std::string(reason)},
          {"tidemark.step", std::string(step)},
          {"tidemark.source.topic", input.topic},
          {"tidemark.source.partition", absl::StrCat(input.partition)}};
}

// Cuts what is too large for a record and says in headers what it was.
Bytes Cut(Bytes bytes, size_t limit, std::string_view what, HeaderList* headers) {
  if (!bytes || bytes->size() <= limit) return bytes;
  const std::string prefix = absl::StrCat("tidemark.original.", std::string(what));
  headers->emplace_back(prefix + ".size", absl::StrCat(bytes->size()));
  headers->emplace_back(prefix + ".xxh3", absl::StrFormat("%016x", XXH3_64bits(bytes->data(), bytes->size())));
  return bytes->substr(0, kCutDeadLetterBytes);
}

}  // namespace

absl::Status DeadLetters::Record(std::string_view step, const TopicPartition& source, const RecordView& record,
                                 HeaderList record_headers, std::string_view reason) {
  HeaderList headers = Where(step, source, reason);
  headers.emplace_back("tidemark.source.offset", absl::StrCat(record.offset));
  headers.emplace_back("tidemark.source.timestamp", absl::StrCat(record.timestamp_ms));
  size_t header_bytes = 0;
  for (auto& [name, value] : record_headers) {
    header_bytes += name.size() + (value ? value->size() : 0);
    if (header_bytes > kCutDeadLetterBytes) break;
    headers.emplace_back(std::move(name), std::move(value));
  }
  return Produce(record.key, record.value, std::move(headers));
}

absl::Status DeadLetters::Row(std::string_view step, TopicPartition input, const RowFailure& failure,
                              const std::vector<SourcePlan>& sources) {
  const auto row = static_cast<size_t>(failure.row);
  const int64_t* offsets = HiddenInt64(*failure.batch, Hidden::kOffset);
  const int32_t* source = HiddenInt32(*failure.batch, Hidden::kSource);
  const int32_t* partition = HiddenInt32(*failure.batch, Hidden::kPartition);
  const bool has_place = offsets != nullptr && offsets[row] >= 0;
  // Where they are not carried, the task has one source, and reads the row's own partition of it.
  if (has_place && source != nullptr) input.topic = sources[static_cast<size_t>(source[row])].topic;
  if (has_place && partition != nullptr) input.partition = partition[row];
  HeaderList headers = Where(step, input, failure.reason);
  if (has_place) headers.emplace_back("tidemark.source.offset", absl::StrCat(offsets[row]));
  headers.emplace_back("tidemark.expression", failure.expression);
  const std::string value = RowToJson(*failure.schema, *failure.batch, failure.row);
  return Produce(std::nullopt, value, std::move(headers));
}

absl::Status DeadLetters::Text(std::string_view step, const TopicPartition& input, std::string_view value,
                               std::string_view reason) {
  return Produce(std::nullopt, value, Where(step, input, reason));
}

absl::Status DeadLetters::Produce(Bytes key, Bytes value, HeaderList headers) {
  ++written_;
  // Key, value and headers together must fit a record.
  key = Cut(key, kCutDeadLetterBytes, "key", &headers);
  value = Cut(value, kMaxDeadLetterBytes, "value", &headers);
  return transaction_->Produce(topic_, {{partition_, key, value, &headers}});
}

}  // namespace tidemark
