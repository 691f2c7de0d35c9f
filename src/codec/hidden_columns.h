// The hidden columns of a source's rows under construction: event time, the running watermark, the row's place, and
// what a row of a changing table does. Knows of records and columns, of no format. Used by one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/buffer.h>
#include <arrow/type_fwd.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/codec/column_set.h"
#include "src/codec/source_time.h"
#include "src/expr/expression.h"
#include "src/plan/plan.h"

namespace tidemark {

// A record that can't become a row.
struct DecodeError {
  size_t record = 0;   // position in the fetch
  std::string reason;  // "column detection_oid: expected int64, found string" ...
};

// One of them: a plain buffer, never null, set by row number.
template <typename T>
class HiddenBuilder {
 public:
  void Start(int64_t rows);
  void Grow(int64_t rows);
  void Set(int64_t row, T value) { values_[row] = value; }
  T At(int64_t row) const { return values_[row]; }
  void Fill(int64_t rows, T value) { std::fill(values_, values_ + rows, value); }
  std::shared_ptr<arrow::Array> Finish(int64_t rows, std::shared_ptr<arrow::DataType> type);

 private:
  std::shared_ptr<arrow::Buffer> buffer_;
  T* values_ = nullptr;
};

class HiddenColumns {
 public:
  explicit HiddenColumns(const SourcePlan& plan);

  // Makes room for `rows` rows, dropping what was there. `time` runs forward with every row.
  void Start(int64_t rows, SourceTime* time);
  void Grow(int64_t rows);

  // A row whose visible columns stand in `columns`: the reason, where it has no event time or lies too far ahead; time
  // hasn't moved then. The row's watermark includes the row.
  // `deletion`: the row may lack its event time; then it is as late as time has come, or where there is none yet has
  // the record's timestamp, and doesn't move it.
  std::optional<std::string> Set(int64_t row, const RecordView& record, const ColumnSet& columns, Op op,
                                 bool deletion = false) {
    EventTime row_time;
    const bool timeless = deletion && event_time_.column && !columns.HasValue(*event_time_.column);
    if (timeless && time_->max_time > kMinTime) [[unlikely]] {
      row_time = time_->max_time;
    } else if (timeless || !IsOrdinary(row, record, columns, &row_time)) [[unlikely]] {
      if (std::optional<std::string> reason = FindTime(row, record, timeless ? nullptr : &columns, &row_time)) {
        return reason;
      }
    }
    if (!timeless) [[likely]]
      time_->max_time = std::max(time_->max_time, row_time);
    times_.Set(row, row_time.us);
    watermarks_.Set(row, time_->Watermark(event_time_.max_out_of_orderness_us).us);
    offsets_.Set(row, record.offset);
    if (hidden_.Has(Hidden::kOp)) ops_.Set(row, static_cast<int8_t>(op));
    return std::nullopt;
  }
  // Rows are taken back together with what they did to time.
  EventTime max_time() const { return time_->max_time; }
  void TakeBack(EventTime max_time) { time_->max_time = max_time; }
  // Event time is an expression over whole batches: Set knows none yet, and FindTimes must follow, once all rows are
  // set. `records[record_of[r]]` is the one that row r comes from: offsets don't tell, as several records may share one
  // (objects on one line of a file). A record counts as a whole: `kept` becomes the rows of those that have a time,
  // `refused` the others, where there are any; the hidden columns are then of the rows kept.
  bool asks_rows() const { return expression_.has_value(); }
  absl::Status FindTimes(const arrow::RecordBatch& rows, std::span<const RecordView> records,
                         std::span<const size_t> record_of, std::vector<int32_t>* kept,
                         std::vector<DecodeError>* refused);

  // Rows may be other than inserts.
  bool has_op() const { return hidden_.Has(Hidden::kOp); }

  // Appends those that the source has, in their order.
  void Finish(int64_t rows, int32_t partition, std::vector<std::shared_ptr<arrow::Array>>* out);

 private:
  // What nearly every record is, and quickly told: its time is a column's, and not too far ahead of the record's own.
  bool IsOrdinary(int64_t row, const RecordView& record, const ColumnSet& columns, EventTime* out) const {
    if (!event_time_.column || record.timestamp_ms < 0 || record.timestamp_ms > kMaxTime.us / 2000) return false;
    const ColumnBuilder& column = columns.builder(*event_time_.column);
    if (column.IsNull(row)) return false;
    out->us = column.Int64At(row);
    return *out != kMinTime && *out != kMaxTime &&
           *out <= EventTime{record.timestamp_ms * 1000} + event_time_.max_ahead_us;
  }
  // Of any record: the reason, where it has none. Without columns it is the record's timestamp.
  std::optional<std::string> FindTime(int64_t row, const RecordView& record, const ColumnSet* columns,
                                      EventTime* out) const;

  std::optional<std::string> CheckTime(EventTime time, const RecordView& record) const;

  const EventTimeSpec event_time_;
  const std::string time_name_;                           // "column ms", for messages
  std::optional<absl::StatusOr<Expression>> expression_;  // event time, where it is one
  const int32_t order_;
  const HiddenSet hidden_;
  SourceTime* time_ = nullptr;
  HiddenBuilder<int64_t> times_, watermarks_, offsets_;
  HiddenBuilder<int32_t> sources_, partitions_;
  HiddenBuilder<int8_t> ops_;
};

}  // namespace tidemark
