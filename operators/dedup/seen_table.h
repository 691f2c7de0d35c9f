// An in-memory hash table from keys to the time of the row accepted for them: what dedup asks for every row. Built for
// many millions of keys: 16 bytes a slot for an 8-byte key, about 20 to 25 bytes a key with the free slots. Touched
// only by the stream thread.
//
// The table is cut into segments by the top bits of a key, so that growing never stops the stream for long, and memory
// can be given back a segment at a time. In a segment keys stand in ascending order, each at its home (a linear
// function of the key, which is uniformly distributed) or after it, so that a search ends at the first larger key, and
// rebuilding a segment or reading it in order is one sequential pass. Entries that can't matter any more are dropped by
// those passes, which happen after a number of inserts proportional to the segment: amortized O(1) an insert.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "operators/dedup/seen_key.h"

namespace tidemark {

template <typename Key>
class SeenTable {
 public:
  // No row has this time: it marks a free slot.
  static constexpr int64_t kFree = std::numeric_limits<int64_t>::min();

  // Entries whose time is at most this one may be dropped at any moment from now on.
  void SetDeadUntil(int64_t time_us) { dead_until_ = time_us; }

  // Asks for the memory that Find and FindOrInsert will look at. Always inlined: GCC 12 takes a function that only
  // prefetches for one without effects and drops the call.
  [[gnu::always_inline]] void Prefetch(Key key) const {
    const Segment& segment = segments_[SegmentOf(key)];
    const Slot* const home = segment.slots.data() + Home(segment, key);
    __builtin_prefetch(home, 1);
    __builtin_prefetch(reinterpret_cast<const char*>(home) + 64, 1);
  }

  // The time accepted for `key`, or null. The pointer is valid until the next insert, and may be written through (never
  // kFree).
  int64_t* Find(Key key) {
    Segment& segment = segments_[SegmentOf(key)];
    if (segment.homes == 0) return nullptr;
    Slot* const slot = Seek(segment, key);
    return Holds(*slot, key) ? &slot->time_us : nullptr;
  }

  // The same, where there is an entry; else makes one with this time and returns null.
  int64_t* FindOrInsert(Key key, int64_t time) {
    Segment& segment = segments_[SegmentOf(key)];
    if (segment.size >= segment.limit) [[unlikely]]
      Rebuild(&segment, std::max(kOverflow, Overflow(segment)));
    for (;;) {
      Slot* const slot = Seek(segment, key);
      if (Holds(*slot, key)) return &slot->time_us;
      if (PutBefore(&segment, slot, {key, time})) [[likely]]
        break;
      Rebuild(&segment, 2 * Overflow(segment));
    }
    ++segment.size;
    ++size_;
    return nullptr;
  }

  // Takes all entries of a segment that aren't dead, in the order of their keys, and gives its memory back.
  std::vector<Seen<Key>> Take(int number) {
    Segment& segment = segments_[static_cast<size_t>(number)];
    const uint32_t alive = GatherAlive(segment);
    std::vector<Seen<Key>> entries(alive_.begin(), alive_.begin() + alive);
    size_ -= segment.size;
    bytes_ -= Bytes(segment);
    segment = Segment();
    return entries;
  }

  int64_t size() const { return size_; }
  int64_t MemoryBytes() const { return bytes_ + static_cast<int64_t>(alive_.capacity() * sizeof(Slot)); }

 private:
  // Slots behind the last home, for keys that find no room before it; more where keys are so unlucky (or so chosen)
  // that these don't do. One more stays free, to end every search.
  static constexpr uint32_t kOverflow = 32;
  static constexpr double kFull = 0.78;                   // load at which a segment is rebuilt
  static constexpr double kRebuilt = 0.60;                // load it has then, where it gets a new size
  static constexpr double kSparse = 0.40, kDense = 0.68;  // loads between which it keeps its size

  using Slot = Seen<Key>;  // a free one has the greatest key too, so that a search needs no other end
  static constexpr Slot kFreeSlot{Key::Greatest(), kFree};

  struct Segment {
    std::vector<Slot> slots;  // homes + overflow + 1
    uint32_t homes = 0;
    uint32_t size = 0, limit = 0;
  };

  static int64_t Bytes(const Segment& segment) { return static_cast<int64_t>(segment.slots.capacity() * sizeof(Slot)); }
  static uint32_t Overflow(const Segment& segment) {
    if (segment.slots.empty()) return 0;
    return static_cast<uint32_t>(segment.slots.size()) - segment.homes - 1;
  }
  static uint32_t Home(const Segment& segment, Key key) {
    return static_cast<uint32_t>(uint64_t{PlaceOf(key)} * segment.homes >> 32);
  }
  static bool Holds(const Slot& slot, Key key) { return slot.key == key && slot.time_us != kFree; }

  // Where the key stands or would stand.
  static Slot* Seek(Segment& segment, Key key) {
    Slot* slot = segment.slots.data() + Home(segment, key);
    while (slot->key < key) ++slot;
    return slot;
  }

  // Makes room at `slot` by moving what stands there and behind it on by one. False: no room behind the last home.
  static bool PutBefore(Segment* segment, Slot* slot, const Slot& entry) {
    Slot* free = slot;
    while (free->time_us != kFree) ++free;
    if (free == &segment->slots.back()) return false;
    for (; free != slot; --free) *free = free[-1];
    *slot = entry;
    return true;
  }

  // Drops what is dead and makes room for more.
  void Rebuild(Segment* segment, uint32_t overflow) {
    const uint32_t alive = GatherAlive(*segment);
    size_ -= segment->size - alive;
    segment->size = alive;
    if (overflow <= Overflow(*segment) && alive <= segment->homes * kDense && alive >= segment->homes * kSparse) {
      std::fill(segment->slots.begin(), segment->slots.end(), kFreeSlot);
      Place(alive, segment);  // fits: with fewer keys before it none stands further back than it did
      return;
    }
    for (;; overflow *= 2) {
      Segment fresh;
      fresh.homes = std::max(uint32_t{8}, static_cast<uint32_t>((alive + 1) / kRebuilt) + 1);
      fresh.limit = static_cast<uint32_t>(fresh.homes * kFull);
      fresh.slots.resize(fresh.homes + overflow + 1, kFreeSlot);
      fresh.size = alive;
      if (!Place(alive, &fresh)) continue;
      bytes_ += Bytes(fresh) - Bytes(*segment);
      *segment = std::move(fresh);
      return;
    }
  }

  // Copies the slots that aren't dead (free ones are) to alive_, and returns their number. No branch: which slots those
  // are can't be predicted.
  uint32_t GatherAlive(const Segment& segment) {
    alive_.resize(std::max(alive_.size(), segment.slots.size() + 1));
    Slot* next = alive_.data();
    for (const Slot& slot : segment.slots) {
      *next = slot;
      next += slot.time_us > dead_until_;
    }
    return static_cast<uint32_t>(next - alive_.data());
  }

  // Puts the first slots of alive_ into a segment whose slots are all free; false where its end is too near.
  bool Place(uint32_t count, Segment* to) const {
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; ++i) {
      next = std::max(next, Home(*to, alive_[i].key));
      if (next + 1 >= to->slots.size()) return false;
      to->slots[next++] = alive_[i];
    }
    return true;
  }

  int64_t dead_until_ = kFree;
  int64_t size_ = 0, bytes_ = 0;
  std::array<Segment, kSegments> segments_;
  std::vector<Slot> alive_;  // scratch
};

}  // namespace tidemark
