#include "operators/late_rows.h"

namespace tidemark {

absl::Status RefuseLate(const Batch& batch, int64_t grace_us, EventTime clock, bool side_topic,
                        std::vector<uint8_t>* keep, StepLedger* ledger, Emitter& emitter) {
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  std::vector<int32_t> late;
  for (size_t i = 0; i < keep->size(); ++i) {
    const EventTime time{times[i]}, watermark{watermarks[i]};
    if (time + grace_us >= watermark && time >= clock) continue;
    (*keep)[i] = 0;
    late.push_back(static_cast<int32_t>(i));
  }
  ledger->late += static_cast<int64_t>(late.size());
  if (late.empty() || !side_topic) return absl::OkStatus();
  return emitter.EmitSide("late", TakeRows(batch, late));
}

}  // namespace tidemark
