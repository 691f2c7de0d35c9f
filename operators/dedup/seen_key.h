// The keys that dedup remembers, as fixed numbers of uniformly distributed bits: the top 8 bits choose a segment, the
// next 32 a place in it. Table, log and runs agree on both, and on the order of keys in a segment.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace tidemark {

inline constexpr int kSegments = 256;

// A key of one integer column: a bijection of its 64 bits, so that equal means equal.
struct IntKey {
  uint64_t bits = 0;
  friend constexpr auto operator<=>(IntKey, IntKey) = default;
  uint64_t top() const { return bits; }
  uint64_t filter_bits() const { return bits * 0x9E3779B97F4A7C15; }  // all bits of the key tell in the upper ones
  static constexpr IntKey Greatest() { return {~uint64_t{0}}; }
};

// Any other key: 128 bits of its XXH3 hash.
struct HashedKey {
  uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const HashedKey&, const HashedKey&) = default;
  uint64_t top() const { return high; }
  uint64_t filter_bits() const { return low; }
  static constexpr HashedKey Greatest() { return {~uint64_t{0}, ~uint64_t{0}}; }
};

// MurmurHash3's finalizer: a bijection that spreads every bit over the word.
constexpr IntKey MixIntKey(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  return IntKey{k ^ k >> 33};
}

template <typename Key>
int SegmentOf(Key key) {
  return static_cast<int>(key.top() >> 56);
}
template <typename Key>
uint32_t PlaceOf(Key key) {
  return static_cast<uint32_t>(key.top() << 8 >> 32);
}
// The byte of a key in memory that holds its segment.
inline constexpr size_t kSegmentByte = 7;

// A key, and the event time of the row accepted for it.
template <typename Key>
struct Seen {
  Key key;
  int64_t time_us = 0;
};

}  // namespace tidemark
