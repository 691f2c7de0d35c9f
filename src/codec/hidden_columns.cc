#include "src/codec/hidden_columns.h"

#include <cstring>

#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/type.h>

#include "src/base/value_text.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

std::string TimeText(EventTime time) { return TimestampText(time.us, TimestampForm::kRfc3339); }

}  // namespace

template <typename T>
void HiddenBuilder<T>::Start(int64_t rows) {
  buffer_ = arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(T))).ValueOrDie();
  values_ = buffer_->mutable_data_as<T>();
}

template <typename T>
void HiddenBuilder<T>::Grow(int64_t rows) {
  const std::shared_ptr<arrow::Buffer> before = std::move(buffer_);
  Start(rows);
  if (before->size() > 0) std::memcpy(values_, before->data(), static_cast<size_t>(before->size()));
}

template <typename T>
std::shared_ptr<arrow::Array> HiddenBuilder<T>::Finish(int64_t rows, std::shared_ptr<arrow::DataType> type) {
  auto values = arrow::SliceBuffer(std::move(buffer_), 0, rows * static_cast<int64_t>(sizeof(T)));
  return arrow::MakeArray(arrow::ArrayData::Make(std::move(type), rows, {nullptr, std::move(values)}, 0));
}

HiddenColumns::HiddenColumns(const SourcePlan& plan)
    : event_time_(plan.event_time),
      time_column_(plan.event_time.column ? plan.columns[*plan.event_time.column].column.name : ""),
      order_(plan.order),
      hidden_(plan.hidden) {}

void HiddenColumns::Start(int64_t rows, SourceTime* time) {
  time_ = time;
  times_.Start(rows);
  watermarks_.Start(rows);
  offsets_.Start(rows);
  sources_.Start(rows);
  partitions_.Start(rows);
  if (hidden_.Has(Hidden::kOp)) ops_.Start(rows);
}

void HiddenColumns::Grow(int64_t rows) {
  times_.Grow(rows);
  watermarks_.Grow(rows);
  offsets_.Grow(rows);
  sources_.Grow(rows);
  partitions_.Grow(rows);
  if (hidden_.Has(Hidden::kOp)) ops_.Grow(rows);
}

std::optional<std::string> HiddenColumns::FindTime(int64_t row, const RecordView& record, const ColumnSet* columns,
                                                   EventTime* out) const {
  int64_t record_us = 0;
  const bool has_record_time =
      record.timestamp_ms != -1 && ScaleTimestamp(record.timestamp_ms, TimestampForm::kMillis, &record_us) == Fit::kOk;
  if (!event_time_.column || columns == nullptr) {
    if (!has_record_time) return "the record has no timestamp, and event time is taken from it";
    out->us = record_us;
    return std::nullopt;
  }
  const ColumnBuilder& column = columns->builder(*event_time_.column);
  if (column.IsNull(row)) return absl::StrCat("column ", time_column_, ": event time is null");
  out->us = column.Int64At(row);
  if (*out == kMinTime || *out == kMaxTime) {
    return absl::StrCat("column ", time_column_, ": event time is out of range");
  }
  if (has_record_time && *out > EventTime{record_us} + event_time_.max_ahead_us) {
    return absl::StrCat("column ", time_column_, ": event time ", TimeText(*out), " is ",
                        (*out - record_us).us / kSecond, " s ahead of the record's timestamp ",
                        TimeText(EventTime{record_us}), ", more than max_ahead (", event_time_.max_ahead_us / kSecond,
                        " s)");
  }
  return std::nullopt;
}

void HiddenColumns::Finish(int64_t rows, int32_t partition, std::vector<std::shared_ptr<arrow::Array>>* out) {
  if (hidden_.Has(Hidden::kTime)) out->push_back(times_.Finish(rows, arrow::int64()));
  if (hidden_.Has(Hidden::kWatermark)) out->push_back(watermarks_.Finish(rows, arrow::int64()));
  if (hidden_.Has(Hidden::kSource)) {
    sources_.Fill(rows, order_);
    out->push_back(sources_.Finish(rows, arrow::int32()));
  }
  if (hidden_.Has(Hidden::kPartition)) {
    partitions_.Fill(rows, partition);
    out->push_back(partitions_.Finish(rows, arrow::int32()));
  }
  if (hidden_.Has(Hidden::kOffset)) out->push_back(offsets_.Finish(rows, arrow::int64()));
  if (hidden_.Has(Hidden::kOp)) out->push_back(ops_.Finish(rows, arrow::int8()));
}

}  // namespace tidemark
