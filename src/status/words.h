// Numbers and times as people read them.
#pragma once

#include <string>

namespace tidemark {

std::string Seconds(double s);        // "0.4 s", "12 s", "3 min", "2 h", "5 d"
std::string Count(double n);          // "1,234,567"
std::string Rate(double per_s);       // "0.4", "12", "98,780"
std::string Percent(double share);    // "78%"
std::string UtcTime(double wall_ms);  // "2026-01-01 10:05:03"
inline std::string Many(double n, const std::string& one) { return Count(n) + " " + one + (n == 1 ? "" : "s"); }

}  // namespace tidemark
