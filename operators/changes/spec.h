// The step behind a source of a table's changes, as the plan holds it.
#pragma once

#include <cstddef>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

// Its input has the columns of the source and behind them kChangeColumn (src/codec/debezium/change.h).
struct ChangesSpec {
  std::vector<size_t> key;     // columns
  std::vector<size_t> values;  // columns that a row is made of; the others tell of its last change

  static const OperatorKind& Kind();
};

// The same, of whose transactions each goes through at once (transactions.h).
struct TransactionsSpec {
  ChangesSpec changes;

  static const OperatorKind& Kind();
};

const OperatorSyntax& ChangesSyntax();

}  // namespace tidemark
