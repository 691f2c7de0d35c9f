#include "src/trial/found.h"

#include <map>
#include <set>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/column_set.h"
#include "src/codec/json/object_reader.h"
#include "src/codec/source_decoder.h"
#include "src/runtime/letters.h"
#include "src/trial/value.h"

namespace tidemark::trial {
namespace {

class HeldFetch final : public Fetch {
 public:
  HeldFetch(std::string topic, std::vector<sim::SimRecord> records)
      : source_{std::move(topic), 0}, held_(std::move(records)) {
    for (const sim::SimRecord& r : held_) views_.push_back({r.offset, r.timestamp_ms, View(r.key), View(r.value)});
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t i) const override { return held_[i].headers; }

 private:
  static Bytes View(const std::optional<std::string>& text) {
    return text ? Bytes(std::string_view(*text)) : std::nullopt;
  }

  const TopicPartition source_;
  const std::vector<sim::SimRecord> held_;
  std::vector<RecordView> views_;
};

// The sink's columns as a source of its topic would name them.
SourcePlan ReaderOf(const SinkPlan& sink, const KafkaSinkSpec& kafka) {
  SourcePlan source;
  source.name = sink.name;
  source.topic = kafka.topic;
  source.format = kafka.format;
  source.key_format = kafka.key_format;
  source.event_time.max_out_of_orderness_us = 0;
  const std::set<size_t> in_value(kafka.value.begin(), kafka.value.end());
  for (size_t c = 0; c < sink.schema.size(); ++c) {
    SourceColumn column;
    column.column = sink.schema[c];
    column.column.nullable = true;
    const bool by_key = !in_value.empty() && !in_value.contains(c);
    column.from = by_key ? SourceColumn::From::kKey : SourceColumn::From::kValue;
    column.path = {column.column.name};
    const FormatSyntax* const keys = FindFormat(OwnFormats().list(), kafka.key_format.name);
    if (by_key && keys != nullptr && !keys->holds_names()) column.path.clear();
    source.columns.push_back(std::move(column));
  }
  return source;
}

absl::StatusOr<FoundRows> RowsOfTopic(const SinkPlan& sink, const KafkaSinkSpec& kafka, sim::Deployment* deployment) {
  FoundRows found;
  found.schema = sink.schema;
  std::vector<sim::SimRecord> records;
  std::map<std::string, size_t> stands;  // by key, where
  std::set<int32_t> partitions;
  for (auto& [partition, record] : deployment->Records(kafka.topic)) {
    partitions.insert(partition);
    if (kafka.upsert) {
      // What compaction leaves.
      const auto [it, first] = stands.emplace(record.key.value_or(""), records.size());
      if (!first) records[it->second].value.reset();
      it->second = records.size();
    }
    records.push_back(std::move(record));
  }
  std::erase_if(records, [](const sim::SimRecord& record) { return !record.value; });
  found.has_order = partitions.size() <= 1;
  if (records.empty()) return found;
  auto decoder = SourceDecoder::Make(ReaderOf(sink, kafka));
  if (!decoder.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("sink ", sink.name, " writes format ", kafka.format.ToString(),
                                                   ", which can't be read back: expect the rows of ", sink.from));
  }
  const HeldFetch fetch(kafka.topic, std::move(records));
  SourceTime time;
  TM_ASSIGN_OR_RETURN(const DecodedRows decoded, (*decoder)->Decode(fetch, 0, 0, &time));
  if (!decoded.errors.empty()) {
    return absl::DataLossError(absl::StrCat("sink ", sink.name, " has a record that can't be read back as format ",
                                            kafka.format.ToString(), ": ", decoded.errors[0].reason));
  }
  found.rows = ComparableRows(found.schema, *decoded.rows);
  found.batch = decoded.rows;
  return found;
}

// Rows that are JSON objects, of any of the columns.
absl::StatusOr<FoundRows> RowsOfJson(const Schema& schema, const std::vector<std::string>& objects) {
  std::vector<SourceColumn> columns;
  std::vector<ReadTarget> targets;
  arrow::FieldVector fields;
  for (size_t c = 0; c < schema.size(); ++c) {
    SourceColumn& column = columns.emplace_back();
    column.column = schema[c];
    column.column.nullable = true;
    targets.push_back({{schema[c].name}, c, schema[c].type});
    fields.push_back(ColumnField(column.column));
  }
  ColumnSet set(columns);
  set.Start(static_cast<int64_t>(objects.size()));
  JsonObjectReader reader(targets);
  for (size_t row = 0; row < objects.size(); ++row) {
    set.BeginRow(static_cast<int64_t>(row));
    std::optional<std::string> reason = reader.Read(objects[row], &set);
    if (!reason) reason = set.EndRow();
    if (reason) return absl::InternalError(absl::StrCat(objects[row], ": ", *reason));
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  set.Finish(static_cast<int64_t>(objects.size()), &arrays);
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(objects.size()), std::move(arrays));
  FoundRows found;
  found.schema = schema;
  found.rows = ComparableRows(schema, *batch);
  found.batch = batch;
  return found;
}

// What a folder's name holds, without %XX; nothing is NULL.
std::optional<std::string> FolderValue(std::string_view text) {
  if (text == "__HIVE_DEFAULT_PARTITION__") return std::nullopt;
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    if (text[i] == '%' && i + 2 < text.size() && absl::SimpleHexAtoi(std::string(text.substr(i + 1, 2)), &byte)) {
      value += static_cast<char>(byte);
      i += 2;
    } else {
      value += text[i];
    }
  }
  return value;
}

// A column that names folders isn't in their files.
absl::StatusOr<FoundRows> RowsOfLake(const SinkPlan& sink, const ParquetSinkSpec& lake,
                                     const sim::Deployment& deployment) {
  const Schema schema = LakeSchema(sink.schema, lake.changes);
  TM_ASSIGN_OR_RETURN(const auto files, deployment.FilesOf(sink.kept_as()));
  std::vector<std::string> objects;
  for (const auto& [name, bytes] : files) {
    std::map<std::string, std::string> folders;  // column -> its JSON
    for (const std::string& folder : std::vector<std::string>(absl::StrSplit(name, '/'))) {
      const size_t equals = folder.find('=');
      const auto column = schema.Find(folder.substr(0, equals));
      if (equals == std::string::npos || !column) continue;
      TM_ASSIGN_OR_RETURN(folders[schema[*column].name],
                          JsonOf(schema[*column].type, FolderValue(std::string_view(folder).substr(equals + 1))));
    }
    Schema in_file;
    for (const Column& column : schema.columns()) {
      if (!folders.contains(column.name)) in_file.Add(column);
    }
    TM_ASSIGN_OR_RETURN(std::vector<std::string> rows, sim::RowsOfParquet({{name, bytes}}, in_file));
    for (std::string& row : rows) {
      std::string named;
      for (const auto& [column, json] : folders) absl::StrAppend(&named, JsonQuoted(column), ":", json, ",");
      objects.push_back(absl::StrCat("{", named, row.substr(1)));
    }
  }
  return RowsOfJson(schema, objects);
}

absl::StatusOr<FoundRows> ReadSink(const SinkPlan& sink, sim::Deployment* deployment) {
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) return RowsOfTopic(sink, *kafka, deployment);
  if (const auto* lake = std::get_if<ParquetSinkSpec>(&sink.spec)) return RowsOfLake(sink, *lake, *deployment);
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> rows, deployment->RowsOf(sink));
  return RowsOfJson(sink.schema, rows);
}

}  // namespace

absl::StatusOr<FoundRows> RowsOfSink(const SinkPlan& sink, sim::Deployment* deployment) {
  TM_ASSIGN_OR_RETURN(FoundRows found, ReadSink(sink, deployment));
  for (size_t c = 0; c < found.schema.size(); ++c) found.telling.push_back(c);
  return found;
}

absl::StatusOr<FoundRows> FoundLetters(const Plan& plan, sim::Deployment* deployment) {
  std::vector<Letter> letters;
  for (auto& [partition, record] : deployment->Records(plan.dead_letter_topic)) {
    const auto view = [](const std::optional<std::string>& text) {
      return text ? Bytes(std::string_view(*text)) : std::nullopt;
    };
    letters.push_back(ReadLetter({plan.dead_letter_topic, partition},
                                 {record.offset, record.timestamp_ms, view(record.key), view(record.value)},
                                 record.headers));
  }
  FoundRows found;
  found.schema = LetterSchema();
  for (const char* column : {"step", "reason", "value"}) found.telling.push_back(*found.schema.Find(column));
  found.rows = ComparableRows(found.schema, *LetterRows(letters));
  return found;
}

}  // namespace tidemark::trial
