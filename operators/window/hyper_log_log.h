// How many different values there are, about, in 4 KiB: exactly up to 512, then HyperLogLog (Flajolet, Fusy, Gandouet,
// Meunier 2007) with 4096 registers and Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog
// sketches", arXiv:1702.01284, algorithm 6), which needs no tables and no correction of ranges. The standard error is
// 1.04 / sqrt(4096) = 1.6 %.
//
// What is kept is a function of the set of hashes alone: a set of hashes while there are few, or the largest rank of
// each register. So neither order nor repetition nor how partials were cut and merged makes a difference, which is why
// this is the sketch: Apache DataSketches' HLL and its theta and KLL sketches give estimates that depend on the order
// of updates and merges, or on random numbers. A value can't be taken out again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {

class HyperLogLog {
 public:
  static constexpr size_t kExact = 512;

  void Add(uint64_t hash);
  void Merge(const HyperLogLog& other);
  void Clear() { *this = HyperLogLog(); }
  int64_t Estimate() const;

  // Saved: a byte, the version; how many hashes there are, and they, ascending, 8 bytes each; or ~0 as that number and
  // the registers. Load takes it off the front; false: it isn't one.
  void Save(std::string* out) const;
  bool Load(std::string_view* from);
  // Outside of the object.
  int64_t Bytes() const { return static_cast<int64_t>(hashes_.capacity() * sizeof(uint64_t) + registers_.capacity()); }

 private:
  void AddToRegisters(uint64_t hash);
  void GoOver();

  std::vector<uint64_t> hashes_;    // ascending; none once there are registers
  std::vector<uint8_t> registers_;  // empty: there are only hashes
};

}  // namespace tidemark
