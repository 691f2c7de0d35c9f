#include "src/codec/table_decoder.h"

#include <utility>

#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/table_file.h"

namespace tidemark {
namespace {

// A table all of whose columns come from elsewhere: values tell deletions only.
void ReadDeletions(const Fetch& fetch, size_t first, RecordRows* rows) {
  for (size_t i = first; i < fetch.records().size(); ++i) {
    rows->BeginRecord(i);
    if (!fetch.records()[i].value) {
      rows->Tombstone();
    } else {
      rows->BeginRow();
      rows->EndRow();
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<TableDecoder>> TableDecoder::Make(const TablePlan& plan, const Formats& formats) {
  // A deletion names its row by the record key, which is the table's: one column as text, several as a JSON object,
  // unless key_format says more.
  FormatSpec key_format = plan.key_format;
  if (key_format.none()) key_format = plan.key.size() == 1 ? kTextFormat : kJsonFormat;
  absl::StatusOr<std::unique_ptr<KeyReader>> key = formats.MakeKeyReader(key_format, KeyTargets(plan.columns));
  TM_RETURN_IF_ERROR(Annotate(key.status(), "table " + plan.name));
  absl::StatusOr<std::unique_ptr<KeyReader>> deleted = formats.MakeKeyReader(key_format, TombstoneTargets(plan));
  TM_RETURN_IF_ERROR(Annotate(deleted.status(), "table " + plan.name));
  RecordRows rows(plan, *std::move(key), *std::move(deleted));
  std::unique_ptr<ValueReader> reader;
  if (rows.reads_values()) {
    absl::StatusOr<std::unique_ptr<ValueReader>> made = formats.MakeReader(plan.format, rows.value_targets());
    TM_RETURN_IF_ERROR(Annotate(made.status(), "table " + plan.name));
    reader = *std::move(made);
  }
  return std::unique_ptr<TableDecoder>(new TableDecoder(plan, std::move(rows), std::move(reader)));
}

TableDecoder::TableDecoder(const TablePlan& plan, RecordRows rows, std::unique_ptr<ValueReader> reader)
    : name_(plan.name), schema_(TableBatchSchema(plan)), rows_(std::move(rows)), reader_(std::move(reader)) {}

absl::StatusOr<DecodedTableRows> TableDecoder::Decode(const Fetch& fetch, size_t first) {
  DecodedTableRows decoded;
  rows_.Start(fetch, first, nullptr, &decoded.errors);
  if (reader_ != nullptr) {
    TM_RETURN_IF_ERROR(Annotate(reader_->Read(fetch, first, fetch.records().size(), &rows_), "table " + name_));
  } else {
    ReadDeletions(fetch, first, &rows_);
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  TM_ASSIGN_OR_RETURN(const int64_t count, rows_.Finish(&arrays));
  decoded.rows = arrow::RecordBatch::Make(schema_, count, std::move(arrays));
  for (const Op op : rows_.ops()) {
    decoded.deleted.push_back(op == Op::kDelete || op == Op::kUpdateBefore ? 1 : 0);
  }
  decoded.next = rows_.next();
  decoded.waits_for = rows_.waits_for();
  return decoded;
}

}  // namespace tidemark
