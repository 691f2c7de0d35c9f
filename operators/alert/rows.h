// The rows of an alert step as they go out: what happened to an alert, beside the columns of the reading that it is
// about. Gathered into batches. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "operators/alert/spec.h"
#include "operators/alert/watches.h"
#include "operators/step.h"
#include "src/codec/row_codec.h"

namespace tidemark {

enum class AlertState : uint8_t { kRaised, kReminded, kCleared, kForgotten };

class AlertRows {
 public:
  AlertRows(const Node& node, const AlertSpec& spec)
      : shape_(node), codec_(RowCodec::Rows(shape_.input)), severity_(spec.severity) {}

  // That happened at `time` to the alert that `watch` is.
  void Add(const Watch& watch, WatchKind kind, AlertState state, int64_t time);
  // Enough for a batch.
  bool full() const { return rows_.size() >= kEmitRows; }
  absl::Status Flush(StepLedger* ledger, Emitter& emitter);

 private:
  static constexpr size_t kEmitRows = 1024;

  struct Said {
    AlertState state = AlertState::kRaised;
    WatchKind kind = kCondition;
    int64_t start = 0;
  };

  absl::Status AppendMade(arrow::ArrayVector* columns) const;

  const StepShape shape_;
  const RowCodec codec_;
  const std::optional<std::string> severity_;
  std::vector<std::string> rows_;  // the readings
  std::vector<Said> said_;         // of each
  std::vector<int64_t> times_;
};

}  // namespace tidemark
