// How two values of one type compare, as PostgreSQL does: NaN equals NaN and is greater than any number, false is less
// than true, text compares bytewise (COLLATE "C").
#pragma once

#include <cmath>
#include <string_view>
#include <type_traits>

namespace tidemark::internal {

// Negative, zero or positive.
template <typename T>
int Compare(T a, T b) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return a.compare(b);
  } else if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
    return (a > b) - (a < b);
  } else {
    return (a > b) - (a < b);
  }
}

}  // namespace tidemark::internal
