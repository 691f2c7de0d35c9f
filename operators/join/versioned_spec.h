// The join with the versions of a table's rows, as the plan holds it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "src/base/time.h"
#include "src/plan/operator_kind.h"

namespace tidemark {

class StepCheck;  // src/plan/step_check.h

// A row of the stream (port 0) meets the newest of the table's rows (port 1) that are equal in `on`, without NULL, and
// whose time isn't after the time that `as_of` gives.
struct VersionedJoinSpec {
  static const OperatorKind& Kind();

  std::array<ColumnList, 2> on;    // of each side, by equal positions
  bool left = false;               // rows without a version come with NULLs
  bool changes = false;            // the table's rows are changes of rows; `on` has what tells these apart
  ColumnList columns;              // of the table, in the output behind all of the stream
  std::string as_of;               // over the stream's columns; empty: the row's own time
  std::string deleted;             // over the table's columns: after such a row its key has none; empty: never
  int64_t keep_us = 0;             // how far behind the stream as_of may lie
  int64_t ahead_us = 0;            // how far past the row's own time
  int64_t grace_us = 0;            // of the table's rows
  bool expired_unmatched = false;  // a row whose version may be gone has none; else it is a dead letter
  bool unmatched_topic = false, late_topic = false;

  int64_t most_ahead_us() const { return as_of.empty() ? 0 : ahead_us; }
  // Versions are forgotten in steps of it.
  int64_t forget_us() const { return std::max(keep_us / 16, kSecond); }
};

inline constexpr char kUnmatched[] = "unmatched";  // names of the side topics
inline constexpr char kLateVersions[] = "late table";

// How long versions are kept where nothing is said.
inline constexpr int64_t kDefaultKeepUs = 3600 * kSecond;

// The join of a step that says `table: { from: STEP }`, with `versioned` or over rows that stand.
bool CheckVersionedJoinAlone(StepCheck& check);
bool CheckVersionedJoin(StepCheck& check);

}  // namespace tidemark
