// Signed numbers of variable length in state values, short where they are near 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/varint.h"

namespace tidemark {

inline void AppendSigned(int64_t value, std::string* out) {
  AppendVarint(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63), out);
}
inline bool TakeSigned(std::string_view* from, int64_t* value) {
  uint64_t zigzag = 0;
  if (!TakeVarint(from, &zigzag)) return false;
  *value = static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
  return true;
}

}  // namespace tidemark
