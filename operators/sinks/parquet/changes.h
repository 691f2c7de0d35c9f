// Changes of an update step as rows that stand: the step's columns, and LakeSchema's behind them. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/batch.h"

namespace tidemark {

class ChangeRows {
 public:
  // `columns`: of the step.
  explicit ChangeRows(size_t columns) : columns_(static_cast<int>(columns)) {}

  // The rows of a batch, with its hidden kTime and kOp, which is without hidden columns then. Rows of several batches
  // with one offset, directly behind each other, are numbered on.
  Batch AsRows(const arrow::RecordBatch& rows, int32_t partition, int64_t offset);

 private:
  const int columns_;
  int64_t offset_ = -1;
  int64_t next_row_ = 0;  // at that offset
};

}  // namespace tidemark
