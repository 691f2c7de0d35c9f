// The first k rows of each group, as the plan holds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

struct TopSpec {
  static const OperatorKind& Kind();

  struct Order {
    size_t column = 0;
    bool descending = false;
  };
  int64_t k = 0;
  std::vector<size_t> by;      // group; over on_close rows window_start and window_end are part of it
  std::vector<Order> order;    // ties already spelled out: the remaining visible columns, ascending, are appended
  std::string rank;            // name of the int64 rank column (1..k), appended last; empty: none
  bool on_update = false;      // each commit puts out how the lists have changed; else a list once, when it is complete
  bool input_updates = false;  // rows of the input replace each other, by
  std::vector<size_t> input_key;
};

const OperatorSyntax& TopSyntax();

}  // namespace tidemark
