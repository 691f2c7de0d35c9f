// Numbers and times as people read them.
#pragma once

#include <string>

#include "src/base/many.h"

namespace tidemark {

std::string Seconds(double s);        // "0.4 s", "12 s", "3 min", "2 h", "5 d"
std::string Rate(double per_s);       // "0.4", "12", "98,780"
std::string Percent(double share);    // "78%"
std::string UtcTime(double wall_ms);  // "2026-01-01 10:05:03"

}  // namespace tidemark
