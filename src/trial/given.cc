#include "src/trial/given.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/base/value_text.h"
#include "src/codec/column_set.h"
#include "src/codec/formats.h"
#include "src/codec/json/object_reader.h"
#include "src/plan/yaml_tree.h"
#include "src/trial/value.h"

namespace tidemark::trial {
namespace {

// What sources and tables have in common.
struct Input {
  std::string what;  // "source clicks"
  std::string topic;
  const FormatSpec& format;
  const FormatSpec& key_format;
  const std::vector<SourceColumn>& columns;
  std::vector<size_t> lies_by;  // the record key's columns, where none comes from it; and what partitions go by
  std::optional<size_t> time;
};

// A JSON object by paths, in the order in which they were set.
struct JsonTree {
  std::string value;  // of a leaf
  std::vector<std::pair<std::string, JsonTree>> members;

  void Set(const std::vector<std::string>& path, size_t depth, std::string json) {
    if (depth == path.size()) {
      value = std::move(json);
      return;
    }
    auto it = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.first == path[depth]; });
    if (it == members.end()) it = members.insert(it, {path[depth], JsonTree()});
    it->second.Set(path, depth + 1, std::move(json));
  }
  std::string Text() const {
    if (!value.empty()) return value;
    std::string text = "{";
    for (const auto& [name, member] : members) {
      absl::StrAppend(&text, text.size() > 1 ? "," : "", JsonQuoted(name), ":", member.Text());
    }
    return text + "}";
  }
};

class RecordWriter {
 public:
  RecordWriter(const TestFile& file, Input input) : file_(file), input_(std::move(input)) {}

  absl::StatusOr<GivenRecord> Write(const Row& row) {
    GivenRecord record;
    record.topic = input_.topic;
    json_.assign(input_.columns.size(), std::nullopt);
    raw_value_ = raw_key_ = raw_ = nullptr;
    for (const Cell& cell : row.cells) TM_RETURN_IF_ERROR(Take(cell, &record));
    TM_RETURN_IF_ERROR(WriteKey(row, &record));
    TM_RETURN_IF_ERROR(WriteValue(row, &record));
    if (record.timestamp_ms < 0) TM_RETURN_IF_ERROR(TimeOf(row, &record));
    return record;
  }

 private:
  // ---- Cells

  absl::Status Take(const Cell& cell, GivenRecord* record) {
    if (cell.column.starts_with("__")) return TakeWord(cell, record);
    const auto& columns = input_.columns;
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.column.name == cell.column; });
    if (found == columns.end() || found->column.name == kChangeColumn) {
      std::vector<std::string> names;
      for (const SourceColumn& column : columns) names.push_back(column.column.name);
      return file_.Error(
          cell.named, absl::StrCat(input_.what, " has no column '", cell.column, "'", DidYouMean(cell.column, names)));
    }
    const auto c = static_cast<size_t>(found - columns.begin());
    switch (found->from) {
      case SourceColumn::From::kHeader:
        record->headers.emplace_back(found->header, cell.text);
        return absl::OkStatus();
      case SourceColumn::From::kPartition:
        return TakePartition(cell, record);
      case SourceColumn::From::kTopic:
        return file_.Error(cell.at, "the topic is the source's: leave the column out");
      case SourceColumn::From::kOffset:
        return file_.Error(cell.at, "offsets are Kafka's to give: leave the column out");
      case SourceColumn::From::kTimestamp:
        return TakeTimestamp(cell, record);
      case SourceColumn::From::kRaw:
        raw_ = &cell;
        return absl::OkStatus();
      default:
        break;
    }
    absl::StatusOr<std::string> json = JsonOf(found->column.type, cell.text);
    const bool other_forms = found->coerce || !found->timestamp_format.empty();
    if (!json.ok() && other_forms) json = JsonQuoted(*cell.text);
    if (!json.ok()) {
      return file_.Error(cell.at, absl::StrCat("column ", cell.column, ": ", std::string(json.status().message()),
                                               " (a record that can't be a row is given as __value)"));
    }
    json_[c] = *std::move(json);
    return absl::OkStatus();
  }

  absl::Status TakeWord(const Cell& cell, GivenRecord* record) {
    if (cell.column == "__value")
      raw_value_ = &cell;
    else if (cell.column == "__key")
      raw_key_ = &cell;
    else if (cell.column == "__partition")
      return TakePartition(cell, record);
    else if (cell.column == "__timestamp")
      return TakeTimestamp(cell, record);
    else if (cell.column == "__headers")
      return TakeHeaders(cell, record);
    else
      return file_.Error(
          cell.named,
          absl::StrCat("'", cell.column, "' says nothing of a record",
                       DidYouMean(cell.column, {"__value", "__key", "__partition", "__timestamp", "__headers"})));
    return absl::OkStatus();
  }

  absl::Status TakePartition(const Cell& cell, GivenRecord* record) {
    int32_t partition = -1;
    if (!absl::SimpleAtoi(cell.text.value_or(""), &partition) || partition < 0) {
      return file_.Error(cell.at, absl::StrCat(cell.column, ": expected the number of a partition"));
    }
    record->partition = partition;
    return absl::OkStatus();
  }

  absl::Status TakeTimestamp(const Cell& cell, GivenRecord* record) {
    const std::string text = cell.text.value_or("");
    int64_t us = 0;
    if (ParseRfc3339(text, &us) == Fit::kOk) {
      record->timestamp_ms = us / kMillisecond;
    } else if (!absl::SimpleAtoi(text, &record->timestamp_ms) || record->timestamp_ms < 0) {
      return file_.Error(cell.at, absl::StrCat(cell.column, ": expected a time such as 2026-01-01T00:00:00Z, or ",
                                               "milliseconds since 1970"));
    }
    return absl::OkStatus();
  }

  absl::Status TakeHeaders(const Cell& cell, GivenRecord* record) {
    Diagnostics own("", "");
    const YamlPtr headers = ReadYaml(0, cell.text.value_or(""), &own);
    if (headers == nullptr || !headers->IsMapping()) {
      return file_.Error(cell.at, "__headers: expected a mapping of names to texts");
    }
    for (const YamlEntry& header : headers->entries) {
      record->headers.emplace_back(header.key,
                                   header.value->IsScalar() ? std::optional(header.value->text) : std::nullopt);
    }
    return absl::OkStatus();
  }

  // ---- Keys and values

  absl::Status WriteKey(const Row& row, GivenRecord* record) {
    std::vector<size_t> columns;
    for (size_t c = 0; c < input_.columns.size(); ++c) {
      if (input_.columns[c].from == SourceColumn::From::kKey) columns.push_back(c);
    }
    if (columns.empty()) columns = input_.lies_by;
    const FormatSpec text = kTextFormat, json = kJsonFormat;
    // Of a topic whose keys nobody reads, they still say where rows lie.
    const FormatSpec& format = !input_.key_format.none() ? input_.key_format : columns.size() == 1 ? text : json;
    const bool complete =
        !columns.empty() && std::all_of(columns.begin(), columns.end(), [&](size_t c) { return json_[c].has_value(); });
    if (complete) {
      TM_ASSIGN_OR_RETURN(const Written written, RowOf(row, columns));
      absl::StatusOr<std::unique_ptr<KeyWriter>> writer =
          OwnFormats().MakeKeyWriter(format, written.schema, written.all);
      if (!writer.ok()) return NoWriter(row, "keys", format);
      std::string bytes;
      TextBuffer buffer(&bytes);
      std::vector<KeyEnd> ends;
      const absl::Status wrote = (*writer)->Write(written.views, 1, &buffer, &ends);
      if (!wrote.ok()) return file_.Error(row.at, std::string(wrote.message()));
      if (ends[0].present) record->key = bytes.substr(0, ends[0].end);
    }
    if (raw_key_ != nullptr) record->key = raw_key_->text;
    record->lies_by = record->key.value_or("");
    return absl::OkStatus();
  }

  absl::Status WriteValue(const Row& row, GivenRecord* record) {
    if (raw_value_ != nullptr || raw_ != nullptr) {
      record->value = (raw_value_ != nullptr ? raw_value_ : raw_)->text;
      return absl::OkStatus();
    }
    if (input_.format.name == kJsonFormat) {
      JsonTree tree;
      for (size_t c = 0; c < input_.columns.size(); ++c) {
        const SourceColumn& column = input_.columns[c];
        if (column.from != SourceColumn::From::kValue || !json_[c]) continue;
        tree.Set(column.path.empty() ? std::vector{column.column.name} : column.path, 0, *json_[c]);
      }
      record->value = tree.Text();
      return absl::OkStatus();
    }
    std::vector<size_t> columns;
    for (size_t c = 0; c < input_.columns.size(); ++c) {
      const SourceColumn& column = input_.columns[c];
      if (column.from != SourceColumn::From::kValue) continue;
      if (column.path.size() > 1 || column.place != 0) return NoWriter(row, "such columns", input_.format);
      columns.push_back(c);
    }
    TM_ASSIGN_OR_RETURN(const Written written, RowOf(row, columns));
    absl::StatusOr<std::unique_ptr<ValueWriter>> writer =
        OwnFormats().MakeWriter(input_.format, written.schema, written.all);
    if (!writer.ok()) return NoWriter(row, "values", input_.format);
    std::string bytes;
    TextBuffer buffer(&bytes);
    std::vector<size_t> ends(1);
    const absl::Status wrote = (*writer)->Write(written.views, std::vector<int32_t>{0}, &buffer, &ends);
    if (!wrote.ok()) return file_.Error(row.at, std::string(wrote.message()));
    record->value = bytes.substr(0, ends[0]);
    return absl::OkStatus();
  }

  absl::Status NoWriter(const Row& row, std::string_view of, const FormatSpec& format) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_.places.Place(row.at), ": ", input_.what, ": there is no writer for ", std::string(of),
                     " of format ", format.ToString(), ": give its records as they are, { __value: ..., __key: ... }"));
  }

  // Some columns of a row, for writers; they go by names in what is read.
  struct Written {
    Schema schema;
    Batch batch;
    std::vector<ColumnView> views;
    std::vector<size_t> all;
  };
  absl::StatusOr<Written> RowOf(const Row& row, const std::vector<size_t>& columns) const {
    std::vector<SourceColumn> plain;
    std::vector<ReadTarget> targets;
    JsonTree tree;
    Written written;
    for (const size_t c : columns) {
      const SourceColumn& column = input_.columns[c];
      SourceColumn& made = plain.emplace_back();
      made.column = {column.path.empty() ? column.column.name : column.path.back(), column.column.type,
                     column.column.nullable};
      made.default_value = column.default_value;
      targets.push_back({{made.column.name}, targets.size(), made.column.type});
      written.all.push_back(written.all.size());
      written.schema.Add(made.column);
      if (json_[c]) tree.Set({made.column.name}, 0, *json_[c]);
    }
    ColumnSet set(plain);
    set.Start(1);
    set.BeginRow(0);
    JsonObjectReader reader(targets);
    std::optional<std::string> reason = reader.Read(tree.Text(), &set);
    if (!reason) reason = set.EndRow();
    if (reason) return file_.Error(row.at, *reason);
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    set.Finish(1, &arrays);
    arrow::FieldVector fields;
    for (const Column& column : written.schema.columns()) fields.push_back(ColumnField(column));
    written.batch = arrow::RecordBatch::Make(arrow::schema(fields), 1, std::move(arrays));
    written.views = ViewColumns(written.schema, *written.batch);
    return written;
  }

  // As if the record had been written when what it tells of happened.
  absl::Status TimeOf(const Row& row, GivenRecord* record) const {
    if (!input_.time) return absl::OkStatus();
    const SourceColumn& column = input_.columns[*input_.time];
    const Cell* const cell = row.Find(column.column.name);
    if (cell == nullptr || !cell->text) return absl::OkStatus();
    const absl::StatusOr<std::string> time = Comparable(column.column.type, cell->text);
    int64_t us = 0;
    if (!time.ok() || ParseRfc3339(time->substr(1, time->size() - 2), &us) != Fit::kOk) return absl::OkStatus();
    record->timestamp_ms = std::max<int64_t>(0, us / kMillisecond);
    return absl::OkStatus();
  }

  const TestFile& file_;
  const Input input_;
  // Of the present row: by column, its JSON where it is given.
  std::vector<std::optional<std::string>> json_;
  const Cell *raw_value_ = nullptr, *raw_key_ = nullptr, *raw_ = nullptr;
};

absl::StatusOr<std::vector<GivenRecord>> Write(const TestFile& file, const RowSet& set, Input input) {
  RecordWriter writer(file, std::move(input));
  std::vector<GivenRecord> records;
  for (const Row& row : set.rows) {
    TM_ASSIGN_OR_RETURN(GivenRecord record, writer.Write(row));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

absl::StatusOr<std::vector<GivenRecord>> RecordsOf(const TestFile& file, const RowSet& set, const SourcePlan& source) {
  return Write(file, set,
               {"source " + source.name, source.topic, source.format, source.key_format, source.columns,
                source.key.empty() ? source.partitioned_by : source.key, source.event_time.column});
}

absl::StatusOr<std::vector<GivenRecord>> RecordsOf(const TestFile& file, const RowSet& set, const TablePlan& table) {
  return Write(
      file, set,
      {"table " + table.name, table.topic, table.format, table.key_format, table.columns, table.key, std::nullopt});
}

}  // namespace tidemark::trial
