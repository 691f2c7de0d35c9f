#include "src/codec/hidden_columns.h"

#include <cstring>

#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/type.h>

#include "src/base/status.h"
#include "src/base/value_text.h"
#include "src/codec/cells.h"
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
      time_name_(plan.event_time.column ? "column " + plan.columns[*plan.event_time.column].column.name
                                        : "event_time.expression"),
      order_(plan.order),
      hidden_(plan.hidden) {
  if (!event_time_.expression.empty()) {
    expression_ = Expression::Compile(event_time_.expression, ColumnsSchema(plan.columns));
  }
}

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
  if (asks_rows()) {
    *out = kMinTime;
    return std::nullopt;
  }
  if (!event_time_.column || columns == nullptr) {
    if (record.timestamp_ms == -1 ||
        ScaleTimestamp(record.timestamp_ms, TimestampForm::kMillis, &out->us) != Fit::kOk) {
      return "the record has no timestamp, and event time is taken from it";
    }
    return std::nullopt;
  }
  const ColumnBuilder& column = columns->builder(*event_time_.column);
  if (column.IsNull(row)) return absl::StrCat(time_name_, ": event time is null");
  out->us = column.Int64At(row);
  return CheckTime(*out, record);
}

std::optional<std::string> HiddenColumns::CheckTime(EventTime time, const RecordView& record) const {
  if (time == kMinTime || time == kMaxTime) return absl::StrCat(time_name_, ": event time is out of range");
  int64_t record_us = 0;
  const bool has_record_time =
      record.timestamp_ms != -1 && ScaleTimestamp(record.timestamp_ms, TimestampForm::kMillis, &record_us) == Fit::kOk;
  if (has_record_time && time > EventTime{record_us} + event_time_.max_ahead_us) {
    return absl::StrCat(time_name_, ": event time ", TimeText(time), " is ", (time - record_us).us / kSecond,
                        " s ahead of the record's timestamp ", TimeText(EventTime{record_us}),
                        ", more than max_ahead (", event_time_.max_ahead_us / kSecond, " s)");
  }
  return std::nullopt;
}

absl::Status HiddenColumns::FindTimes(const arrow::RecordBatch& rows, std::span<const RecordView> records,
                                      std::span<const size_t> record_of, std::vector<int32_t>* kept,
                                      std::vector<DecodeError>* refused) {
  TM_RETURN_IF_ERROR(expression_->status());
  std::vector<RowError> failed;
  TM_ASSIGN_OR_RETURN(const auto found, (*expression_)->Evaluate(rows, &failed));
  const Cells<int64_t> times(*found->data());
  size_t next_failed = 0;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    const size_t record = record_of[static_cast<size_t>(row)];
    const bool row_failed = next_failed < failed.size() && failed[next_failed].row == row;
    const std::string why = row_failed ? failed[next_failed++].message : "";
    if (!refused->empty() && refused->back().record == record) continue;
    std::optional<std::string> reason;
    if (row_failed) {
      reason = absl::StrCat(time_name_, ": ", why);
    } else if (times.IsNull(row)) {
      reason = absl::StrCat(time_name_, ": event time is null");
    } else {
      reason = CheckTime(EventTime{times[row]}, records[record]);
    }
    if (reason) {
      // Those of its rows before this one go too; time is moved below, by the rows that stay.
      while (!kept->empty() && record_of[static_cast<size_t>(kept->back())] == record) kept->pop_back();
      refused->push_back({record, *std::move(reason)});
      continue;
    }
    times_.Set(row, times[row]);
    kept->push_back(static_cast<int32_t>(row));
  }
  for (size_t to = 0; to < kept->size(); ++to) {
    const int32_t row = (*kept)[to];
    const auto at = static_cast<int64_t>(to);  // never behind the row
    const EventTime time{times_.At(row)};
    time_->max_time = std::max(time_->max_time, time);
    times_.Set(at, time.us);
    watermarks_.Set(at, time_->Watermark(event_time_.max_out_of_orderness_us).us);
    offsets_.Set(at, offsets_.At(row));
    if (hidden_.Has(Hidden::kOp)) ops_.Set(at, ops_.At(row));
  }
  return absl::OkStatus();
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
