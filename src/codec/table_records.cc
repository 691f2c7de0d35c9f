// Records of a table topic: rows and deletions.
#include <utility>

#include <arrow/array/array_base.h>

#include "src/codec/json_decoder.h"
#include "src/codec/record_decoder.h"
#include "src/codec/table_file.h"

namespace tidemark {
namespace {

// A deletion names its row by the record key. Columns that the table reads from the key are read the same way;
// otherwise the key is the table's key: one column as text, several as a JSON object of their names, unless key_format
// says more.
KeyReader TombstoneKey(const TablePlan& plan) {
  std::vector<JsonReader::Target> targets;
  for (const size_t c : plan.key) {
    const SourceColumn& column = plan.columns[c];
    const bool own_path = column.from == SourceColumn::From::kKey && !column.path.empty();
    targets.push_back({own_path ? column.path : std::vector<std::string>{column.column.name}, c});
  }
  KeyFormat format = plan.key_format;
  if (format == KeyFormat::kNone) format = plan.key.size() == 1 ? KeyFormat::kText : KeyFormat::kJson;
  return KeyReader(format, std::move(targets));
}

}  // namespace

absl::StatusOr<Batch> DecodeTableRecords(const TablePlan& plan, const Fetch& fetch, std::vector<uint8_t>* deleted,
                                         std::vector<DecodeError>* errors) {
  RecordDecoder decoder(plan.columns, plan.key_format);
  KeyReader tombstone_key = TombstoneKey(plan);
  const std::span<const RecordView> records = fetch.records();
  decoder.columns().Start(static_cast<int64_t>(records.size()));
  deleted->clear();
  int64_t rows = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const bool deletes = !records[i].value.has_value();
    std::optional<std::string> reason =
        deletes ? decoder.DecodeTombstone(fetch, i, rows, &tombstone_key) : decoder.Decode(fetch, i, rows);
    if (!reason && deletes) {
      for (const size_t c : plan.key) {
        if (!reason && !decoder.columns().HasValue(c)) {
          reason = "value is null (deletion), but the record key lacks column " + plan.columns[c].column.name;
        }
      }
    }
    if (reason) {
      errors->push_back({i, *std::move(reason)});
      continue;
    }
    deleted->push_back(deletes ? 1 : 0);
    ++rows;
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  decoder.columns().Finish(rows, &arrays);
  return arrow::RecordBatch::Make(TableBatchSchema(plan), rows, std::move(arrays));
}

}  // namespace tidemark
