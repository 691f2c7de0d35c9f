// What a run of a test has left behind, read back from the simulated world: the rows that stand in a sink, the dead
// letters. Every row is read as its format says, so that a sink's encoding is tested with it. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "src/sim/deployment.h"

namespace tidemark::trial {

struct FoundRows {
  Schema schema;
  std::vector<std::vector<std::string>> rows;  // by row and column, as in value.h
  bool has_order = false;                      // they lie in one partition, in its order
  std::vector<size_t> telling;                 // the columns that a row is shown by where a test names none
  std::shared_ptr<arrow::RecordBatch> batch;   // the same, typed; null where there are none
};

// Of a topic where rows replace each other those that stand; of a table or a lake all. InvalidArgument: the sink writes
// a format that isn't read.
absl::StatusOr<FoundRows> RowsOfSink(const SinkPlan& sink, sim::Deployment* deployment);
// With the columns of docs/dead-letters.md.
absl::StatusOr<FoundRows> FoundLetters(const Plan& plan, sim::Deployment* deployment);

}  // namespace tidemark::trial
