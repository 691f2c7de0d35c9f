// Sums and averages of rows that stand: exact for integers and decimals, compensated for doubles; and of rows that are
// shared, where those of doubles are exact too.
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

  void Resize(size_t slots) override {
    for (size_t slot = slots; slot < values_.size(); ++slot) merged_bytes_ -= MergedBytes(values_[slot]);
    values_.resize(slots);
  }
  void ClearSlots(Slots slots) override {
    for (const uint32_t slot : slots) Set(slot, Value());
  }
  void Copy(uint32_t from, uint32_t to) override { Set(to, values_[from]); }
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
      merged_bytes_ -= MergedBytes(value);
      if constexpr (kExact) {
        value.sum.Add(sums[rows[p]]);
      } else {
        value.sum.Merge(DoubleSum{sums[rows[p]], losts[rows[p]]});
      }
      // A sum only needs to know that there was a value.
      value.count += average_ ? counts[rows[p]] : 1;
      merged_bytes_ += MergedBytes(value);
    }
    return absl::OkStatus();
  }
  void MergeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) {
      Prefetch(from, to, i + kSlotsAhead);
      Value& value = values_[to[i]];
      merged_bytes_ -= MergedBytes(value);
      value.sum.Merge(values_[from[i]].sum);
      value.count += values_[from[i]].count;
      merged_bytes_ += MergedBytes(value);
    }
  }
  Sliding sliding() const override { return kTakes ? Sliding::kTaken : Sliding::kMerged; }
  void TakeSlots(Slots from, Slots to) override {
    if constexpr (kTakes) {
      for (size_t i = 0; i < to.size(); ++i) {
        Prefetch(from, to, i + kSlotsAhead);
        Value& value = values_[to[i]];
        value.sum.Take(values_[from[i]].sum);
        value.count -= values_[from[i]].count;
      }
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
      TM_RETURN_IF_ERROR(append(arrow::float64(), [](const Sum& sum) { return sum.Part().sum; }));
      TM_RETURN_IF_ERROR(append(arrow::float64(), [](const Sum& sum) { return sum.Part().lost; }));
    }
    if (!average_) return absl::OkStatus();
    return AppendColumn<int64_t>(slots, arrow::int64(), out,
                                 [&](auto* w, size_t, uint32_t slot) { w->Append(values_[slot].count); });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>* errors) const override {
    return AppendSums(values_, average_, result_, slots, out, errors);
  }
  void Save(uint32_t slot, std::string* out) const override {
    const Value& value = values_[slot];
    if constexpr (kShared) {
      value.sum.Save(value.count, out);
    } else {
      SaveValue(value.sum, out);
      SaveValue(value.count, out);
    }
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    Value& value = values_[slot];
    if constexpr (kShared) {
      merged_bytes_ -= MergedBytes(value);
      const bool loaded = value.sum.Load(from, &value.count);
      merged_bytes_ += MergedBytes(value);
      return loaded;
    } else {
      return LoadValue(from, &value.sum) && LoadValue(from, &value.count);
    }
  }
  int64_t MemoryBytes() const override { return VectorBytes(values_) + merged_bytes_; }

 private:
  using Total = decltype(Sum().Total());
  static constexpr bool kExact = !std::is_same_v<Total, double>;
  static constexpr bool kShared = std::is_same_v<Sum, SharedSum> || std::is_same_v<Sum, SharedDouble>;
  // Compensated sums lose what they are taken out of, and those of decimals may leave their range.
  static constexpr bool kTakes = kShared || (kExact && !std::is_same_v<T, Int128>);
  static constexpr int kSumColumns = kExact ? 1 : 2;
  struct Value {
    Sum sum;
    int64_t count = 0;  // of values that aren't null
  };

  void Prefetch(Slots from, Slots to, size_t i) const {
    if (i >= to.size()) return;
    __builtin_prefetch(&values_[from[i]]);
    __builtin_prefetch(&values_[to[i]]);
  }
  static int64_t MergedBytes(const Value& value) {
    if constexpr (std::is_same_v<Sum, SharedDouble>) return value.sum.Bytes();
    return 0;
  }
  void Set(uint32_t slot, const Value& value) {
    merged_bytes_ += MergedBytes(value) - MergedBytes(values_[slot]);
    values_[slot] = value;
  }

  const bool average_;
  const Type result_;
  const int scale_;
  std::vector<Value> values_;
  int64_t merged_bytes_ = 0;  // beside their places
};

}  // namespace

std::unique_ptr<Accumulator> MakeSumAccumulator(const Aggregate& aggregate, InputRows rows) {
  const bool shared = rows == InputRows::kShared;
  switch (aggregate.argument->type().kind) {
    case Kind::kInt32:
      return std::make_unique<SumAccumulator<int32_t, ExactSum>>(aggregate);
    case Kind::kInt64:
      return std::make_unique<SumAccumulator<int64_t, ExactSum>>(aggregate);
    case Kind::kDecimal:
      if (shared) return std::make_unique<SumAccumulator<Int128, SharedSum>>(aggregate);
      return std::make_unique<SumAccumulator<Int128, ExactSum>>(aggregate);
    default:
      if (shared) return std::make_unique<SumAccumulator<double, SharedDouble>>(aggregate);
      return std::make_unique<SumAccumulator<double, DoubleSum>>(aggregate);
  }
}

}  // namespace tidemark
