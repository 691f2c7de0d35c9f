#include "src/codec/source_decoder.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/base/value_text.h"
#include "src/codec/murmur2.h"

namespace tidemark {
namespace {

// Keys were written on another processor too (json/value_reader.cc).
constexpr size_t kAhead = 8;

// Of records whose values nobody looks at.
void ReadWithoutValues(const Fetch& fetch, size_t first, size_t last, bool deletes, RecordRows* rows) {
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (deletes && !fetch.records()[i].value) {
      rows->Tombstone();
      continue;
    }
    rows->BeginRow();
    rows->EndRow();
  }
}

std::string Contradicts(const std::string& columns) {
  return absl::StrCat("So the topic isn't partitioned by [", columns,
                      "] as partitioned_by promises. Either remove partitioned_by (rows are then repartitioned where a "
                      "step needs it), or write the topic again, keyed by these columns, with the default partitioner");
}
constexpr char kScattered[] =
    "So changes of one row lie in several partitions, and their order is lost (were partitions added to the topic?). "
    "Have the connector write a new topic from a new snapshot; or, where it uses a partitioner of its own that keeps a "
    "row's changes together, state `partitioner: any` in the format";

}  // namespace

absl::StatusOr<std::unique_ptr<SourceDecoder>> SourceDecoder::Make(const SourcePlan& plan, const Formats& formats) {
  absl::StatusOr<std::unique_ptr<KeyReader>> key = formats.MakeKeyReader(plan.key_format, KeyTargets(plan.columns));
  TM_RETURN_IF_ERROR(Annotate(key.status(), "source " + plan.name));
  RecordRows rows(plan, *std::move(key));
  std::unique_ptr<ValueReader> reader;
  if (rows.reads_values()) {
    absl::StatusOr<std::unique_ptr<ValueReader>> made = formats.MakeReader(plan.format, rows.value_targets());
    TM_RETURN_IF_ERROR(Annotate(made.status(), "source " + plan.name));
    reader = *std::move(made);
  }
  return std::unique_ptr<SourceDecoder>(new SourceDecoder(plan, std::move(rows), std::move(reader)));
}

SourceDecoder::SourceDecoder(const SourcePlan& plan, RecordRows rows, std::unique_ptr<ValueReader> reader)
    : plan_(plan),
      schema_(BatchSchema(ColumnsSchema(plan.columns), plan.hidden)),
      rows_(std::move(rows)),
      reader_(std::move(reader)) {}

absl::StatusOr<DecodedRows> SourceDecoder::Decode(const Fetch& fetch, size_t first, int32_t partition_count,
                                                  SourceTime* time) {
  if (plan_.verify_partitioning) TM_RETURN_IF_ERROR(CheckPartitions(fetch, first, partition_count));
  DecodedRows decoded;
  const size_t last = fetch.records().size();
  rows_.Start(fetch, first, time, &decoded.errors);
  if (reader_ != nullptr) {
    TM_RETURN_IF_ERROR(Annotate(reader_->Read(fetch, first, last, &rows_), "source " + plan_.name));
  } else {
    ReadWithoutValues(fetch, first, last, !plan_.key.empty(), &rows_);
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  arrays.reserve(plan_.columns.size() + kHiddenCount);
  TM_ASSIGN_OR_RETURN(const int64_t count, rows_.Finish(&arrays));
  decoded.rows = arrow::RecordBatch::Make(schema_, count, std::move(arrays));
  decoded.next = rows_.next();
  decoded.waits_for = rows_.waits_for();
  decoded.empty_records = rows_.empty_records();
  decoded.unnamed = rows_.TakeUnnamed();
  return decoded;
}

absl::Status SourceDecoder::CheckPartitions(const Fetch& fetch, size_t first, int32_t partition_count) const {
  if (partition_count <= 0) return absl::OkStatus();
  const TopicPartition& source = fetch.source();
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < records.size(); ++i) {
    if (i + kAhead < records.size() && records[i + kAhead].key) __builtin_prefetch(records[i + kAhead].key->data());
    const RecordView& record = records[i];
    if (!record.key) continue;
    const int32_t expected = JavaPartition(*record.key, partition_count);
    if (expected == source.partition) [[likely]]
      continue;
    std::string columns;
    for (const size_t c : plan_.partitioned_by) {
      absl::StrAppend(&columns, columns.empty() ? "" : ", ", plan_.columns[c].column.name);
    }
    return absl::FailedPreconditionError(
        absl::StrCat("source ", plan_.name, ": the record at ", ToString(source), " offset ", record.offset,
                     " with key ", Excerpt(*record.key), " stands in partition ", source.partition,
                     ", but the default partitioner (murmur2) puts that key into partition ", expected, " of ",
                     partition_count, ". ", plan_.key.empty() ? Contradicts(columns) : std::string(kScattered)));
  }
  return absl::OkStatus();
}

}  // namespace tidemark
