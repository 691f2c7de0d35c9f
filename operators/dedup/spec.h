// dedup, as the plan holds it.
#pragma once

#include <cstdint>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

struct DedupSpec {
  static const OperatorKind& Kind();

  std::vector<size_t> by;
  int64_t within_us = 0;
  int64_t grace_us = 0;
  bool keep_last = false;
};

const OperatorSyntax& DedupSyntax();

}  // namespace tidemark
