// The characters of UTF-8 text that is known to be valid, by byte position. Used by the kernels of text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::internal {

constexpr bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

inline int64_t CountCharacters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !Continues(c); });
}

// The byte position of a character, or the end.
inline size_t ByteOf(std::string_view text, int64_t character) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (!Continues(text[at]) && character-- <= 0) break;
  }
  return at;
}

// The characters from one position to the other, which counts no more.
inline std::string_view Characters(std::string_view text, int64_t from, int64_t to) {
  size_t begin = ByteOf(text, from);
  return text.substr(begin, ByteOf(text.substr(begin), to - from));
}

// Takes the first character off; the text isn't empty.
inline std::string_view TakeCharacter(std::string_view* text) {
  size_t size = 1;
  while (size < text->size() && Continues((*text)[size])) ++size;
  std::string_view character = text->substr(0, size);
  text->remove_prefix(size);
  return character;
}

inline char32_t CodePoint(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first;
  char32_t code = first & (0x7F >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return code;
}

inline void AppendCodePoint(char32_t code, std::string* out) {
  auto put = [&](char32_t byte) { *out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace tidemark::internal
