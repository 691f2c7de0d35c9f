// The join with a global table, as the plan holds it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

struct JoinSpec {
  static const OperatorKind& Kind();

  std::string table;
  std::vector<std::pair<size_t, size_t>> on;  // (stream column, table column), the latter are the table's key in order
  bool left = false;
  std::vector<size_t> columns;  // of the table, appended to the row (their output names: Node::output)
  std::optional<std::string> unmatched_topic;
};

const OperatorSyntax& JoinSyntax();

}  // namespace tidemark
