#include "src/codec/json/value_writer.h"

#include <numeric>
#include <utility>

#include <arrow/record_batch.h>

namespace tidemark {
namespace {

std::vector<size_t> AllColumns(const Schema& schema) {
  std::vector<size_t> columns(schema.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

}  // namespace

JsonObjectWriter::JsonObjectWriter(const Schema& schema, const std::vector<size_t>& columns) {
  for (const size_t c : columns) {
    std::string prefix;
    TextBuffer text(&prefix);
    text.Append(members_.empty() ? "{" : ",");
    WriteJsonString(schema[c].name, &text);
    text.Append(":");
    prefix.resize(text.size());
    members_.push_back({c, std::move(prefix)});
  }
}

void JsonObjectWriter::Write(const std::vector<ColumnView>& columns, int64_t row, TextBuffer* out) const {
  if (members_.empty()) return out->Append("{}");
  for (const Member& member : members_) {
    out->Append(member.prefix);
    WriteJsonValue(columns[member.column], row, out);
  }
  out->Append("}");
}

absl::Status JsonValueWriter::Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows,
                                    TextBuffer* out, std::vector<size_t>* ends) {
  ends->resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    object_.Write(columns, rows[i], out);
    (*ends)[i] = out->size();
  }
  return absl::OkStatus();
}

std::string RowToJson(const Schema& schema, const arrow::RecordBatch& rows, int64_t row) {
  std::string json;
  TextBuffer text(&json);
  JsonObjectWriter(schema, AllColumns(schema)).Write(ViewColumns(schema, rows), row, &text);
  json.resize(text.size());
  return json;
}

}  // namespace tidemark
