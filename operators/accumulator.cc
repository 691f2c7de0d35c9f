#include "operators/accumulator.h"

#include <cmath>
#include <compare>
#include <cstring>
#include <limits>
#include <type_traits>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "operators/cells.h"
#include "operators/varint.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

using Rows = absl::Span<const int32_t>;
using Slots = absl::Span<const uint32_t>;
using Columns = std::vector<std::shared_ptr<arrow::Array>>;

// How a value is kept in a slot.
template <typename T>
using Kept = std::conditional_t<std::is_same_v<T, std::string_view>, std::string,
                                std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>;

template <typename T>
void SaveValue(const T& value, std::string* out) {
  if constexpr (std::is_same_v<T, std::string>) {
    AppendVarint(value.size(), out);
    out->append(value);
  } else {
    out->append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
}

template <typename T>
bool LoadValue(std::string_view* from, T* value) {
  if constexpr (std::is_same_v<T, std::string>) {
    std::string_view bytes;
    if (!TakeBytes(from, &bytes)) return false;
    value->assign(bytes);
  } else {
    if (from->size() < sizeof(T)) return false;
    std::memcpy(value, from->data(), sizeof(T));
    from->remove_prefix(sizeof(T));
  }
  return true;
}

template <typename T>
int64_t VectorBytes(const std::vector<T>& v) {
  return static_cast<int64_t>(v.capacity() * sizeof(T));
}
int64_t VectorBytes(const std::vector<std::string>& v) {
  int64_t bytes = static_cast<int64_t>(v.capacity() * sizeof(std::string));
  if (!v.empty()) bytes += static_cast<int64_t>(v.size() * (v.front().capacity() > 15 ? v.front().capacity() : 0));
  return bytes;
}

template <typename T, typename F>
absl::Status AppendColumn(Slots slots, const std::shared_ptr<arrow::DataType>& type, Columns* out, F&& put) {
  CellWriter<T> writer(static_cast<int64_t>(slots.size()));
  for (size_t i = 0; i < slots.size(); ++i) put(&writer, i, slots[i]);
  TM_ASSIGN_OR_RETURN(auto column, writer.Finish(type));
  out->push_back(std::move(column));
  return absl::OkStatus();
}

const arrow::ArrayData& Data(const arrow::RecordBatch& batch, int column) { return *batch.column_data(column); }

// ---- count(*), count(x)

class CountAccumulator final : public Accumulator {
 public:
  void Resize(size_t slots) override { counts_.resize(slots); }
  void Clear(uint32_t slot) override { counts_[slot] = 0; }
  void Copy(uint32_t from, uint32_t to) override { counts_[to] = counts_[from]; }
  void Update(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    if (argument == nullptr || argument->null_count() == 0) {
      for (const uint32_t slot : slots) ++counts_[slot];
      return;
    }
    for (size_t p = 0; p < rows.size(); ++p) counts_[slots[p]] += argument->IsValid(rows[p]);
  }
  void Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<int64_t> counts(Data(partials, column));
    for (size_t p = 0; p < rows.size(); ++p) counts_[slots[p]] += counts[rows[p]];
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    return AppendColumn<int64_t>(slots, arrow::int64(), out,
                                 [&](auto* w, size_t, uint32_t slot) { w->Append(counts_[slot]); });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>*) const override {
    return Partial(slots, out);
  }
  void Save(uint32_t slot, std::string* out) const override { SaveValue(counts_[slot], out); }
  bool Load(uint32_t slot, std::string_view* from) override { return LoadValue(from, &counts_[slot]); }
  int64_t MemoryBytes() const override { return VectorBytes(counts_); }

 private:
  std::vector<int64_t> counts_;
};

// ---- sum, avg

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

// ---- min, max

template <typename T>
bool Less(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);  // callers exclude that both are
  }
  return a < b;
}

template <typename T>
class ExtremeAccumulator final : public Accumulator {
 public:
  explicit ExtremeAccumulator(const Aggregate& aggregate)
      : max_(aggregate.function == AggregateFunction::kMax), type_(ArrowType(aggregate.argument->type())) {}

  void Resize(size_t slots) override {
    values_.resize(slots);
    valid_.resize(slots);
  }
  void Clear(uint32_t slot) override {
    values_[slot] = Kept<T>();
    valid_[slot] = 0;
  }
  void Copy(uint32_t from, uint32_t to) override {
    values_[to] = values_[from];
    valid_[to] = valid_[from];
  }
  void Update(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    Add(*argument->data(), rows, slots);
  }
  void Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    Add(Data(partials, column), rows, slots);
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    return AppendColumn<T>(slots, type_, out, [&](auto* w, size_t, uint32_t slot) {
      valid_[slot] ? w->Append(T(values_[slot])) : w->AppendNull();
    });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>*) const override {
    return Partial(slots, out);
  }
  void Save(uint32_t slot, std::string* out) const override {
    SaveValue(valid_[slot], out);
    SaveValue(values_[slot], out);
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    return LoadValue(from, &valid_[slot]) && LoadValue(from, &values_[slot]);
  }
  int64_t MemoryBytes() const override { return VectorBytes(values_) + VectorBytes(valid_); }

 private:
  void Add(const arrow::ArrayData& data, Rows rows, Slots slots) {
    const Cells<T> cells(data);
    for (size_t p = 0; p < rows.size(); ++p) {
      if (cells.IsNull(rows[p])) continue;
      const T value = cells[rows[p]];
      const uint32_t slot = slots[p];
      if (valid_[slot] && !Better(value, T(values_[slot]))) continue;
      values_[slot] = Kept<T>(value);
      valid_[slot] = 1;
    }
  }
  // Equal values keep the smaller bit pattern where they have several (-0 and 0), so that order doesn't matter.
  bool Better(T value, T than) const {
    if constexpr (std::is_same_v<T, double>) {
      if (std::isnan(value) && std::isnan(than)) return false;
      if (value == 0 && than == 0) return std::signbit(value) && !std::signbit(than);
    }
    return max_ ? Less(than, value) : Less(value, than);
  }

  const bool max_;
  const std::shared_ptr<arrow::DataType> type_;
  std::vector<Kept<T>> values_;
  std::vector<uint8_t> valid_;
};

// ---- first, last

template <typename T>
class OrderedAccumulator final : public Accumulator {
 public:
  explicit OrderedAccumulator(const Aggregate& aggregate)
      : last_(aggregate.function == AggregateFunction::kLast), type_(ArrowType(aggregate.argument->type())) {}

  void Resize(size_t slots) override {
    values_.resize(slots);
    states_.resize(slots);
  }
  void Clear(uint32_t slot) override {
    values_[slot] = Kept<T>();
    states_[slot] = State();
  }
  void Copy(uint32_t from, uint32_t to) override {
    values_[to] = values_[from];
    states_[to] = states_[from];
  }
  void Update(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    const Cells<T> cells(*argument->data());
    for (size_t p = 0; p < rows.size(); ++p) {
      const int32_t row = rows[p];
      Add(slots[p], cells, row,
          {order.times ? order.times[row] : 0, order.sources ? order.sources[row] : 0,
           order.partitions ? order.partitions[row] : 0, order.offsets ? order.offsets[row] : 0});
    }
  }
  void Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<T> cells(Data(partials, column));
    const Cells<int64_t> times(Data(partials, column + 1)), offsets(Data(partials, column + 4));
    const Cells<int32_t> sources(Data(partials, column + 2)), partitions(Data(partials, column + 3));
    for (size_t p = 0; p < rows.size(); ++p) {
      const int32_t row = rows[p];
      if (times.IsNull(row)) continue;
      Add(slots[p], cells, row, {times[row], sources[row], partitions[row], offsets[row]});
    }
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    TM_RETURN_IF_ERROR(AppendValues(slots, out));
    TM_RETURN_IF_ERROR(AppendOrder<int64_t>(slots, arrow::int64(), &Order::time, out));
    TM_RETURN_IF_ERROR(AppendOrder<int32_t>(slots, arrow::int32(), &Order::source, out));
    TM_RETURN_IF_ERROR(AppendOrder<int32_t>(slots, arrow::int32(), &Order::partition, out));
    return AppendOrder<int64_t>(slots, arrow::int64(), &Order::offset, out);
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>*) const override {
    return AppendValues(slots, out);
  }
  void Save(uint32_t slot, std::string* out) const override {
    const State& state = states_[slot];
    out->push_back(static_cast<char>(state.any | state.valid << 1));
    SaveValue(state.order, out);
    SaveValue(values_[slot], out);
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    uint8_t flags = 0;
    State& state = states_[slot];
    if (!LoadValue(from, &flags) || !LoadValue(from, &state.order) || !LoadValue(from, &values_[slot])) return false;
    state.any = flags & 1;
    state.valid = flags >> 1 & 1;
    return true;
  }
  int64_t MemoryBytes() const override { return VectorBytes(values_) + VectorBytes(states_); }

 private:
  struct Order {
    int64_t time = 0;
    int32_t source = 0, partition = 0;
    int64_t offset = 0;
    friend auto operator<=>(const Order&, const Order&) = default;
  };
  struct State {
    Order order;
    bool any = false, valid = false;
  };

  void Add(uint32_t slot, const Cells<T>& cells, int32_t row, const Order& order) {
    State& state = states_[slot];
    if (state.any && !(last_ ? order > state.order : order < state.order)) return;
    state = {order, true, !cells.IsNull(row)};
    values_[slot] = state.valid ? Kept<T>(cells[row]) : Kept<T>();
  }
  absl::Status AppendValues(Slots slots, Columns* out) const {
    return AppendColumn<T>(slots, type_, out, [&](auto* w, size_t, uint32_t slot) {
      states_[slot].valid ? w->Append(T(values_[slot])) : w->AppendNull();
    });
  }
  template <typename N>
  absl::Status AppendOrder(Slots slots, const std::shared_ptr<arrow::DataType>& type, N Order::*member,
                           Columns* out) const {
    return AppendColumn<N>(slots, type, out, [&](auto* w, size_t, uint32_t slot) {
      states_[slot].any ? w->Append(states_[slot].order.*member) : w->AppendNull();
    });
  }

  const bool last_;
  const std::shared_ptr<arrow::DataType> type_;
  std::vector<Kept<T>> values_;
  std::vector<State> states_;
};

std::unique_ptr<Accumulator> MakeSum(const Aggregate& aggregate) {
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

}  // namespace

std::unique_ptr<Accumulator> MakeAccumulator(const Aggregate& aggregate) {
  switch (aggregate.function) {
    case AggregateFunction::kCountStar:
    case AggregateFunction::kCount:
      return std::make_unique<CountAccumulator>();
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      return MakeSum(aggregate);
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      return VisitKind(aggregate.argument->type().kind, [&](auto tag) -> std::unique_ptr<Accumulator> {
        return std::make_unique<ExtremeAccumulator<decltype(tag)>>(aggregate);
      });
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return VisitKind(aggregate.argument->type().kind, [&](auto tag) -> std::unique_ptr<Accumulator> {
        return std::make_unique<OrderedAccumulator<decltype(tag)>>(aggregate);
      });
  }
  return nullptr;
}

}  // namespace tidemark
