// The hash index of the groups of one window. What an aggregation asks for every row, so it is built for batches of
// questions: Prefetch and Candidate let the caller have the cache misses of many rows at once. Touched only by the
// stream thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace tidemark {

// From hashes to slots: open addressing with linear probing, 8 bytes an entry, at most two thirds full. Half of a hash
// stands in the entry, so that growing and erasing never look at the groups.
class GroupIndex {
 public:
  static constexpr uint32_t kNoSlot = ~uint32_t{0};

  void Prefetch(uint64_t hash) const {
    if (!entries_.empty()) __builtin_prefetch(&entries_[Home(Tag(hash))]);
  }
  // A slot that Find will probably look at, or kNoSlot.
  uint32_t Candidate(uint64_t hash) const {
    if (entries_.empty()) return kNoSlot;
    const Entry& entry = entries_[Home(Tag(hash))];
    return entry.tag == Tag(hash) ? entry.slot : kNoSlot;
  }
  // The slot with this hash for which `same` holds, or kNoSlot.
  template <typename Same>
  uint32_t Find(uint64_t hash, Same&& same) const {
    if (entries_.empty()) return kNoSlot;
    for (uint32_t at = Home(Tag(hash)); entries_[at].slot != kNoSlot; at = Next(at)) {
      if (entries_[at].tag == Tag(hash) && same(entries_[at].slot)) return entries_[at].slot;
    }
    return kNoSlot;
  }
  // Of a slot that isn't in it.
  void Insert(uint64_t hash, uint32_t slot) {
    if (size_ + 1 > entries_.size() * 2 / 3) Grow(size_ + 1);
    Put({Tag(hash), slot});
    ++size_;
  }
  // Of one that is. What stands behind it moves up, as if it had never been there (Knuth, TAOCP 6.4, algorithm R).
  void Erase(uint64_t hash, uint32_t slot) {
    uint32_t hole = Home(Tag(hash));
    while (entries_[hole].slot != slot) hole = Next(hole);
    for (uint32_t at = Next(hole); entries_[at].slot != kNoSlot; at = Next(at)) {
      const uint32_t home = Home(entries_[at].tag);
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;  // its home lies behind the hole
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole].slot = kNoSlot;
    --size_;
  }
  void Clear() {
    entries_ = std::vector<Entry>();
    size_ = 0;
    mask_ = 0;
  }
  size_t MemoryBytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  struct Entry {
    uint32_t tag = 0;
    uint32_t slot = kNoSlot;
  };

  static uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash); }
  uint32_t Home(uint32_t tag) const { return tag & mask_; }
  uint32_t Next(uint32_t at) const { return (at + 1) & mask_; }
  void Put(Entry entry) {
    uint32_t at = Home(entry.tag);
    while (entries_[at].slot != kNoSlot) at = Next(at);
    entries_[at] = entry;
  }
  void Grow(size_t slots) {
    const std::vector<Entry> old = std::exchange(entries_, {});
    entries_.resize(std::bit_ceil(std::max<size_t>(slots * 3 / 2 + 1, 16)));
    mask_ = static_cast<uint32_t>(entries_.size() - 1);
    for (const Entry& entry : old) {
      if (entry.slot != kNoSlot) Put(entry);
    }
  }

  std::vector<Entry> entries_;  // a power of two of them
  size_t size_ = 0;
  uint32_t mask_ = 0;
};

}  // namespace tidemark
