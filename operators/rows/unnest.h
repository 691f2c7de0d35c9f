// Makes rows of the elements of a JSON array: each has the other columns of its row, the element and, if asked for, its
// place in the array. Rows of one row stand together, in the array's order, with the row's time and place. NULL and an
// empty array make no row, or with `outer` one with NULL for the element. Holds no state.
//
// Over an update step a change of a row becomes one of each of its elements, which are told apart by their place: an
// update where both arrays have one there, else an insert or a delete.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/rows/spec.h"
#include "operators/step.h"

namespace tidemark {

class UnnestOperator final : public Operator {
 public:
  static absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const UnnestSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;

 private:
  // The rows that come of a batch.
  struct Made {
    std::vector<int32_t> rows;               // the row that each is of
    std::vector<std::string_view> elements;  // data() is null for NULL
    std::vector<int64_t> places;             // 0 for NULL
    std::vector<int8_t> ops;
  };

  UnnestOperator(const Node& node, const UnnestSpec& spec) : shape_(node), spec_(spec) {}

  void Add(int32_t row, const std::vector<std::string_view>& elements, size_t i, Op op, Made* made) const;
  // The elements of one row, or of both halves of an update.
  void AddRow(int32_t row, const std::vector<std::string_view>& elements, Op op, Made* made) const;
  void AddPair(int32_t before, const std::vector<std::string_view>& old_elements, int32_t after,
               const std::vector<std::string_view>& elements, Made* made) const;
  // How many rows come of so many elements.
  size_t RowsOf(size_t elements) const { return elements == 0 && spec_.outer ? 1 : elements; }
  absl::StatusOr<Batch> Build(const Batch& batch, const Made& made) const;

  const StepShape shape_;
  const UnnestSpec spec_;
  StepLedger* ledger_ = nullptr;
};

}  // namespace tidemark
