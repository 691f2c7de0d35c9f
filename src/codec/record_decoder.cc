#include "src/codec/record_decoder.h"

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

namespace tidemark {
namespace {

using From = SourceColumn::From;

std::vector<std::string> PathOf(const SourceColumn& column) {
  return column.path.empty() ? std::vector<std::string>{column.column.name} : column.path;
}

std::vector<JsonReader::Target> TargetsFrom(const std::vector<SourceColumn>& columns, From from) {
  std::vector<JsonReader::Target> targets;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].from == from) targets.push_back({PathOf(columns[c]), c});
  }
  return targets;
}

// Bytes that claim to be text. Strings and bytes take them as they are.
std::optional<std::string> SetPlainText(size_t c, std::string_view text, ColumnSet* columns) {
  const Type& type = columns->column(c).column.type;
  if (!arrow::util::ValidateUTF8(text)) return columns->Reject(c, Describe(Fit::kNotUtf8, type, {}));
  return columns->Set(c, FromPlainText(type, text));
}

}  // namespace

KeyReader::KeyReader(KeyFormat format, std::vector<JsonReader::Target> targets)
    : format_(format), targets_(std::move(targets)), json_(targets_) {
  arrow::util::InitializeUTF8();
}

std::optional<std::string> KeyReader::Read(const Bytes& key, ColumnSet* columns) {
  if (targets_.empty() || !key) return std::nullopt;
  if (format_ == KeyFormat::kJson) {
    std::optional<std::string> reason = json_.Read(*key, columns);
    if (reason) return absl::StrCat("record key: ", *reason);
    return std::nullopt;
  }
  for (const JsonReader::Target& target : targets_) {
    std::optional<std::string> reason = ReadPlain(*key, target.column, columns);
    if (reason) return absl::StrCat("record key: ", *reason);
  }
  return std::nullopt;
}

std::optional<std::string> KeyReader::ReadPlain(std::string_view key, size_t column, ColumnSet* columns) const {
  const Kind kind = columns->column(column).column.type.kind;
  if (format_ == KeyFormat::kBytes && kind == Kind::kBytes) return columns->SetRaw(column, key);
  return SetPlainText(column, key, columns);
}

RecordDecoder::RecordDecoder(const std::vector<SourceColumn>& columns, KeyFormat key_format)
    : columns_(columns),
      value_(TargetsFrom(columns, From::kValue)),
      key_(key_format, TargetsFrom(columns, From::kKey)) {
  for (size_t c = 0; c < columns.size(); ++c) {
    switch (columns[c].from) {
      case From::kValue:
        has_value_columns_ = true;
        break;
      case From::kKey:
        break;
      case From::kHeader:
        header_columns_.push_back(c);
        break;
      default:
        position_columns_.push_back(c);
    }
  }
}

std::optional<std::string> RecordDecoder::Decode(const Fetch& fetch, size_t i, int64_t row) {
  const RecordView& record = fetch.records()[i];
  columns_.BeginRow(row);
  if (has_value_columns_) {
    if (!record.value) return "value is null (tombstone)";
    std::optional<std::string> reason = value_.Read(*record.value, &columns_);
    if (reason) return reason;
  }
  if (!key_.empty()) {
    std::optional<std::string> reason = key_.Read(record.key, &columns_);
    if (reason) return reason;
  }
  if (!header_columns_.empty()) {
    std::optional<std::string> reason = ReadHeaders(fetch, i);
    if (reason) return reason;
  }
  if (!position_columns_.empty()) {
    std::optional<std::string> reason = ReadPosition(fetch, record);
    if (reason) return reason;
  }
  return columns_.EndRow();
}

std::optional<std::string> RecordDecoder::DecodeTombstone(const Fetch& fetch, size_t i, int64_t row, KeyReader* key) {
  const RecordView& record = fetch.records()[i];
  columns_.BeginRow(row);
  if (!record.key) return "value is null (deletion), and so is the record key: which row to delete isn't known";
  std::optional<std::string> reason = key->Read(record.key, &columns_);
  if (reason) return reason;
  columns_.EndTombstone();
  return std::nullopt;
}

// Of several headers of one name the last one counts, as in Kafka's own lastHeader.
std::optional<std::string> RecordDecoder::ReadHeaders(const Fetch& fetch, size_t i) {
  const HeaderList headers = fetch.Headers(i);
  for (const size_t c : header_columns_) {
    const std::string* text = nullptr;
    for (const auto& [name, value] : headers) {
      if (name == columns_.column(c).header) text = value ? &*value : nullptr;
    }
    if (text == nullptr) continue;
    const bool raw = columns_.column(c).column.type.kind == Kind::kBytes;
    std::optional<std::string> reason = raw ? columns_.SetRaw(c, *text) : SetPlainText(c, *text, &columns_);
    if (reason) return absl::StrCat("header ", columns_.column(c).header, ": ", *reason);
  }
  return std::nullopt;
}

std::optional<std::string> RecordDecoder::ReadPosition(const Fetch& fetch, const RecordView& record) {
  for (const size_t c : position_columns_) {
    int64_t value = 0;
    switch (columns_.column(c).from) {
      case From::kPartition:
        value = fetch.source().partition;
        break;
      case From::kOffset:
        value = record.offset;
        break;
      default:
        if (record.timestamp_ms == -1) continue;
        // An integer column gets what Kafka says: milliseconds.
        value = record.timestamp_ms;
        if (columns_.column(c).column.type.kind == Kind::kTimestamp &&
            ScaleTimestamp(value, TimestampForm::kMillis, &value) != Fit::kOk) {
          std::optional<std::string> reason =
              columns_.Reject(c, absl::StrCat("the record's timestamp ", record.timestamp_ms, " ms is out of range"));
          if (reason) return reason;
          continue;
        }
    }
    std::optional<std::string> reason = columns_.SetInt64(c, value);
    if (reason) return reason;
  }
  return std::nullopt;
}

}  // namespace tidemark
