// An in-memory hash table from keys to the time of the row accepted for them: what dedup asks for every row. Built for
// many millions of keys: 16 bytes a slot for an 8-byte key, about 20 to 24 bytes a key with the free slots. Touched
// only by the stream thread.
//
// The table is cut into 256 segments by the top bits of a key, so that growing never stops the stream for long. In a
// segment keys stand in ascending order, each at its home (a linear function of the key, which is uniformly
// distributed) or after it, so that a search ends at the first larger key, and rebuilding a segment is one sequential
// pass. Entries that can't matter any more are dropped by those passes, which happen after a number of inserts
// proportional to the segment: amortized O(1) an insert.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace tidemark {

// A key of one integer column: a bijection of its 64 bits, so that equal means equal.
struct IntKey {
  uint64_t bits = 0;
  friend constexpr auto operator<=>(IntKey, IntKey) = default;
  uint64_t top() const { return bits; }
};

// Any other key: 128 bits of its XXH3 hash.
struct HashedKey {
  uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const HashedKey&, const HashedKey&) = default;
  uint64_t top() const { return high; }
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
class AcceptedTable {
 public:
  // No row has this time: it marks a free slot.
  static constexpr int64_t kFree = std::numeric_limits<int64_t>::min();

  // Entries whose time is at most this one may be dropped at any moment from now on.
  void SetDeadUntil(int64_t time_us) { dead_until_ = time_us; }

  // Asks for the memory that Find and Insert will look at. Always inlined: GCC 12 takes a function that only prefetches
  // for one without effects and drops the call.
  [[gnu::always_inline]] void Prefetch(Key key) const {
    const Segment& segment = segments_[key.top() >> 56];
    const Slot* const home = segment.slots.data() + Home(segment, key);
    __builtin_prefetch(home, 1);
    __builtin_prefetch(reinterpret_cast<const char*>(home) + 64, 1);
  }

  // The time accepted for `key`, or null. The pointer is valid until the next insert, and may be written through (never
  // kFree).
  int64_t* Find(Key key) {
    Segment& segment = segments_[key.top() >> 56];
    if (segment.homes == 0) return nullptr;
    for (Slot* slot = &segment.slots[Home(segment, key)]; slot->time != kFree && slot->key <= key; ++slot) {
      if (slot->key == key) return &slot->time;
    }
    return nullptr;
  }

  // The same, where there is an entry; else makes one with this time and returns null.
  int64_t* FindOrInsert(Key key, int64_t time) {
    Segment& segment = segments_[key.top() >> 56];
    if (segment.size + 1 > segment.limit) Rebuild(&segment, std::max(kOverflow, Overflow(segment)));
    for (;;) {
      Slot* slot = &segment.slots[Home(segment, key)];
      while (slot->time != kFree && slot->key < key) ++slot;
      if (slot->time != kFree && slot->key == key) return &slot->time;
      if (PutBefore(&segment, slot, key, time)) break;
      Rebuild(&segment, 2 * Overflow(segment));
    }
    ++segment.size;
    return nullptr;
  }

  int64_t size() const {
    int64_t sum = 0;
    for (const Segment& segment : segments_) sum += segment.size;
    return sum;
  }
  int64_t MemoryBytes() const {
    int64_t sum = 0;
    for (const Segment& segment : segments_) sum += static_cast<int64_t>(segment.slots.capacity() * sizeof(Slot));
    return sum;
  }

 private:
  // Slots behind the last home, for keys that find no room before it; more where keys are so unlucky (or so chosen)
  // that these don't do. One more stays free, to end every search.
  static constexpr uint32_t kOverflow = 32;
  static constexpr double kFull = 0.80;                   // load at which a segment is rebuilt
  static constexpr double kRebuilt = 0.69;                // load it has then, where it gets a new size
  static constexpr double kSparse = 0.45, kDense = 0.72;  // loads between which it keeps its size

  struct Slot {
    Key key;
    int64_t time = kFree;
  };
  struct Segment {
    std::vector<Slot> slots;  // homes + overflow + 1
    uint32_t homes = 0;
    uint32_t size = 0, limit = 0;
  };

  static uint32_t Overflow(const Segment& segment) {
    if (segment.slots.empty()) return 0;
    return static_cast<uint32_t>(segment.slots.size()) - segment.homes - 1;
  }
  static uint32_t Home(const Segment& segment, Key key) {
    const uint64_t within = key.top() << 8 >> 32;  // the 32 bits below those that chose the segment
    return static_cast<uint32_t>(within * segment.homes >> 32);
  }

  // Makes room at `slot` by moving what stands there and behind it on by one. False: no room behind the last home.
  static bool PutBefore(Segment* segment, Slot* slot, Key key, int64_t time) {
    Slot* free = slot;
    while (free->time != kFree) ++free;
    if (free == &segment->slots.back()) return false;
    std::move_backward(slot, free, free + 1);
    *slot = Slot{key, time};
    return true;
  }

  // Drops what is dead and makes room for more.
  void Rebuild(Segment* segment, uint32_t overflow) {
    uint32_t alive = 0;
    for (const Slot& slot : segment->slots) alive += slot.time > dead_until_;
    if (overflow <= Overflow(*segment) && alive <= segment->homes * kDense && alive >= segment->homes * kSparse) {
      DropDead(segment);
      segment->size = alive;
      return;
    }
    for (;; overflow *= 2) {
      Segment fresh;
      fresh.homes = std::max(uint32_t{8}, static_cast<uint32_t>((alive + 1) / kRebuilt) + 1);
      fresh.limit = static_cast<uint32_t>(fresh.homes * kFull);
      fresh.slots.resize(fresh.homes + overflow + 1);
      if (!Refill(*segment, &fresh)) continue;
      fresh.size = alive;
      *segment = std::move(fresh);
      return;
    }
  }

  // In place: with fewer keys before it a key never stands further back than it did.
  void DropDead(Segment* segment) {
    std::vector<Slot>& slots = segment->slots;
    uint32_t next = 0;  // everything before is as it shall be
    for (uint32_t i = 0; i < slots.size(); ++i) {
      if (slots[i].time <= dead_until_) continue;  // free ones too
      const Slot slot = slots[i];
      for (const uint32_t home = Home(*segment, slot.key); next < home; ++next) slots[next].time = kFree;
      slots[next++] = slot;
    }
    for (; next < slots.size(); ++next) slots[next].time = kFree;
  }

  bool Refill(const Segment& from, Segment* to) const {
    uint32_t next = 0;
    for (const Slot& slot : from.slots) {
      if (slot.time <= dead_until_) continue;  // free ones too
      next = std::max(next, Home(*to, slot.key));
      if (next + 1 >= to->slots.size()) return false;
      to->slots[next++] = slot;
    }
    return true;
  }

  int64_t dead_until_ = kFree;
  std::array<Segment, 256> segments_;
};

}  // namespace tidemark
