// The watermark an operator has seen, in its state: after a restart a row may arrive before time does, and is judged as
// it would have been. Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "state/store.h"

namespace tidemark {

inline absl::StatusOr<EventTime> LoadWatermark(StateStore* store) {
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store->Get("w"));
  if (!value) return kMinTime;
  if (value->size() != 8) return absl::DataLossError("the watermark in the state can't be read");
  return EventTime{ReadOrdered(*value)};
}

// Writes it where it differs from what is stored.
inline void StoreWatermark(EventTime watermark, EventTime* stored, StateStore* store) {
  if (watermark == *stored) return;
  *stored = watermark;
  std::string value;
  AppendOrdered(watermark.us, &value);
  store->Put("w", value);
}

}  // namespace tidemark
