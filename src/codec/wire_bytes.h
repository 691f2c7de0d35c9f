// What binary formats share in reading bytes: text that must be UTF-8, numbers as bytes. Pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include <arrow/util/utf8.h>

namespace tidemark {

inline bool IsAscii(const char* p, size_t size) {
  uint64_t seen = 0;
  for (; size >= 8; p += 8, size -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, p, 8);
    seen |= word;
  }
  for (; size > 0; ++p, --size) seen |= static_cast<unsigned char>(*p);
  return (seen & 0x8080808080808080) == 0;
}

// arrow::util::InitializeUTF8 was called before.
inline bool IsUtf8(std::string_view text) {
  return IsAscii(text.data(), text.size()) || arrow::util::ValidateUTF8(text);
}

// Big-endian, two's complement. False: more than 128 bits.
inline bool ReadDigits(std::string_view bytes, __int128* out) {
  const bool negative = !bytes.empty() && (bytes[0] & 0x80) != 0;
  const char fill = negative ? '\xFF' : '\0';
  while (bytes.size() > 16 && bytes[0] == fill) bytes.remove_prefix(1);
  if (bytes.size() > 16 || (bytes.size() == 16 && ((bytes[0] & 0x80) != 0) != negative)) return false;
  auto digits = static_cast<unsigned __int128>(negative ? -1 : 0);
  for (const char byte : bytes) digits = digits << 8 | static_cast<unsigned char>(byte);
  *out = static_cast<__int128>(digits);
  return true;
}

}  // namespace tidemark
