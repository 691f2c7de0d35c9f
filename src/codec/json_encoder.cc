#include "src/codec/json_encoder.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/value_writer.h"

namespace tidemark {
namespace {

// One member of a JSON object: what stands before the value, and where the value is.
struct Member {
  size_t column = 0;
  std::string prefix;  // {"name":  or  ,"name":
};

std::vector<Member> MakeMembers(const Schema& schema, const std::vector<size_t>& columns) {
  std::vector<Member> members;
  for (const size_t c : columns) {
    std::string prefix;
    TextBuffer text(&prefix);
    text.Append(members.empty() ? "{" : ",");
    WriteJsonString(schema[c].name, &text);
    text.Append(":");
    prefix.resize(text.size());
    members.push_back({c, std::move(prefix)});
  }
  return members;
}

std::vector<size_t> AllColumns(const Schema& schema) {
  std::vector<size_t> columns(schema.size());
  for (size_t c = 0; c < columns.size(); ++c) columns[c] = c;
  return columns;
}

std::vector<ColumnView> ViewColumns(const Schema& schema, const arrow::RecordBatch& rows) {
  std::vector<ColumnView> views;
  views.reserve(schema.size());
  for (size_t c = 0; c < schema.size(); ++c) {
    views.push_back(ViewColumn(schema[c].type, *rows.column_data(static_cast<int>(c))));
  }
  return views;
}

void WriteObject(const std::vector<Member>& members, const std::vector<ColumnView>& views, int64_t row,
                 TextBuffer* out) {
  if (members.empty()) return out->Append("{}");
  for (const Member& member : members) {
    out->Append(member.prefix);
    WriteJsonValue(views[member.column], row, out);
  }
  out->Append("}");
}

class JsonRowEncoder : public RowEncoder {
 public:
  explicit JsonRowEncoder(const RowEncoderOptions& options)
      : options_(options),
        members_(MakeMembers(options.schema, AllColumns(options.schema))),
        key_members_(MakeMembers(options.schema, options.key)) {}

  absl::Status Encode(const arrow::RecordBatch& rows, int32_t partition_count, int32_t fallback_partition,
                      EncodedRecords* out) override;

 private:
  // Where a record's bytes stand. The arena may still move.
  struct Span {
    size_t key = 0, value = 0, end = 0;
    bool has_key = false, has_value = false;
  };

  // False: the row's key is NULL, so the record has none.
  bool WriteKey(const std::vector<ColumnView>& views, int64_t row, TextBuffer* text) const;
  void MakeRecords(int32_t partition_count, int32_t fallback_partition, EncodedRecords* out) const;

  const RowEncoderOptions options_;
  const std::vector<Member> members_, key_members_;
  std::vector<Span> spans_;
};

absl::Status JsonRowEncoder::Encode(const arrow::RecordBatch& rows, int32_t partition_count, int32_t fallback_partition,
                                    EncodedRecords* out) {
  if (static_cast<size_t>(rows.num_columns()) < options_.schema.size()) {
    return absl::InternalError(absl::StrCat("encoding: a batch of ", rows.num_columns(), " columns, expected at least ",
                                            options_.schema.size()));
  }
  const std::vector<ColumnView> views = ViewColumns(options_.schema, rows);
  const int8_t* const ops = options_.upsert ? HiddenOps(rows) : nullptr;
  TextBuffer text(&out->arena);
  spans_.clear();
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    const Op op = ops == nullptr ? Op::kInsert : static_cast<Op>(ops[row]);
    Span span;
    span.key = text.size();
    span.has_key = WriteKey(views, row, &text);
    span.value = text.size();
    span.has_value = op == Op::kInsert || op == Op::kUpdateAfter;
    // The row before an update is buried, unless the row after it stands under the same key. (A pair that was cut
    // between two batches makes a tombstone too many, which the row after it follows.)
    const bool pair = op == Op::kUpdateAfter && row > 0 && static_cast<Op>(ops[row - 1]) == Op::kUpdateBefore;
    if (pair && text.View(span.key, span.value) == text.View(spans_.back().key, spans_.back().value)) spans_.pop_back();
    if (span.has_value) WriteObject(members_, views, row, &text);
    span.end = text.size();
    spans_.push_back(span);
  }
  MakeRecords(partition_count, fallback_partition, out);
  return absl::OkStatus();
}

bool JsonRowEncoder::WriteKey(const std::vector<ColumnView>& views, int64_t row, TextBuffer* text) const {
  if (options_.key.empty()) return false;
  if (options_.key_format == KeyFormat::kJson || options_.key.size() > 1) {
    WriteObject(key_members_, views, row, text);
    return true;
  }
  const ColumnView& column = views[options_.key[0]];
  if (column.IsNull(row)) return false;
  if (options_.key_format == KeyFormat::kBytes && column.type.kind == Kind::kBytes) {
    text->Append(column.Text(row));
  } else {
    WritePlainText(column, row, text);
  }
  return true;
}

void JsonRowEncoder::MakeRecords(int32_t partition_count, int32_t fallback_partition, EncodedRecords* out) const {
  const std::string_view arena = out->arena;
  out->records.resize(spans_.size());
  for (size_t i = 0; i < spans_.size(); ++i) {
    const Span& span = spans_[i];
    OutRecord& record = out->records[i];
    record = OutRecord();
    record.partition = fallback_partition;
    if (span.has_key) {
      record.key = arena.substr(span.key, span.value - span.key);
      // Results of a window come sorted, so a key often is the one before it.
      const bool again = i > 0 && record.key == out->records[i - 1].key;
      record.partition = again ? out->records[i - 1].partition : JavaPartition(*record.key, partition_count);
    }
    if (span.has_value) record.value = arena.substr(span.value, span.end - span.value);
  }
}

}  // namespace

std::unique_ptr<RowEncoder> MakeRowEncoder(const RowEncoderOptions& options) {
  return std::make_unique<JsonRowEncoder>(options);
}

std::string RowToJson(const Schema& schema, const arrow::RecordBatch& rows, int64_t row) {
  std::string json;
  TextBuffer text(&json);
  WriteObject(MakeMembers(schema, AllColumns(schema)), ViewColumns(schema, rows), row, &text);
  json.resize(text.size());
  return json;
}

}  // namespace tidemark
