#include "src/runtime/dead_letter.h"

#include <algorithm>
#include <atomic>

#include <xxhash.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/intake_names.h"
#include "src/codec/json/value_writer.h"

namespace tidemark {
namespace {

// The batch around a letter, and the headers that say what was cut.
constexpr int64_t kEnvelopeBytes = 1 << 10;

std::atomic<int64_t> letters_cut = 0;

// Cuts what is too large for a record and says in headers what it was.
Bytes Cut(Bytes bytes, size_t limit, size_t left, std::string_view what, HeaderList* headers) {
  if (!bytes || bytes->size() <= limit) return bytes;
  const std::string prefix = absl::StrCat("tidemark.original.", std::string(what));
  headers->emplace_back(prefix + ".size", absl::StrCat(bytes->size()));
  headers->emplace_back(prefix + ".xxh3", absl::StrFormat("%016x", XXH3_64bits(bytes->data(), bytes->size())));
  return bytes->substr(0, left);
}

size_t SizeOf(const HeaderList& headers) { return static_cast<size_t>(HeaderBytes(headers)); }

}  // namespace

int64_t DeadLettersCut() { return letters_cut; }

DeadLetters::DeadLetters(std::string topic, int32_t partitions, int32_t task_partition, Transaction* transaction,
                         int64_t batch_bytes)
    : topic_(std::move(topic)),
      partition_(task_partition % partitions),
      transaction_(transaction),
      room_(static_cast<size_t>(std::clamp(batch_bytes, kLeastDeadLetterBytes, kDefaultBatchBytes) - kEnvelopeBytes)),
      share_(room_ / 8) {}

// Texts of ours may quote what they are about; the beginning of them says enough. Not in the middle of a character.
std::string DeadLetters::Shortened(std::string_view text) const {
  size_t size = std::min(kMaxReasonBytes, share_);
  if (text.size() <= size) return std::string(text);
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return absl::StrCat(std::string(text.substr(0, size)), "... (", text.size(), " bytes)");
}

HeaderList DeadLetters::Where(std::string_view step, const TopicPartition& input, std::string_view reason) const {
  return {{"tidemark.reason", Shortened(reason)},
          {"tidemark.step", std::string(step)},
          {"tidemark.source.topic", input.topic},
          {"tidemark.source.partition", absl::StrCat(input.partition)}};
}

HeaderList DeadLetters::WhereOfRow(std::string_view step, TopicPartition input, std::string_view reason,
                                   const arrow::RecordBatch* rows, int64_t at,
                                   const std::vector<SourcePlan>& sources) const {
  const auto row = static_cast<size_t>(at);
  const int64_t* offsets = rows == nullptr ? nullptr : HiddenInt64(*rows, Hidden::kOffset);
  if (offsets == nullptr || offsets[row] < 0) return Where(step, input, reason);
  const int32_t* source = HiddenInt32(*rows, Hidden::kSource);
  const int32_t* partition = HiddenInt32(*rows, Hidden::kPartition);
  // Where they are not carried, the task has one source, and reads the row's own partition of it. A row that waited in
  // state may be of a source that the topology no longer has.
  if (source != nullptr) {
    const auto from =
        std::find_if(sources.begin(), sources.end(), [&](const SourcePlan& each) { return each.order == source[row]; });
    if (from == sources.end()) return Where(step, input, reason);
    input.topic = from->topic;
  }
  if (partition != nullptr) input.partition = partition[row];
  HeaderList headers = Where(step, input, reason);
  headers.emplace_back("tidemark.source.offset", absl::StrCat(offsets[row]));
  return headers;
}

absl::Status DeadLetters::Record(std::string_view step, const TopicPartition& source, const RecordView& record,
                                 HeaderList record_headers, std::string_view reason) {
  HeaderList headers = Where(step, source, reason);
  headers.emplace_back("tidemark.source.offset", absl::StrCat(record.offset));
  headers.emplace_back("tidemark.source.timestamp", absl::StrCat(record.timestamp_ms));
  size_t theirs = 0;
  for (auto& [name, value] : record_headers) {
    theirs += SizeOf({{name, value}});
    if (theirs > std::min(kCutDeadLetterBytes, share_)) break;
    headers.emplace_back(std::move(name), std::move(value));
  }
  return Produce(record.key, record.value, std::move(headers));
}

absl::Status DeadLetters::Row(std::string_view step, TopicPartition input, const RowFailure& failure,
                              const std::vector<SourcePlan>& sources, std::string_view batch) {
  HeaderList headers = WhereOfRow(step, std::move(input), failure.reason, failure.batch.get(), failure.row, sources);
  if (!batch.empty()) headers.emplace_back(kIntakeBatchHeader, Shortened(batch));
  if (!failure.rule.empty()) headers.emplace_back("tidemark.rule", Shortened(failure.rule));
  if (!failure.expression.empty()) headers.emplace_back("tidemark.expression", Shortened(failure.expression));
  const std::string value = RowToJson(*failure.schema, *failure.batch, failure.row);
  return Produce(std::nullopt, value, std::move(headers));
}

absl::Status DeadLetters::Refused(std::string_view step, TopicPartition input, const RefusedRecord& refused,
                                  const std::vector<SourcePlan>& sources) {
  return Produce(refused.record.key, refused.record.value,
                 WhereOfRow(step, std::move(input), refused.reason, refused.rows.get(), refused.row, sources));
}

absl::Status DeadLetters::Outside(std::string_view source, std::string_view value, const HeaderList& place,
                                  std::string_view reason) {
  HeaderList headers = {{"tidemark.reason", Shortened(reason)}, {"tidemark.step", std::string(source)}};
  for (const auto& [name, text] : place) headers.emplace_back(name, text ? Shortened(*text) : std::string());
  return Produce(std::nullopt, value, std::move(headers));
}

absl::Status DeadLetters::Text(std::string_view step, const TopicPartition& input, std::string_view value,
                               std::string_view reason) {
  return Produce(std::nullopt, value, Where(step, input, reason));
}

absl::Status DeadLetters::Produce(Bytes key, Bytes value, HeaderList headers) {
  ++written_;
  const size_t before = headers.size();
  const size_t key_bytes = std::min(kCutDeadLetterBytes, share_);
  key = Cut(key, key_bytes, key_bytes, "key", &headers);
  const size_t others = SizeOf(headers) + (key ? key->size() : 0);
  const size_t left = room_ > others ? room_ - others : 0;
  value = Cut(value, std::min(kMaxDeadLetterBytes, left), std::min(kCutDeadLetterBytes, left), "value", &headers);
  if (headers.size() > before) ++letters_cut;
  return transaction_->Produce(topic_, {{partition_, key, value, &headers}});
}

}  // namespace tidemark
