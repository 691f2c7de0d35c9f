#include "operators/window/exact_spread.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/signed_varint.h"

namespace tidemark {
namespace {

void Put(double value, int times, ExactDouble* sum) { times > 0 ? sum->Add(value) : sum->Take(value); }

// A number in pieces that are doubles, 32 bits each.
void Put(unsigned __int128 magnitude, bool negative, int times, ExactDouble* sum) {
  for (int bits = 0; magnitude != 0; bits += 32, magnitude >>= 32) {
    const double piece = std::ldexp(static_cast<double>(static_cast<uint32_t>(magnitude)), bits);
    Put(negative ? -piece : piece, times, sum);
  }
}

// high + low, |low| at most half of the last place of high.
struct Pair {
  double high = 0, low = 0;
};
Pair TwoSum(double a, double b) {
  const double sum = a + b, part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}
Pair TwoProduct(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}
Pair Normalized(double high, double low) {
  const double sum = high + low;
  return {sum, low - (sum - high)};
}

Pair PairOf(ExactDouble sum) {
  const double high = sum.Total();
  if (!std::isfinite(high)) return {high, 0};
  sum.Take(high);
  return {high, sum.Total()};
}

}  // namespace

void ExactSpread::Count(int64_t value, int times) {
  const bool negative = value < 0;
  const unsigned __int128 magnitude = negative ? -static_cast<unsigned __int128>(value) : value;
  if (magnitude < (uint64_t{1} << 26)) {
    const auto small = static_cast<double>(value);
    Put(small, times, &sum_);
    Put(small * small, times, &squares_);
  } else {
    Put(magnitude, negative, times, &sum_);
    Put(magnitude * magnitude, false, times, &squares_);
  }
  count_ += times;
}

void ExactSpread::Count(double value, int times) {
  Put(value, times, &sum_);
  const Pair square = TwoProduct(value, value);
  Put(square.high, times, &squares_);
  if (std::isfinite(square.high)) Put(square.low, times, &squares_);
  count_ += times;
}

void ExactSpread::Merge(const ExactSpread& other) {
  sum_.Merge(other.sum_);
  squares_.Merge(other.squares_);
  count_ += other.count_;
}

void ExactSpread::Take(const ExactSpread& other) {
  sum_.Take(other.sum_);
  squares_.Take(other.squares_);
  count_ -= other.count_;
}

void ExactSpread::Clear() {
  sum_.Clear();
  squares_.Clear();
  count_ = 0;
}

double ExactSpread::Variance(bool sample) const {
  const Pair sum = PairOf(sum_), squares = PairOf(squares_);
  const double infinity = std::numeric_limits<double>::infinity();
  if (!std::isfinite(sum.high)) return sum_.Beyond(sum.high) ? infinity : std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(squares.high)) return infinity;
  const auto n = static_cast<double>(count_);
  // sum * sum
  Pair square = TwoProduct(sum.high, sum.high);
  square = Normalized(square.high, square.low + 2 * sum.high * sum.low);
  if (!std::isfinite(square.high)) {  // smaller numbers first
    const Pair mean = Normalized(sum.high / n, (std::fma(-(sum.high / n), n, sum.high) + sum.low) / n);
    square = TwoProduct(mean.high, sum.high);
    square = Normalized(square.high, square.low + mean.high * sum.low + mean.low * sum.high);
    if (!std::isfinite(square.high)) return infinity;
  } else {
    const double quotient = square.high / n;
    square = Normalized(quotient, (std::fma(-quotient, n, square.high) + square.low) / n);
  }
  const Pair high = TwoSum(squares.high, -square.high);
  const double difference = high.high + (high.low + (squares.low - square.low));
  return std::max(difference, 0.0) / (sample ? n - 1 : n);
}

void ExactSpread::Save(std::string* out) const {
  sum_.Save(out);
  squares_.Save(out);
  AppendSigned(count_, out);
}

bool ExactSpread::Load(std::string_view* from) {
  return sum_.Load(from) && squares_.Load(from) && TakeSigned(from, &count_);
}

}  // namespace tidemark
