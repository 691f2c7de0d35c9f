#include "src/base/many.h"

#include <cmath>

#include <absl/strings/str_format.h>

namespace tidemark {

std::string Count(double n) {
  const std::string digits = absl::StrFormat("%.0f", std::fabs(n));
  std::string out = n <= -0.5 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string Many(double n, const std::string& one) { return Count(n) + " " + one + (n == 1 ? "" : "s"); }

}  // namespace tidemark
