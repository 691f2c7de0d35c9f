// Numbers in state keys: big-endian with the sign bit flipped, so that keys sort as the numbers do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark {

inline void AppendBigEndian(uint64_t value, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}
inline uint64_t ReadBigEndian(std::string_view from) {
  uint64_t value = 0;
  for (const char c : from) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}
inline void AppendOrdered(int64_t value, std::string* out) {
  AppendBigEndian(static_cast<uint64_t>(value) ^ (uint64_t{1} << 63), 8, out);
}
inline int64_t ReadOrdered(std::string_view from) {
  return static_cast<int64_t>(ReadBigEndian(from) ^ (uint64_t{1} << 63));
}

}  // namespace tidemark
