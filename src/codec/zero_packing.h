// Bytes of which many are zero, as those of numbers in fixed width are: their number as a varint, then for every eight
// of them a byte that tells which aren't zero, and those. As in Cap'n Proto's packing, without its runs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "src/base/varint.h"

namespace tidemark {

// Appends to `out`. Every byte is written and counted only if it isn't zero: which ones are is nothing that a processor
// could foresee.
inline void PackZeros(std::string_view bytes, std::string* out) {
  AppendVarint(bytes.size(), out);
  const size_t begin = out->size();
  out->resize(begin + (bytes.size() + 7) / 8 * 9);  // at most
  char* to = out->data() + begin;
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    char* const mask = to++;
    unsigned set = 0;
    for (unsigned byte = 0; byte < 8 && word != 0; ++byte, word >>= 8) {
      const unsigned some = (word & 0xFF) != 0;
      *to = static_cast<char>(word);
      to += some;
      set |= some << byte;
    }
    *mask = static_cast<char>(set);
  }
  out->resize(static_cast<size_t>(to - out->data()));
}

// Replaces `out`. False: not what PackZeros wrote.
inline bool UnpackZeros(std::string_view packed, std::string* out) {
  uint64_t size = 0;
  if (!TakeVarint(&packed, &size) || size > 8 * packed.size()) return false;  // at least a byte for every eight
  out->assign(size, 0);
  for (size_t at = 0; at < size; at += 8) {
    if (packed.empty()) return false;
    auto mask = static_cast<uint8_t>(packed.front());
    packed.remove_prefix(1);
    if (static_cast<size_t>(std::popcount(mask)) > packed.size()) return false;
    for (; mask != 0; mask = static_cast<uint8_t>(mask & (mask - 1))) {
      const size_t to = at + static_cast<size_t>(std::countr_zero(mask));
      if (to >= size) return false;
      (*out)[to] = packed.front();
      packed.remove_prefix(1);
    }
  }
  return packed.empty();
}

}  // namespace tidemark
