// How far values lie apart: their number, and the sums of them and of their squares, which lose nothing, so that what
// is taken back is gone, and small differences between large values are there. Not thread-safe.
//
// The variance is (squares - sum * sum / n) / n, or / (n - 1) of a sample: a small difference of large numbers, so it
// is computed in pairs of doubles (106 bits). Values whose mean is ten million times their spread still give all digits
// of a double.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "operators/window/exact_double.h"

namespace tidemark {

class ExactSpread {
 public:
  // `times`: 1, or -1 for a value that is taken back.
  void Count(int64_t value, int times);
  void Count(int32_t value, int times) { Count(int64_t{value}, times); }
  void Count(double value, int times);
  void Merge(const ExactSpread& other);
  void Take(const ExactSpread& other);
  void Clear();

  int64_t count() const { return count_; }
  // Over at least one value, two for a sample. NaN where values are NaN or infinite; infinite where it, or a square, is
  // out of range.
  double Variance(bool sample) const;

  void Save(std::string* out) const;
  bool Load(std::string_view* from);

 private:
  ExactDouble sum_, squares_;
  int64_t count_ = 0;
};

}  // namespace tidemark
