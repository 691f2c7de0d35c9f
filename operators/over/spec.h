// Aggregates over the rows that come before a row, and rows before it, as the plan holds them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

struct OverItem {
  std::string name;
  std::string expression;  // one aggregate call, or lag, see Aggregate::Compile
};

// Output columns: those of the input, then one an item. With a range, lag isn't among them; with neither range nor rows
// there is nothing else.
struct OverSpec {
  static const OperatorKind& Kind();

  std::vector<size_t> by;
  int64_t range_us = 0;  // > 0: rows of this time before a row's own, and of its own
  int64_t rows = 0;      // > 0: so many rows, of which it is the last
  int64_t grace_us = 0;
  std::optional<std::string> late_topic;
  std::vector<OverItem> items;
  bool ordered = false;  // rows of the input have a place
};

const OperatorSyntax& OverSyntax();

}  // namespace tidemark
