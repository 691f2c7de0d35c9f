// What a bound withholds, as tasks hear of it.
#pragma once

#include "src/base/record.h"

namespace tidemark {

// Among the ends that a Poll tells, in place of an offset: behind what was handed out there is more of the partition,
// which isn't due yet. So it isn't at its end, however long nothing of it comes: whoever took it for idle would let
// time run ahead of rows that are only kept back.
inline constexpr Offset kWithheld = -1;

}  // namespace tidemark
