// First and last values of rows that stand, by the order of rows.
#include "operators/window/accumulator_parts.h"

namespace tidemark {
namespace {

using namespace accumulators;

template <typename T>
class OrderedAccumulator final : public Accumulator {
 public:
  explicit OrderedAccumulator(const Aggregate& aggregate)
      : last_(aggregate.function == AggregateFunction::kLast), type_(ArrowType(aggregate.argument->type())) {}

  void Resize(size_t slots) override {
    values_.Resize(slots);
    states_.resize(slots);
  }
  void ClearSlots(Slots slots) override {
    for (const uint32_t slot : slots) {
      values_.Clear(slot);
      states_[slot] = State();
    }
  }
  void Copy(uint32_t from, uint32_t to) override {
    values_.Copy(from, to);
    states_[to] = states_[from];
  }
  void Update(const arrow::Array* argument, const OrderColumns& order, Rows rows, Slots slots) override {
    const Cells<T> cells(*argument->data());
    for (size_t p = 0; p < rows.size(); ++p) {
      const int32_t row = rows[p];
      Add(slots[p], cells, row, RowOrder::At(order, row));
    }
  }
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<T> cells(Data(partials, column));
    const Cells<int64_t> times(Data(partials, column + 1)), offsets(Data(partials, column + 4));
    const Cells<int32_t> sources(Data(partials, column + 2)), partitions(Data(partials, column + 3));
    for (size_t p = 0; p < rows.size(); ++p) {
      const int32_t row = rows[p];
      if (times.IsNull(row)) continue;
      Add(slots[p], cells, row, {times[row], sources[row], partitions[row], offsets[row]});
    }
    return absl::OkStatus();
  }
  void MergeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) {
      if (Adds(from[i], to[i])) Copy(from[i], to[i]);
    }
  }
  Sliding sliding() const override { return Sliding::kBest; }
  bool Adds(uint32_t from, uint32_t to) const override {
    const State &state = states_[from], &old = states_[to];
    return state.any && (!old.any || (last_ ? state.order > old.order : state.order < old.order));
  }
  bool HasAny(uint32_t slot) const override { return states_[slot].any; }
  void Prefetch(uint32_t slot) const override { __builtin_prefetch(&states_[slot]); }
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
    values_.Save(slot, out);
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    uint8_t flags = 0;
    State& state = states_[slot];
    if (!LoadValue(from, &flags) || !LoadValue(from, &state.order) || !values_.Load(slot, from)) return false;
    state.any = flags & 1;
    state.valid = flags >> 1 & 1;
    return true;
  }
  int64_t MemoryBytes() const override { return values_.MemoryBytes() + VectorBytes(states_); }
  int64_t OutsideBytes(uint32_t slot) const override { return values_.OutsideBytes(slot); }
  int64_t OutsideBytes() const override { return values_.OutsideBytes(); }

 private:
  using Order = RowOrder;
  struct State {
    Order order;
    bool any = false, valid = false;
  };

  void Add(uint32_t slot, const Cells<T>& cells, int32_t row, const Order& order) {
    State& state = states_[slot];
    // Rows of one record have one order: the first of them is first, the last is last.
    if (state.any && !(last_ ? order >= state.order : order < state.order)) return;
    state = {order, true, !cells.IsNull(row)};
    state.valid ? values_.Set(slot, cells[row]) : values_.Clear(slot);
  }
  absl::Status AppendValues(Slots slots, Columns* out) const {
    return AppendColumn<T>(slots, type_, out, [&](auto* w, size_t, uint32_t slot) {
      states_[slot].valid ? w->Append(values_.at(slot)) : w->AppendNull();
    });
  }
  template <typename N>
  absl::Status AppendOrder(Slots slots, const std::shared_ptr<arrow::DataType>& type, N Order::* member,
                           Columns* out) const {
    return AppendColumn<N>(slots, type, out, [&](auto* w, size_t, uint32_t slot) {
      states_[slot].any ? w->Append(states_[slot].order.*member) : w->AppendNull();
    });
  }

  const bool last_;
  const std::shared_ptr<arrow::DataType> type_;
  KeptValues<T> values_;
  std::vector<State> states_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeOrderedAccumulator(const Aggregate& aggregate) {
  return VisitKind(aggregate.argument->type().kind, [&](auto tag) -> std::unique_ptr<Accumulator> {
    return std::make_unique<OrderedAccumulator<decltype(tag)>>(aggregate);
  });
}

}  // namespace tidemark
