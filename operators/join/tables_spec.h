// The join of two tables that change, as the plan holds it.
#pragma once

#include <array>
#include <string_view>

#include "src/plan/operator_kind.h"

namespace tidemark {

class StepCheck;  // src/plan/step_check.h

// A row of the left (port 0) and one of the right (port 1) match iff they are equal in `on`, without NULL. Both are
// update steps, and so is the result: its rows are told apart by the left's key, the right's and `on`.
struct TableJoinSpec {
  static const OperatorKind& Kind();

  std::array<ColumnList, 2> on;    // of each side, by equal positions
  std::array<ColumnList, 2> key;   // what else of its columns tells a side's rows apart
  std::array<bool, 2> outer = {};  // rows of that side without a match come with NULLs
  ColumnList columns;              // of the right, in the output behind all of the left

  // The columns of a side that are kept of its rows: those of the output, then what else identifies it.
  ColumnList kept(size_t side, size_t left_columns) const;
};

// What a step that says `table: { from: STEP }` without versions says by itself, of two tables or not; and the join of
// two.
bool CheckTableFromAlone(StepCheck& check);
bool CheckTableJoin(StepCheck& check);

}  // namespace tidemark
