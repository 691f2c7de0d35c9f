// Variable-length numbers in state values: seven bits a byte, lowest first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark {

inline void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

// Takes a number off the front. False: there is none.
inline bool TakeVarint(std::string_view* from, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && !from->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(from->front());
    from->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Takes a byte string with its size in front.
inline bool TakeBytes(std::string_view* from, std::string_view* bytes) {
  uint64_t size = 0;
  if (!TakeVarint(from, &size) || size > from->size()) return false;
  *bytes = from->substr(0, size);
  from->remove_prefix(size);
  return true;
}

}  // namespace tidemark
