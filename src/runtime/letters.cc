#include "src/runtime/letters.h"

#include <algorithm>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arrow/builder.h>
#include <arrow/util/utf8.h>
#include <glog/logging.h>

#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/runtime/log_range.h"

namespace tidemark {
namespace {

// Letters that are looked at together.
constexpr size_t kTogether = 500;
constexpr int64_t kTogetherBytes = int64_t{16} << 20;

// The one that Record (dead_letter.h) alone writes; it stands before the record's own headers.
constexpr const char* kTimestamp = "tidemark.source.timestamp";
constexpr const char* kOriginal = "tidemark.original.";

template <typename T>
std::optional<T> Number(const std::string& text) {
  T number = 0;
  return absl::SimpleAtoi(text, &number) ? std::optional<T>(number) : std::nullopt;
}

// What was cut is said behind everything else.
void TakeCut(HeaderList* headers, Letter* letter) {
  while (!headers->empty() && absl::StartsWith(headers->back().first, kOriginal)) {
    const auto& [name, text] = headers->back();
    if (name == "tidemark.original.key.xxh3") letter->cut_key = text;
    if (name == "tidemark.original.value.xxh3") letter->cut_value = text;
    headers->pop_back();
  }
}

std::optional<std::string> Owned(Bytes bytes) {
  return bytes ? std::optional<std::string>(std::string(*bytes)) : std::nullopt;
}

// Columns of letters, one value each.
class Columns {
 public:
  explicit Columns(size_t rows) : rows_(static_cast<int64_t>(rows)) {}

  template <typename Builder, typename Get>
  void Add(const std::vector<Letter>& letters, Builder builder, Get get) {
    for (const Letter& letter : letters) {
      const auto value = get(letter);
      Must(value ? builder.Append(*value) : builder.AppendNull());
    }
    Must(builder.Finish(&arrays_.emplace_back()));
  }
  Batch Finish() { return arrow::RecordBatch::Make(BatchSchema(LetterSchema(), HiddenSet()), rows_, arrays_); }

 private:
  static void Must(const arrow::Status& status) { CHECK(status.ok()) << status.ToString(); }

  const int64_t rows_;
  std::vector<std::shared_ptr<arrow::Array>> arrays_;
};

std::optional<std::string> Text(const std::optional<std::string>& bytes) {
  if (!bytes || !arrow::util::ValidateUTF8(*bytes)) return std::nullopt;
  return bytes;
}

int64_t BytesOf(const Letter& letter) {
  return static_cast<int64_t>((letter.key ? letter.key->size() : 0) + (letter.value ? letter.value->size() : 0));
}

}  // namespace

Letter ReadLetter(const TopicPartition& log, const RecordView& record, HeaderList headers) {
  Letter letter;
  letter.log = log;
  letter.offset = record.offset;
  letter.timestamp_ms = record.timestamp_ms;
  letter.key = Owned(record.key);
  letter.value = Owned(record.value);
  TakeCut(&headers, &letter);
  for (auto& [name, value] : headers) {
    if (letter.of_record) {
      letter.headers.emplace_back(std::move(name), std::move(value));
      continue;
    }
    const std::string text = std::move(value).value_or("");
    if (name == "tidemark.reason") letter.reason = text;
    if (name == "tidemark.step") letter.step = text;
    if (name == kIntakeBatchHeader) letter.batch = text;
    if (name == "tidemark.rule") letter.rule = text;
    if (name == "tidemark.expression") letter.expression = text;
    if (name == kIntakeFileHeader) letter.file = text;
    if (name == kIntakeLineHeader) letter.line = text;
    if (name == kIntakeLsnHeader) letter.lsn = text;
    if (name == kIntakeClientHeader) letter.client = text;
    if (name == kIntakeRequestHeader) letter.request = text;
    if (name == "tidemark.source.topic") letter.source_topic = text;
    if (name == "tidemark.source.partition") letter.source_partition = Number<int32_t>(text);
    if (name == "tidemark.source.offset") letter.source_offset = Number<Offset>(text);
    if (name == kTimestamp) letter.of_record = true;
  }
  return letter;
}

const Schema& LetterSchema() {
  static const auto* const schema = new Schema({{"letter_partition", {Kind::kInt32}},
                                                {"letter_offset", {Kind::kInt64}},
                                                {"time", {Kind::kTimestamp}},
                                                {"step", {Kind::kString}},
                                                {"reason", {Kind::kString}},
                                                {"batch", {Kind::kString}, true},
                                                {"rule", {Kind::kString}, true},
                                                {"expression", {Kind::kString}, true},
                                                {"file", {Kind::kString}, true},
                                                {"client", {Kind::kString}, true},
                                                {"source_topic", {Kind::kString}, true},
                                                {"source_partition", {Kind::kInt32}, true},
                                                {"source_offset", {Kind::kInt64}, true},
                                                {"key", {Kind::kString}, true},
                                                {"value", {Kind::kString}, true}});
  return *schema;
}

Batch LetterRows(const std::vector<Letter>& letters) {
  arrow::util::InitializeUTF8();
  using L = const Letter&;
  Columns columns(letters.size());
  const auto text = [&](auto get) { columns.Add(letters, arrow::StringBuilder(), get); };
  columns.Add(letters, arrow::Int32Builder(), [](L l) { return std::optional(l.log.partition); });
  columns.Add(letters, arrow::Int64Builder(), [](L l) { return std::optional(l.offset); });
  columns.Add(letters, arrow::TimestampBuilder(ArrowType({Kind::kTimestamp}), arrow::default_memory_pool()),
              [](L l) { return std::optional(l.timestamp_ms * kMillisecond); });
  text([](L l) { return std::optional(Text(l.step).value_or("(not UTF-8)")); });
  text([](L l) { return std::optional(Text(l.reason).value_or("(not UTF-8)")); });
  text([](L l) { return Text(l.batch); });
  text([](L l) { return Text(l.rule); });
  text([](L l) { return Text(l.expression); });
  text([](L l) { return Text(l.file); });
  text([](L l) { return Text(l.client); });
  text([](L l) { return Text(l.source_topic); });
  columns.Add(letters, arrow::Int32Builder(), [](L l) { return l.source_partition; });
  columns.Add(letters, arrow::Int64Builder(), [](L l) { return l.source_offset; });
  text([](L l) { return Text(l.key); });
  text([](L l) { return Text(l.value); });
  columns.Add(letters, arrow::Int64Builder(),
              [](L l) { return std::optional(l.timestamp_ms * kMillisecond); });  // __time
  return columns.Finish();
}

absl::Status ReadLetters(KafkaClient& kafka, Clock& clock, const std::string& topic,
                         absl::FunctionRef<absl::Status(std::vector<Letter>)> take, Offset newest) {
  TM_ASSIGN_OR_RETURN(const auto topics, kafka.admin().Describe({topic}));
  const auto info = topics.find(topic);
  if (info == topics.end()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no dead-letter topic '", topic,
                                                   "': no worker of this topology has started yet, or it was deleted"));
  }
  for (int32_t partition = 0; partition < info->second.partitions; ++partition) {
    const TopicPartition log{topic, partition};
    TM_ASSIGN_OR_RETURN(Offset start, kafka.admin().LogStart(log));
    TM_ASSIGN_OR_RETURN(const Offset end, kafka.admin().LogEnd(log, Isolation::kReadCommitted));
    if (newest > 0) start = std::max(start, end - newest);
    std::vector<Letter> letters;
    int64_t bytes = 0;
    TM_RETURN_IF_ERROR(ReadLogRange(kafka, clock, "dead-letters", log, start, end, [&](const Fetch& fetch, size_t i) {
      letters.push_back(ReadLetter(log, fetch.records()[i], fetch.Headers(i)));
      bytes += BytesOf(letters.back());
      if (letters.size() < kTogether && bytes < kTogetherBytes) return absl::OkStatus();
      bytes = 0;
      return take(std::exchange(letters, {}));
    }));
    if (!letters.empty()) TM_RETURN_IF_ERROR(take(std::move(letters)));
  }
  return absl::OkStatus();
}

}  // namespace tidemark
