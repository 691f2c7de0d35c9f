// The numbers that sums and averages are added up in, and what becomes of them: exact for integers and decimals,
// compensated for doubles where rows stand, exact (exact_double.h) where they are taken back, or merged for windows
// that share them. Only accumulator*.cc include this.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>

#include "operators/window/accumulator_parts.h"
#include "operators/window/exact_double.h"

namespace tidemark::accumulators {

// A sum of integers or of decimals' digits. Decimals may leave even 128 bits; from then on the sum is kOverflow.
struct ExactSum {
  static constexpr Int128 kOverflow = static_cast<Int128>(static_cast<unsigned __int128>(1) << 127);
  Int128 sum = 0;

  void Add(Int128 value) {
    if (sum == kOverflow || value == kOverflow || __builtin_add_overflow(sum, value, &sum)) sum = kOverflow;
  }
  void Merge(ExactSum other) { Add(other.sum); }
  // Of integers, whose sums never get that far.
  void Take(ExactSum other) { sum -= other.sum; }
  Int128 Total() const { return sum; }
};

// The same in 192 bits, for values that are taken back: a sum that has left 128 bits can come back.
struct WideSum {
  unsigned __int128 low = 0;
  int64_t high = 0;

  void Add(Int128 value) { Add(static_cast<unsigned __int128>(value), value < 0 ? -1 : 0); }
  void Take(Int128 value) { Add(-value); }  // digits of at most 38 places have a counterpart
  void Merge(WideSum other) { Add(other.low, other.high); }
  void Take(WideSum other) {
    high -= other.high + (low < other.low ? 1 : 0);
    low -= other.low;
  }
  void Clear() {
    low = 0;
    high = 0;
  }
  Int128 Total() const {
    const auto total = static_cast<Int128>(low);
    return high == (total < 0 ? -1 : 0) ? total : ExactSum::kOverflow;
  }
  void Save(std::string* out) const {
    SaveValue(low, out);
    SaveValue(high, out);
  }
  bool Load(std::string_view* from) { return LoadValue(from, &low) && LoadValue(from, &high); }

 private:
  void Add(unsigned __int128 more_low, int64_t more_high) {
    low += more_low;
    high += more_high + (low < more_low ? 1 : 0);
  }
};

// Neumaier's compensated sum: what rounding loses is kept aside, so that the order of rows hardly matters.
// Where `sum` isn't finite, `lost` says why: NaN, because a value wasn't; infinite, because finite ones went beyond the
// range of a double, which is an error as it is in PostgreSQL.
struct DoubleSum {
  double sum = 0, lost = 0;

  void Add(double value) {
    const double next = sum + value;
    if (!std::isfinite(next)) [[unlikely]]
      return AddBeyond(value, next);
    lost += std::abs(sum) >= std::abs(value) ? (sum - next) + value : (value - next) + sum;
    sum = next;
  }
  void Merge(DoubleSum other) {
    if (other.Overflowed()) {
      if (std::isfinite(sum)) *this = other;
      return;
    }
    Add(other.sum);
    if (std::isfinite(sum)) lost += other.lost;
  }
  bool Overflowed() const { return std::isinf(sum) && std::isinf(lost); }
  DoubleSum Part() const { return *this; }
  double Total() const { return std::isfinite(sum) ? sum + lost : sum; }
  // Whether that total is infinite because finite values went out of range.
  bool Beyond(double total) const { return Overflowed() || (std::isinf(total) && std::isfinite(sum)); }

 private:
  void AddBeyond(double value, double next) {
    if (!std::isfinite(value)) {
      sum = Overflowed() ? value : next;
      lost = std::numeric_limits<double>::quiet_NaN();
    } else if (std::isfinite(sum)) {
      sum = lost = next;
    }
  }
};

// ---- Of rows that are shared: what merging comes to doesn't depend on its order. In state they stand as the sums of
// rows that stand do, which is what earlier versions wrote, wherever those hold them, and else as these never were.

// Integers always fit: ExactSum does for them.
struct SharedSum {
  WideSum sum;
  int64_t gone = 0;  // partials whose sums have left 128 bits, and what they were isn't known

  void Add(Int128 value) { value == ExactSum::kOverflow ? static_cast<void>(++gone) : sum.Add(value); }
  void Merge(const SharedSum& other) {
    sum.Merge(other.sum);
    gone += other.gone;
  }
  void Take(const SharedSum& other) {
    sum.Take(other.sum);
    gone -= other.gone;
  }
  Int128 Total() const { return gone != 0 ? ExactSum::kOverflow : sum.Total(); }

  // A sum that has left 128 bits, and may come back, stands behind the complement of the count.
  void Save(int64_t count, std::string* out) const {
    const bool beyond = gone == 0 && Total() == ExactSum::kOverflow;
    SaveValue(Total(), out);
    SaveValue(beyond ? ~count : count, out);
    if (beyond) sum.Save(out);
  }
  bool Load(std::string_view* from, int64_t* count) {
    Int128 total = 0;
    *this = SharedSum();
    if (!LoadValue(from, &total) || !LoadValue(from, count)) return false;
    if (*count < 0) {
      *count = ~*count;
      return sum.Load(from);
    }
    Add(total);
    return true;
  }
};

// Rows are added to one sum, in their order, as where they aren't shared; what is merged is added up apart from them,
// as few slots have any of it.
class SharedDouble {
 public:
  SharedDouble() = default;
  SharedDouble(const SharedDouble& other) { *this = other; }
  SharedDouble& operator=(const SharedDouble& other) {
    rows_ = other.rows_;
    merged_ = other.merged_ ? std::make_unique<Merged>(*other.merged_) : nullptr;
    return *this;
  }

  void Add(double value) { rows_.Add(value); }
  void Merge(DoubleSum part) { MakeMerged().Count(part, 1); }
  void Merge(const SharedDouble& other) {
    Merge(other.rows_);
    if (!other.merged_) return;
    merged_->sum.Merge(other.merged_->sum);
    merged_->gone += other.merged_->gone;
  }
  void Take(const SharedDouble& other) {
    MakeMerged().Count(other.rows_, -1);
    if (!other.merged_) return;
    merged_->sum.Take(other.merged_->sum);
    merged_->gone -= other.merged_->gone;
  }
  double Total() const {
    if (!merged_) return rows_.Total();
    return rows_.sum == 0 && rows_.lost == 0 ? merged_->Total() : All().Total();
  }
  bool Beyond(double total) const { return merged_ ? All().sum.Beyond(total) : rows_.Beyond(total); }
  DoubleSum Part() const { return merged_ ? All().Part() : rows_; }
  int64_t Bytes() const { return merged_ ? sizeof(Merged) : 0; }

  // What is merged stands behind a compensated sum that there is none of: one that has lost everything and is finite.
  void Save(int64_t count, std::string* out) const {
    SaveValue(!merged_ ? rows_ : DoubleSum{0, merged_->gone != 0 ? -kInfinity : kInfinity}, out);
    SaveValue(count, out);
    if (!merged_) return;
    SaveValue(rows_, out);
    merged_->sum.Save(out);
  }
  bool Load(std::string_view* from, int64_t* count) {
    merged_ = nullptr;
    if (!LoadValue(from, &rows_) || !LoadValue(from, count)) return false;
    if (!std::isfinite(rows_.sum) || !std::isinf(rows_.lost)) return true;
    merged_ = std::make_unique<Merged>();
    merged_->gone = rows_.lost < 0 ? 1 : 0;
    return LoadValue(from, &rows_) && merged_->sum.Load(from);
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  struct Merged {
    ExactDouble sum;
    int64_t gone = 0;  // sums that went beyond the range of a double, and what they were isn't known

    // `sign`: 1, or -1 for a sum that is taken out.
    void Count(DoubleSum part, int sign) {
      if (part.Overflowed()) {
        gone += sign;
        return;
      }
      sign > 0 ? sum.Add(part.sum) : sum.Take(part.sum);
      if (std::isfinite(part.sum)) sign > 0 ? sum.Add(part.lost) : sum.Take(part.lost);
    }
    double Total() const {
      const double total = sum.Total();
      return gone != 0 && std::isfinite(total) ? kInfinity : total;
    }
    DoubleSum Part() const {
      const double total = Total();
      if (sum.Beyond(total)) return {total, total};
      if (!std::isfinite(total)) return {total, std::numeric_limits<double>::quiet_NaN()};
      ExactDouble rest = sum;
      rest.Take(total);
      return {total, rest.Total()};
    }
  };

  Merged& MakeMerged() {
    if (!merged_) merged_ = std::make_unique<Merged>();
    return *merged_;
  }
  Merged All() const {
    Merged all = *merged_;
    all.Count(rows_, 1);
    return all;
  }

  DoubleSum rows_;
  std::unique_ptr<Merged> merged_;  // null: nothing
};

// sum / count, rounded half away from zero.
inline Int128 DivideRounded(Int128 sum, int64_t count) {
  const Int128 quotient = sum / count, rest = sum % count;
  const Int128 twice = (rest < 0 ? -rest : rest) * 2;
  return twice >= count ? quotient + (sum < 0 ? -1 : 1) : quotient;
}

constexpr Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// The result of a sum or average over `count` values. Returns the reason why there is none, or null.
template <typename Sum>
const char* FinishSum(const Sum& sum, int64_t count, bool average, double* result) {
  const auto total = static_cast<double>(sum.Total());
  if constexpr (std::is_same_v<decltype(sum.Total()), double>) {
    if (sum.Beyond(total)) return "value out of range: overflow";
  }
  *result = total / (average ? static_cast<double>(count) : 1.0);
  return nullptr;
}
template <typename Sum>
const char* FinishSum(const Sum& sum, int64_t, bool, int64_t* result) {
  const auto total = sum.Total();
  if constexpr (std::is_same_v<decltype(sum.Total()), Int128>) {
    if (total < std::numeric_limits<int64_t>::min() || total > std::numeric_limits<int64_t>::max()) {
      return "bigint out of range";
    }
  }
  *result = static_cast<int64_t>(total);
  return nullptr;
}
template <typename Sum>
const char* FinishSum(const Sum& sum, int64_t count, bool average, Int128* result) {
  if constexpr (std::is_same_v<decltype(sum.Total()), Int128>) {
    static constexpr Int128 kLimit = PowerOfTen(38);
    const Int128 total = sum.Total();
    if (total == ExactSum::kOverflow) return "numeric field overflow";
    *result = average ? DivideRounded(total, count) : total;
    if (*result <= -kLimit || *result >= kLimit) return "numeric field overflow";
  }
  return nullptr;
}

// The result column of sums (`sum`, and `count` of values that aren't null) in slots.
template <typename R, typename Value>
absl::Status AppendSums(const std::vector<Value>& values, bool average, const Type& type, Slots slots, Columns* out,
                        std::vector<ResultError>* errors) {
  return AppendColumn<R>(slots, ArrowType(type), out, [&](auto* w, size_t position, uint32_t slot) {
    const Value& value = values[slot];
    R result{};
    if (value.count == 0) return w->AppendNull();
    if (const char* reason = FinishSum(value.sum, value.count, average, &result)) {
      errors->push_back({position, reason});
      return w->AppendNull();
    }
    w->Append(result);
  });
}
template <typename Value>
absl::Status AppendSums(const std::vector<Value>& values, bool average, const Type& type, Slots slots, Columns* out,
                        std::vector<ResultError>* errors) {
  if (type.kind == Kind::kInt64) return AppendSums<int64_t>(values, average, type, slots, out, errors);
  if (type.kind == Kind::kDouble) return AppendSums<double>(values, average, type, slots, out, errors);
  return AppendSums<Int128>(values, average, type, slots, out, errors);
}

}  // namespace tidemark::accumulators
