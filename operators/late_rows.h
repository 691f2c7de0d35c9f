// Which rows come too late for a step that lets rows wait for their time and goes through them in its order: alert and
// over. A row is late iff its own watermark, that of its source partition when it came, has passed its time by more
// than the grace; so it depends on offsets alone. Of a step that goes on with more grace than it had, rows are late too
// that lie behind what it has gone through.
#pragma once

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "operators/operator.h"
#include "src/base/batch.h"
#include "src/base/time.h"

namespace tidemark {

// Of rows with the hidden columns time and watermark: counts those that are late, sets their keep to 0 and sends them
// to the side topic "late" where there is one. Halves of an update have one time, so both are late or neither is.
// `clock`: what lies before it has been gone through.
absl::Status RefuseLate(const Batch& batch, int64_t grace_us, EventTime clock, bool side_topic,
                        std::vector<uint8_t>* keep, StepLedger* ledger, Emitter& emitter);

}  // namespace tidemark
