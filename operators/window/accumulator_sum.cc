// Sums and averages: exact for integers and decimals, compensated for doubles.
#include <cmath>
#include <limits>
#include <type_traits>

#include "operators/window/accumulator_parts.h"

namespace tidemark {
namespace {

using namespace accumulators;

// A sum of integers or of decimals' digits. Decimals may leave even 128 bits; from then on the sum is kOverflow.
struct ExactSum {
  static constexpr Int128 kOverflow = static_cast<Int128>(static_cast<unsigned __int128>(1) << 127);
  Int128 sum = 0;

  void Add(Int128 value) {
    if (sum == kOverflow || value == kOverflow || __builtin_add_overflow(sum, value, &sum)) sum = kOverflow;
  }
  Int128 Total() const { return sum; }
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
  double Total() const { return std::isfinite(sum) ? sum + lost : sum; }

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

// sum / count, rounded half away from zero.
Int128 DivideRounded(Int128 sum, int64_t count) {
  const Int128 quotient = sum / count, rest = sum % count;
  const Int128 twice = (rest < 0 ? -rest : rest) * 2;
  return twice >= count ? quotient + (sum < 0 ? -1 : 1) : quotient;
}

constexpr Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// T: how the argument is held. Sum: what it is added up in.
template <typename T, typename Sum>
class SumAccumulator final : public Accumulator {
 public:
  SumAccumulator(const Aggregate& aggregate)
      : average_(aggregate.function == AggregateFunction::kAvg),
        result_(aggregate.type),
        scale_(aggregate.argument->type().kind == Kind::kDecimal ? aggregate.argument->type().scale : 0) {}

  void Resize(size_t slots) override { values_.resize(slots); }
  void Clear(uint32_t slot) override { values_[slot] = Value(); }
  void Copy(uint32_t from, uint32_t to) override { values_[to] = values_[from]; }
  void Update(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    const Cells<T> cells(*argument->data());
    for (size_t p = 0; p < rows.size(); ++p) {
      if (cells.IsNull(rows[p])) continue;
      Value& value = values_[slots[p]];
      value.sum.Add(cells[rows[p]]);
      ++value.count;
    }
  }
  void Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<Total> sums(Data(partials, column));
    const Cells<Total> losts(Data(partials, kExact ? column : column + 1));
    const Cells<int64_t> counts(Data(partials, average_ ? column + kSumColumns : column));
    for (size_t p = 0; p < rows.size(); ++p) {
      if (sums.IsNull(rows[p])) continue;
      Value& value = values_[slots[p]];
      if constexpr (kExact) {
        value.sum.Add(sums[rows[p]]);
      } else {
        value.sum.Merge({sums[rows[p]], losts[rows[p]]});
      }
      // A sum only needs to know that there was a value.
      value.count += average_ ? counts[rows[p]] : 1;
    }
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    const auto append = [&](const std::shared_ptr<arrow::DataType>& type, auto part) {
      return AppendColumn<Total>(slots, type, out, [&](auto* w, size_t, uint32_t slot) {
        values_[slot].count == 0 ? w->AppendNull() : w->Append(part(values_[slot].sum));
      });
    };
    if constexpr (kExact) {
      const auto type = ArrowType({.kind = Kind::kDecimal, .precision = 38, .scale = scale_});
      TM_RETURN_IF_ERROR(append(type, [](const Sum& sum) { return sum.Total(); }));
    } else {
      TM_RETURN_IF_ERROR(append(arrow::float64(), [](const Sum& sum) { return sum.sum; }));
      TM_RETURN_IF_ERROR(append(arrow::float64(), [](const Sum& sum) { return sum.lost; }));
    }
    if (!average_) return absl::OkStatus();
    return AppendColumn<int64_t>(slots, arrow::int64(), out,
                                 [&](auto* w, size_t, uint32_t slot) { w->Append(values_[slot].count); });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>* errors) const override {
    const auto type = ArrowType(result_);
    if (result_.kind == Kind::kInt64) return AppendResults<int64_t>(slots, type, out, errors);
    if (result_.kind == Kind::kDouble) return AppendResults<double>(slots, type, out, errors);
    return AppendResults<Int128>(slots, type, out, errors);
  }
  void Save(uint32_t slot, std::string* out) const override {
    SaveValue(values_[slot].sum, out);
    SaveValue(values_[slot].count, out);
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    return LoadValue(from, &values_[slot].sum) && LoadValue(from, &values_[slot].count);
  }
  int64_t MemoryBytes() const override { return VectorBytes(values_); }

 private:
  using Total = decltype(Sum().Total());
  static constexpr bool kExact = std::is_same_v<Sum, ExactSum>;
  static constexpr int kSumColumns = kExact ? 1 : 2;
  struct Value {
    Sum sum;
    int64_t count = 0;  // of values that aren't null
  };

  template <typename R>
  absl::Status AppendResults(Slots slots, const std::shared_ptr<arrow::DataType>& type, Columns* out,
                             std::vector<ResultError>* errors) const {
    return AppendColumn<R>(slots, type, out, [&](auto* w, size_t position, uint32_t slot) {
      const Value& value = values_[slot];
      R result{};
      if (value.count == 0) return w->AppendNull();
      if (const char* reason = Finish(value, &result)) {
        errors->push_back({position, reason});
        return w->AppendNull();
      }
      w->Append(result);
    });
  }
  // The reason why there is no result, or null.
  const char* Finish(const Value& value, double* result) const {
    const auto total = static_cast<double>(value.sum.Total());
    if constexpr (!kExact) {
      const bool beyond = value.sum.Overflowed() || (std::isinf(total) && std::isfinite(value.sum.sum));
      if (beyond) return "value out of range: overflow";
    }
    *result = total / (average_ ? static_cast<double>(value.count) : 1.0);
    return nullptr;
  }
  const char* Finish(const Value& value, int64_t* result) const {
    const auto total = value.sum.Total();
    if constexpr (kExact) {
      if (total < std::numeric_limits<int64_t>::min() || total > std::numeric_limits<int64_t>::max()) {
        return "bigint out of range";
      }
    }
    *result = static_cast<int64_t>(total);
    return nullptr;
  }
  const char* Finish(const Value& value, Int128* result) const {
    if constexpr (kExact) {
      static constexpr Int128 kLimit = PowerOfTen(38);
      const Int128 total = value.sum.Total();
      if (total == ExactSum::kOverflow) return "numeric field overflow";
      *result = average_ ? DivideRounded(total, value.count) : total;
      if (*result <= -kLimit || *result >= kLimit) return "numeric field overflow";
    }
    return nullptr;
  }

  const bool average_;
  const Type result_;
  const int scale_;
  std::vector<Value> values_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeSumAccumulator(const Aggregate& aggregate) {
  switch (aggregate.argument->type().kind) {
    case Kind::kInt32:
      return std::make_unique<SumAccumulator<int32_t, ExactSum>>(aggregate);
    case Kind::kInt64:
      return std::make_unique<SumAccumulator<int64_t, ExactSum>>(aggregate);
    case Kind::kDecimal:
      return std::make_unique<SumAccumulator<Int128, ExactSum>>(aggregate);
    default:
      return std::make_unique<SumAccumulator<double, DoubleSum>>(aggregate);
  }
}

}  // namespace tidemark
