// Which rows the aggregates of `over` see: takes rows in their order and makes of them what accumulators are to do, and
// the columns that these then give. A value of the operator; touched only by the stream thread.
//
// A frame of a range is SQL's RANGE BETWEEN range PRECEDING AND CURRENT ROW: rows of the same time see each other, so
// all of one time must come in one call. A frame of rows is ROWS BETWEEN n - 1 PRECEDING AND CURRENT ROW, and lag(x, n)
// is SQL's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>
#include <arrow/type_fwd.h>

#include "operators/over/history.h"
#include "operators/over/spec.h"
#include "operators/window/accumulator.h"
#include "src/base/batch.h"
#include "src/codec/row_codec.h"
#include "src/expr/expression.h"

namespace tidemark {

class OverFrames {
 public:
  // InvalidArgument where an item doesn't compile.
  static absl::StatusOr<OverFrames> Make(const OverSpec& spec, const Schema& input);

  // The columns of the input that items read; and how many rows of a key must be kept, without a range.
  const std::vector<size_t>& columns() const { return columns_; }
  int64_t kept_rows() const;

  // Of each item, the rows of a batch of these columns on which it fails, ascending.
  absl::StatusOr<std::vector<std::vector<RowError>>> Failures(const arrow::RecordBatch& rows) const;

  struct Row {
    KeptKey* key = nullptr;
    int64_t time = 0;
  };
  // The items' columns for these rows, which follow all that came before them. `cells`: their columns() as one batch.
  // `read`: keys whose rows have been read again since the last call. Errors: by item.
  absl::Status Run(absl::Span<const Row> rows, const Batch& cells, absl::Span<KeptKey* const> read, History* history,
                   std::vector<std::shared_ptr<arrow::Array>>* out, std::vector<std::vector<ResultError>>* errors);

  // The keys of these slots have gone; all have.
  void Free(absl::Span<const uint32_t> slots);
  void Clear();
  int64_t MemoryBytes() const;

 private:
  enum class Do : uint8_t { kAdd, kTake, kGive };
  struct Step {
    Do what;
    int32_t at;  // the row; kGive: of those that came
    uint32_t slot;
  };
  // What items look at, of a batch of columns().
  struct Values {
    std::vector<std::shared_ptr<arrow::Array>> arguments;  // by item
    std::vector<std::vector<uint8_t>> counted;             // by item and row; empty: all count
    std::vector<std::vector<RowError>> errors;
  };

  OverFrames(const OverSpec& spec, std::vector<size_t> columns, Schema schema, std::vector<Aggregate> items);

  absl::StatusOr<Values> Evaluate(const arrow::RecordBatch& rows) const;
  // The row's place among those that are looked at in this call.
  int32_t At(KeptRow* row);
  void Step_(Do what, KeptRow* row, uint32_t slot) { steps_.push_back({what, At(row), slot}); }
  void PlanRead(KeptKey* key, int64_t time);
  void PlanTime(absl::Span<const Row> rows, size_t first, const EncodedKeys& cells, History* history);
  void PlanRow(const Row& row, size_t i, const EncodedKeys& cells, History* history);
  KeptRow* AddRow(const Row& row, size_t i, const EncodedKeys& cells, History* history);
  void TakeFirst(KeptKey* key);
  absl::StatusOr<Batch> LookedAt(const EncodedKeys& cells) const;
  absl::Status RunItem(size_t item, const Values& values, size_t rows, std::vector<std::shared_ptr<arrow::Array>>* out,
                       std::vector<ResultError>* errors);

  int64_t range_us_, rows_;
  std::vector<size_t> columns_;
  Schema schema_;  // of these
  RowCodec codec_;
  std::vector<Aggregate> items_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;  // by item; null: lag
  uint32_t slots_ = 0;

  // Of a call.
  uint64_t round_ = 0;
  std::vector<Step> steps_;
  std::vector<std::vector<int32_t>> lagged_;  // by item that is lag, and row
  std::string old_cells_;                     // of rows that came earlier and are looked at, one after the other
  std::vector<size_t> old_ends_;
  std::vector<int64_t> numbers_;  // by row that is looked at: its number
  int32_t new_rows_ = 0;
};

}  // namespace tidemark
