// Numbers of things, as people read them.
#pragma once

#include <string>

namespace tidemark {

std::string Count(double n);                         // "1,234,567"
std::string Many(double n, const std::string& one);  // "1 row", "1,234,567 rows"

}  // namespace tidemark
