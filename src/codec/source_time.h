// A source partition's event-time progress; part of the commit record. A plain value.
#pragma once

#include <cstdint>

#include "src/base/time.h"

namespace tidemark {

struct SourceTime {
  EventTime max_time = kMinTime;  // largest event time accepted
  EventTime floor = kMinTime;     // the watermark never lies below this (raised by --close_windows)

  EventTime Watermark(int64_t max_out_of_orderness_us) const {
    const EventTime running = max_time - max_out_of_orderness_us;
    return running < floor ? floor : running;
  }
};

}  // namespace tidemark
