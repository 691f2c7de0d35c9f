#include "src/codec/json_decoder.h"

#include <algorithm>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/codec/json_encoder.h"
#include "src/codec/record_decoder.h"
#include "src/codec/value_writer.h"

namespace tidemark {
namespace {

// A hidden column under construction: a plain buffer, never null.
template <typename T>
class HiddenBuilder {
 public:
  void Start(int64_t rows) {
    buffer_ = arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(T))).ValueOrDie();
    values_ = buffer_->mutable_data_as<T>();
  }
  void Set(int64_t row, T value) { values_[row] = value; }
  void Fill(int64_t rows, T value) { std::fill(values_, values_ + rows, value); }
  std::shared_ptr<arrow::Array> Finish(int64_t rows, std::shared_ptr<arrow::DataType> type) {
    auto values = arrow::SliceBuffer(std::move(buffer_), 0, rows * static_cast<int64_t>(sizeof(T)));
    return arrow::MakeArray(arrow::ArrayData::Make(std::move(type), rows, {nullptr, std::move(values)}, 0));
  }

 private:
  std::shared_ptr<arrow::Buffer> buffer_;
  T* values_ = nullptr;
};

// The client has written records on another processor: their first bytes are asked for some records ahead, the others
// follow by themselves.
constexpr size_t kAhead = 8;

void Prefetch(const RecordView& record) {
  if (!record.value) return;
  for (int line = 0; line < 3; ++line) __builtin_prefetch(record.value->data() + 64 * line);
}

std::string TimeText(EventTime time) { return TimestampText(time.us, TimestampForm::kRfc3339); }

class JsonSourceDecoder : public SourceDecoder {
 public:
  explicit JsonSourceDecoder(const SourcePlan& plan)
      : plan_(plan),
        schema_(BatchSchema(ColumnsSchema(plan.columns), plan.hidden)),
        records_(plan.columns, plan.key_format) {}

  absl::StatusOr<Batch> Decode(const Fetch& fetch, int32_t partition_count, SourceTime* time,
                               std::vector<DecodeError>* errors) override;

 private:
  void Start(int64_t rows);
  absl::Status CheckPartition(const Fetch& fetch, const RecordView& record, int32_t partition_count) const;
  // The row's event time; the reason, where it has none or lies too far ahead.
  std::optional<std::string> FindTime(const RecordView& record, int64_t row, EventTime* out) const;
  Batch Finish(int64_t rows, int32_t partition);

  const SourcePlan plan_;
  const std::shared_ptr<arrow::Schema> schema_;
  RecordDecoder records_;
  HiddenBuilder<int64_t> times_, watermarks_, offsets_;
  HiddenBuilder<int32_t> sources_, partitions_;
};

absl::StatusOr<Batch> JsonSourceDecoder::Decode(const Fetch& fetch, int32_t partition_count, SourceTime* time,
                                                std::vector<DecodeError>* errors) {
  const std::span<const RecordView> records = fetch.records();
  Start(static_cast<int64_t>(records.size()));
  int64_t rows = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    if (i + kAhead < records.size()) Prefetch(records[i + kAhead]);
    if (plan_.verify_partitioning) TM_RETURN_IF_ERROR(CheckPartition(fetch, records[i], partition_count));
    EventTime row_time;
    std::optional<std::string> reason = records_.Decode(fetch, i, rows);
    // The Java client spreads null keys at will, so nothing holds such a row to the promise.
    if (!reason && plan_.verify_partitioning && !records[i].key) reason = "record key is null, against partitioned_by";
    if (!reason) reason = FindTime(records[i], rows, &row_time);
    if (reason) [[unlikely]] {
      errors->push_back({i, *std::move(reason)});
      continue;
    }
    time->max_time = std::max(time->max_time, row_time);
    times_.Set(rows, row_time.us);
    watermarks_.Set(rows, time->Watermark(plan_.event_time.max_out_of_orderness_us).us);
    offsets_.Set(rows, records[i].offset);
    ++rows;
  }
  return Finish(rows, fetch.source().partition);
}

void JsonSourceDecoder::Start(int64_t rows) {
  records_.columns().Start(rows);
  times_.Start(rows);
  watermarks_.Start(rows);
  offsets_.Start(rows);
  sources_.Start(rows);
  partitions_.Start(rows);
}

absl::Status JsonSourceDecoder::CheckPartition(const Fetch& fetch, const RecordView& record,
                                               int32_t partition_count) const {
  const TopicPartition& source = fetch.source();
  if (!record.key || partition_count <= 0) return absl::OkStatus();
  const int32_t expected = JavaPartition(*record.key, partition_count);
  if (expected == source.partition) [[likely]]
    return absl::OkStatus();
  std::string columns;
  for (const size_t c : plan_.partitioned_by) {
    absl::StrAppend(&columns, columns.empty() ? "" : ", ", plan_.columns[c].column.name);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "source ", plan_.name, ": the record at ", ToString(source), " offset ", record.offset, " with key ",
      Excerpt(*record.key), " stands in partition ", source.partition,
      ", but the default partitioner (murmur2) puts that ", "key into partition ", expected, " of ", partition_count,
      ". So the topic isn't partitioned by [", columns,
      "] as partitioned_by promises. Either remove partitioned_by (rows are then repartitioned where a step needs it), "
      "or write the topic again, keyed by these columns, with the default partitioner"));
}

std::optional<std::string> JsonSourceDecoder::FindTime(const RecordView& record, int64_t row, EventTime* out) const {
  const EventTimeSpec& spec = plan_.event_time;
  int64_t record_us = 0;
  const bool has_record_time =
      record.timestamp_ms != -1 && ScaleTimestamp(record.timestamp_ms, TimestampForm::kMillis, &record_us) == Fit::kOk;
  if (!spec.column) {
    if (!has_record_time) return "the record has no timestamp, and event time is taken from it";
    out->us = record_us;
    return std::nullopt;
  }
  const ColumnBuilder& column = const_cast<RecordDecoder&>(records_).columns().builder(*spec.column);
  const std::string& name = plan_.columns[*spec.column].column.name;
  if (column.IsNull(row)) return absl::StrCat("column ", name, ": event time is null");
  out->us = column.Int64At(row);
  if (*out == kMinTime || *out == kMaxTime) return absl::StrCat("column ", name, ": event time is out of range");
  if (has_record_time && *out > EventTime{record_us} + spec.max_ahead_us) {
    return absl::StrCat("column ", name, ": event time ", TimeText(*out), " is ", (*out - record_us).us / kSecond,
                        " s ahead of the record's timestamp ", TimeText(EventTime{record_us}),
                        ", more than max_ahead (", spec.max_ahead_us / kSecond, " s)");
  }
  return std::nullopt;
}

Batch JsonSourceDecoder::Finish(int64_t rows, int32_t partition) {
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  arrays.reserve(plan_.columns.size() + kHiddenCount);
  records_.columns().Finish(rows, &arrays);
  const HiddenSet hidden = plan_.hidden;
  if (hidden.Has(Hidden::kTime)) arrays.push_back(times_.Finish(rows, arrow::int64()));
  if (hidden.Has(Hidden::kWatermark)) arrays.push_back(watermarks_.Finish(rows, arrow::int64()));
  if (hidden.Has(Hidden::kSource)) {
    sources_.Fill(rows, plan_.order);
    arrays.push_back(sources_.Finish(rows, arrow::int32()));
  }
  if (hidden.Has(Hidden::kPartition)) {
    partitions_.Fill(rows, partition);
    arrays.push_back(partitions_.Finish(rows, arrow::int32()));
  }
  if (hidden.Has(Hidden::kOffset)) arrays.push_back(offsets_.Finish(rows, arrow::int64()));
  return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
}

}  // namespace

std::unique_ptr<SourceDecoder> MakeSourceDecoder(const SourcePlan& plan) {
  return std::make_unique<JsonSourceDecoder>(plan);
}

}  // namespace tidemark
