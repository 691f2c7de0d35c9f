// Alerts as rows: when a condition on the rows of a key begins to hold, still holds and is over, and when nothing is
// heard of a key, as the plan holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

// Output columns: those of the input, then alert_state, alert_kind (strings), alert_start, alert_time (timestamps),
// alert_seconds (double) and, with a severity, alert_severity.
struct AlertSpec {
  static const OperatorKind& Kind();

  std::vector<size_t> by;
  std::string raise;  // a condition; empty: only absence is looked for
  std::string clear;  // a condition; empty: `raise` is false
  int64_t for_us = 0;
  int64_t absent_us = 0;  // 0: absence is not looked for
  int64_t forget_us = 0;  // with absent_us, and longer
  int64_t remind_us = 0;  // 0: no reminders
  int64_t grace_us = 0;
  std::optional<std::string> severity;
  std::optional<std::string> late_topic;
  bool input_updates = false;  // rows of the input are taken back and replaced
  bool ordered = false;        // its rows have a place, and are judged in the order of that
};

const OperatorSyntax& AlertSyntax();

}  // namespace tidemark
