// Sums and averages of rows that stand: exact for integers and decimals, compensated for doubles.
#include <type_traits>

#include "operators/window/sums.h"

namespace tidemark {
namespace {

using namespace accumulators;

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
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
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
    return absl::OkStatus();
  }
  void MergeSlot(uint32_t from, uint32_t to) override {
    values_[to].sum.Merge(values_[from].sum);
    values_[to].count += values_[from].count;
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
    return AppendSums(values_, average_, result_, slots, out, errors);
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
