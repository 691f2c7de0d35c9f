// Times of a day as text. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tidemark {

// `us` since midnight: "12:34:56", or with six digits behind the point. MySQL's TIME is a length of time, which may be
// below nothing and has up to 838 hours: "-838:59:59". Nothing: it is longer.
std::optional<std::string> TimeOfDayText(int64_t us);

}  // namespace tidemark
