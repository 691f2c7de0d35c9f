// What most operators share: the shapes of their rows, and the choice of some rows of a batch that keeps updates
// meaningful. Used by the stream thread of the operator that holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <arrow/type_fwd.h>

#include "operators/operator.h"
#include "src/base/batch.h"
#include "src/expr/expression.h"
#include "src/plan/plan.h"

namespace tidemark {

// The shapes of a node's rows, taken from the plan: those of one of its inputs, and those of its output.
struct StepShape {
  explicit StepShape(const Node& node, size_t port = 0);

  // A batch of the output's shape: these visible columns and, of the hidden ones, those of `from` (a batch of the
  // input's shape, with the same rows).
  Batch Assemble(std::vector<std::shared_ptr<arrow::Array>> visible, const arrow::RecordBatch& from) const;
  // The same rows with the columns that are passed on, visible and hidden, for steps whose output has no others. A
  // join's has, between these.
  Batch PassThrough(const Batch& batch) const;

  void AppendHidden(const arrow::RecordBatch& from, std::vector<std::shared_ptr<arrow::Array>>* columns) const;

  std::string name;
  Schema input, output;
  HiddenSet input_hidden, hidden;
  std::shared_ptr<arrow::Schema> batch_schema;  // of the output
  std::vector<size_t> passed;                   // visible columns of the input that PassThrough passes on
  std::shared_ptr<arrow::Schema> passed_schema;
};

// The hidden columns of rows that an operator makes itself. Unless given, source and partition are 0 and the offset is
// -1: such rows stand nowhere.
struct HiddenValues {
  std::vector<int64_t> times;
  std::vector<int8_t> ops;  // needed where the shape has kOp
  std::vector<int32_t> sources, partitions;
  std::vector<int64_t> offsets;
};
// The watermark is that of rows which are never late.
Batch MakeBatch(const StepShape& shape, std::vector<std::shared_ptr<arrow::Array>> visible, const HiddenValues& hidden);

// The rows of a batch that stay, and what they then do. Where only one half of an update pair stays, the before row
// becomes a delete, the after row an insert.
class Selection {
 public:
  // keep[i] != 0: row i stays. `ops` may be null: an append step.
  Selection(const std::vector<uint8_t>& keep, const int8_t* ops);

  bool all() const { return all_; }
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  const std::vector<int32_t>& rows() const { return rows_; }
  // The rows that stay; the batch itself where all do.
  Batch Apply(const Batch& batch) const;

 private:
  std::vector<int32_t> rows_;
  std::vector<int8_t> ops_;
  bool all_ = true, ops_changed_ = false;
};

// True for the rows of an update step that take a row away.
inline bool IsRetraction(const int8_t* ops, int64_t row) {
  if (ops == nullptr) return false;
  const auto op = static_cast<Op>(ops[row]);
  return op == Op::kUpdateBefore || op == Op::kDelete;
}

// Sends the rows an expression failed on to the dead letters, once each (a row whose keep is 0 already was refused by
// an expression before), and sets their keep to 0. A retraction is not sent again: it was when it was inserted; it
// counts as filtered.
absl::Status RefuseRows(const Batch& batch, const Schema& schema, std::string_view expression,
                        const std::vector<RowError>& errors, std::vector<uint8_t>* keep, StepLedger* ledger,
                        Emitter& emitter);

}  // namespace tidemark
