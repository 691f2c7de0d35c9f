// Batches, all or nothing, as the plan holds them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

// Unless the step says otherwise, a batch with more than that is rejected: the sinks hold it in memory, and it is read,
// encoded and flushed within one transaction, which Kafka's time-out gives 10 s in all, and as much again for each
// further 128 MiB that the step allows (OperatorKind::CommitBytes).
inline constexpr int64_t kMaxBatchBytes = int64_t{128} << 20;
inline constexpr int64_t kMaxBatchRows = 1'000'000;

// Output columns: those of the input.
struct BatchSpec {
  static const OperatorKind& Kind();

  struct Rule {
    std::string name;
    std::string that;  // a condition; a row that breaks it rejects its batch
  };

  std::vector<size_t> by;
  std::string expected;     // an expression of an integer type: how many rows the row's batch has; NULL: it doesn't say
  int64_t deadline_us = 0;  // from the smallest event time of its rows
  int64_t forget_us = 0;    // what a batch was is known for so long behind its deadline
  std::vector<Rule> rules;
  int64_t max_rows = kMaxBatchRows, max_bytes = kMaxBatchBytes;  // bytes: as RowCodec has its rows
};

// The side topic of rows of batches that are rejected.
inline constexpr std::string_view kRejectedSide = "rejected";

// In the ledger, beside the rules: batches that were rejected, by why. No rule of a batch step has such a name.
inline constexpr std::string_view kRejectedByRule = "batch-broken";  // one of the rules
inline constexpr std::string_view kRejectedByCount = "batch-expected";
inline constexpr std::string_view kRejectedBySize = "batch-size";
inline constexpr std::string_view kRejectedByDeadline = "batch-deadline";
inline constexpr std::string_view kRejectedPrefix = "batch-";

const OperatorSyntax& BatchSyntax();

}  // namespace tidemark
