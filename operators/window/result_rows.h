// The rows of an aggregation's results, out of its groups: group columns, window, aggregates. A row with a result that
// doesn't fit its type goes to the dead letters instead. Rows go out together, but in pieces where groups hold much
// outside of their places (long texts), a pair of an update in one piece. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

#include "operators/operator.h"
#include "operators/step.h"
#include "operators/window/group_set.h"
#include "operators/window/spec.h"

namespace tidemark {

class ResultRows {
 public:
  // What groups of one piece hold so, about; a group may have more.
  static constexpr int64_t kPieceBytes = 16 << 20;

  // Row by row.
  struct Rows {
    absl::Span<const uint32_t> slots;
    std::vector<int64_t> starts, ends;  // of their windows; empty: there are none
    std::vector<int64_t> times;
    std::vector<int8_t> ops;  // empty: they stand
  };

  // All outlive it.
  ResultRows(const StepShape* shape, const WindowSpec* spec, const GroupSet* groups)
      : shape_(*shape), spec_(*spec), groups_(*groups) {}

  absl::Status Emit(Rows rows, StepLedger* ledger, Emitter& emitter) const;

 private:
  absl::Status EmitPiece(Rows rows, StepLedger* ledger, Emitter& emitter) const;
  absl::Status ReportErrors(const Batch& results, const std::vector<int8_t>& ops,
                            const std::vector<std::vector<ResultError>>& errors, std::vector<uint8_t>* keep,
                            Emitter& emitter) const;

  const StepShape& shape_;
  const WindowSpec& spec_;
  const GroupSet& groups_;
};

}  // namespace tidemark
