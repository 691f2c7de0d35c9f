// What two sides of a comparison have in common, counted from hashes of their rows, in bounded memory: where the rows
// have more keys than fit, each pass over both sides looks at a part of the hashes alone, and there are more passes.
//
//   RowTally tally(RowTally::By::kKey, most);
//   while (tally.Begin()) {
//     ... all rows of both sides, in their order: Put and Remove, or Add ...
//     tally.End();
//   }
//
// A part is all hashes that begin with certain bits. Where it is too much the pass goes on with the half of it, and
// what is over is dropped: the next passes take it. By key: 128 bits tell keys apart, 64 bits the values of one key
// (XXH3); so of n keys two are taken for one with a probability of n^2 / 2^129, and a key's difference is overlooked
// with 2^-63. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include <absl/container/flat_hash_map.h>
#include <xxhash.h>

#include "src/runtime/generations/comparison.h"

namespace tidemark {

class RowTally {
 public:
  enum class Side { kBefore, kAfter };
  enum class By {
    kKey,  // of rows with one key the last one stands
    kRow,  // every row counts, as often as it stands there
  };

  // `most`: entries in memory, of some 80 bytes each while the table grows.
  RowTally(By by, size_t most) : by_(by), most_(most) {}

  bool Begin();
  void Put(Side side, XXH128_hash_t key, uint64_t value);
  void Remove(Side side, XXH128_hash_t key);
  // `times` below 0: so many are taken back.
  void Add(Side side, XXH128_hash_t row, int64_t times = 1);
  void End();

  // Of all passes.
  const TargetDifference& difference() const { return difference_; }
  int passes() const { return passes_; }

 private:
  struct Hash {
    uint64_t high, low;
    friend bool operator==(const Hash&, const Hash&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Hash& hash) {
      return H::combine(std::move(h), hash.low);
    }
  };
  // Of kKey the value's hash, 0 where there is none; of kRow how often.
  struct Entry {
    int64_t before = 0, after = 0;
  };

  bool InPart(const Hash& hash) const { return bits_ == 0 || hash.high >> (64 - bits_) == part_; }
  int64_t* Find(Side side, XXH128_hash_t hash, bool make);
  void Halve();
  void Count(const Entry& entry);

  const By by_;
  const size_t most_;
  int bits_ = 0;
  uint64_t part_ = 0;  // the first `bits_` bits of the hashes that this pass looks at
  bool done_ = false;
  int passes_ = 0;
  absl::flat_hash_map<Hash, Entry> entries_;
  TargetDifference difference_;
};

}  // namespace tidemark
