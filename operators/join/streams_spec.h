// The join of two streams by time, as the plan holds it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "src/base/time.h"
#include "src/plan/operator_kind.h"

namespace tidemark {

class StepCheck;  // src/plan/step_check.h

// A row of the left (port 0) and one of the right (port 1) match iff they are equal in `on`, without NULL, and the
// right one's time lies in [left's - before, left's + after].
struct StreamJoinSpec {
  static const OperatorKind& Kind();

  std::array<ColumnList, 2> on;  // of each side, by equal positions
  int64_t before_us = 0, after_us = 0;
  int64_t grace_us = 0;
  std::array<bool, 2> outer = {};       // rows of that side without a match come with NULLs
  ColumnList columns;                   // of the right, in the output behind all of the left
  std::array<bool, 2> late_topic = {};  // rows of that side that are late go to a topic

  // How far past a row's time a row of the other side that matches it may lie.
  int64_t reach_us(size_t side) const { return side == 0 ? after_us : before_us; }
  // Rows are kept in buckets of so much time: half the interval, so a row's interval touches three of them, and rows
  // are kept for at most that much longer. Part of the step's identity.
  int64_t bucket_us() const { return std::max((before_us + after_us) / 2, kSecond); }
  // The columns of a side that are kept of its rows: those of the output, then what else its key is made of.
  ColumnList kept(size_t side, size_t left_columns) const;
};

inline constexpr const char* kLateSides[] = {"late left", "late right"};  // names of the side topics

// The join of a step that says `stream`.
bool CheckStreamJoinAlone(StepCheck& check);
bool CheckStreamJoin(StepCheck& check);

}  // namespace tidemark
