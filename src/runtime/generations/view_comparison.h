// A view of two generations, compared (comparison.h): of each key the row that each of the two shows where its log
// ends. Rows are known by the columns of the key, not by the record's, which may name them in another order or in wider
// types. What `keep` has taken away by the time of the view is not shown, so it isn't compared: a log holds more than
// that, and the one of the generation that has run for longer less. The time is the later of the two views' own, which
// differ by who is idle and when a mark was written, and not by results. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/compared_columns.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/comparison.h"

namespace tidemark {

struct ViewComparisonTarget {
  std::string view;                                     // "view now"
  int32_t before_generation = 0, after_generation = 0;  // for people
  SinkPlan before, after;
  ComparedColumns columns;
  std::vector<std::string> key;                  // in `columns`, of both
  size_t most_entries = (size_t{1} << 30) / 82;  // in memory (row_tally.h)
};

std::unique_ptr<TargetComparison> MakeViewComparison(ViewComparisonTarget target, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
