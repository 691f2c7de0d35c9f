#include "src/base/many.h"

#include <cmath>

#include <absl/strings/str_format.h>

namespace tidemark {

std::string Count(double n) {
  std::string digits = absl::StrFormat("%.0f", std::fabs(n));
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return n <= -0.5 ? "-" + digits : digits;
}

std::string Many(double n, const std::string& one) { return Count(n) + " " + one + (n == 1 ? "" : "s"); }

}  // namespace tidemark
