// A sum of doubles that loses nothing: what has been added and taken back again is gone without a trace, in whatever
// order, so that a sum under retraction is that of the rows that remain, rounded once. A compensated sum isn't enough
// for that: 1e300 + 1e100 + 1 - 1e300 - 1e100 would leave 0. Not thread-safe.
//
// A fixed-point number from 2^-1074 on, the smallest double there is: digits of 32 bits, each held in a signed word
// with room for 2^30 additions before carries must be settled. Only the digits between the lowest and the highest that
// were ever needed are held; values of like size need three to five. What isn't a number or isn't finite is counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/container/inlined_vector.h>

namespace tidemark {

class ExactDouble {
 public:
  void Add(double value) { Count(value, 1); }
  void Take(double value) {
    Count(value, -1);
    Trim();
  }
  void Merge(const ExactDouble& other) { Combine(other, 1); }
  void Take(const ExactDouble& other) {
    Combine(other, -1);
    Trim();
  }
  void Clear();

  // The double nearest to the sum, ties to even; infinite where it is out of range. NaN and infinities among the
  // values make the sum what IEEE makes of them.
  double Total() const;
  // Whether that total is infinite because finite values went out of range.
  bool Beyond(double total) const;

  // One sum has one form. Load takes it off the front; false: it can't be read.
  void Save(std::string* out) const;
  bool Load(std::string_view* from);

 private:
  static constexpr uint32_t kSettleAfter = 1u << 30;

  void Count(double value, int sign);
  void CountBeyond(double value, int sign);
  void Combine(ExactDouble other, int sign);
  // Room for the digits from `low` to below `high`.
  void Cover(int low, int high);
  // Gives the highest digits back that nothing is left in.
  void Trim() {
    while (!digits_.empty() && digits_.back() == 0) digits_.pop_back();
  }
  // Every digit into [-2^31, 2^31), none that is 0 at either end: of a sum there is one such form.
  void Settle();

  absl::InlinedVector<int64_t, 4> digits_;  // the lowest first
  int32_t first_ = 0;                       // position of the lowest: its unit is 2^(32 * first_ - 1074)
  uint32_t unsettled_ = 0;                  // additions since carries were settled
  int64_t nans_ = 0, above_ = 0, below_ = 0;
};

}  // namespace tidemark
