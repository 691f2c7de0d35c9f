// A global table: one immutable version of a reference data set, indexed by its key. Built once by the table reader,
// read by any number of stream threads at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "src/base/batch.h"
#include "src/plan/plan.h"

namespace tidemark {

// Rows in a batch of the table's columns (no hidden ones), one row a key.
class TableSnapshot {
 public:
  // Takes rows in the order they were written, in one piece or several (one at least): of several with the same key the
  // last one stands; `deleted[i]` != 0 makes row i of them all a tombstone (its non-key columns are ignored). `deleted`
  // may be empty: none is. Needs room for the pieces, the snapshot and one column more.
  static absl::StatusOr<std::shared_ptr<const TableSnapshot>> Build(const TablePlan& plan,
                                                                    const std::vector<Batch>& pieces,
                                                                    const std::vector<uint8_t>& deleted);

  const Batch& rows() const { return rows_; }
  int64_t size() const;

  // For every row of `batch`, the table row with the same key, or -1 (also where a key column is null). `columns` are
  // the positions in `batch` of the key, in the order of the table's key; types have been checked equal.
  absl::Status Lookup(const arrow::RecordBatch& batch, const std::vector<size_t>& columns,
                      std::vector<int32_t>* out) const;

 private:
  Batch rows_;
  absl::flat_hash_map<int64_t, int32_t> by_int_;          // one integer key column: the fast path
  absl::flat_hash_map<std::string, int32_t> by_encoded_;  // any other key, in the bytes of KeyEncoder
  bool int_key_ = false;
};

}  // namespace tidemark
