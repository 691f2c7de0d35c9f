// What two runs of one seed have in common: every draw and every reading of a clock, in order, as one number. Two runs
// that differ in it are not the same run, whatever they printed: something in them depends on an address, a thread or
// the machine's own clock.
#pragma once

#include <cstdint>

namespace tidemark::sim {

class SimDigest {
 public:
  void Add(uint64_t value) {
    value_ = (value_ ^ value) * 0x9e3779b97f4a7c15u;
    value_ ^= value_ >> 29;
    ++count_;
  }
  uint64_t value() const { return value_; }
  uint64_t count() const { return count_; }
  friend bool operator==(const SimDigest&, const SimDigest&) = default;

 private:
  uint64_t value_ = 0, count_ = 0;
};

}  // namespace tidemark::sim
