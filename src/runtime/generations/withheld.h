// What a bound withholds, as tasks hear of it.
#pragma once

#include "src/base/record.h"

namespace tidemark {

// Among the ends that a Poll tells, in place of an offset: behind what was handed out there is more of the partition,
// which isn't due yet. So it isn't at its end, however long nothing of it comes: whoever took it for idle would let
// time run ahead of rows that are only kept back.
inline constexpr Offset kWithheld = -1;

// Likewise, once for each switch (drained.h) and each assignment: until that switch is over nothing of the partition is
// handed out but what lies before a bound that is fixed, and all that this Poll and those before it have handed out
// comes first. The task commits that it knows.
constexpr Offset StandsFor(int64_t switch_number) { return kWithheld - switch_number; }
// 0: the end isn't of that kind.
constexpr int64_t SwitchStoodFor(Offset end) { return end < kWithheld ? kWithheld - end : 0; }

}  // namespace tidemark
