// What the checks of joins of two inputs have in common: the columns that must be equal, and the columns that come out.
// For the planner.
#pragma once

#include <array>
#include <string_view>

#include "src/plan/step_check.h"

namespace tidemark {

// The pairs that `on` names, by equal positions. `of`: the right input in messages. False: something was reported.
bool CheckEqualColumns(StepCheck& check, std::string_view of, std::array<ColumnList, 2>* on);

// The step's output: all of the left, then what is named of the right, into `columns` too. Rows of an outer side may
// come without one of the other; where there may be no left row, its key's columns hold the right's.
bool AddBothSides(StepCheck& check, std::string_view of, const std::array<ColumnList, 2>& on,
                  const std::array<bool, 2>& outer, ColumnList* columns);

}  // namespace tidemark
