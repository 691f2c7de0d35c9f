// Smallest and largest values of rows that stand; of bools, whether all or any are true.
#include "operators/window/accumulator_parts.h"
#include "operators/window/arguments.h"

namespace tidemark {
namespace {

using namespace accumulators;

template <typename T>
class ExtremeAccumulator final : public Accumulator {
 public:
  explicit ExtremeAccumulator(const Aggregate& aggregate)
      : max_(TakesLargest(aggregate.function)), type_(ArrowType(ArgumentType(aggregate))) {}

  void Resize(size_t slots) override {
    values_.Resize(slots);
    valid_.resize(slots);
  }
  void ClearSlots(Slots slots) override {
    for (const uint32_t slot : slots) {
      values_.Clear(slot);
      valid_[slot] = 0;
    }
  }
  void Copy(uint32_t from, uint32_t to) override {
    values_.Copy(from, to);
    valid_[to] = valid_[from];
  }
  void Update(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    Add(*argument->data(), rows, slots);
  }
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    Add(Data(partials, column), rows, slots);
    return absl::OkStatus();
  }
  void MergeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) {
      if (Adds(from[i], to[i])) Copy(from[i], to[i]);
    }
  }
  Sliding sliding() const override { return Sliding::kBest; }
  bool Adds(uint32_t from, uint32_t to) const override {
    return valid_[from] && (!valid_[to] || Better(values_.at(from), values_.at(to)));
  }
  bool HasAny(uint32_t slot) const override { return valid_[slot] != 0; }
  void Prefetch(uint32_t slot) const final {
    values_.Prefetch(slot);
    __builtin_prefetch(&valid_[slot]);
  }
  absl::Status Partial(Slots slots, Columns* out) const override {
    return AppendColumn<T>(slots, type_, out, [&](auto* w, size_t, uint32_t slot) {
      valid_[slot] ? w->Append(values_.at(slot)) : w->AppendNull();
    });
  }
  absl::Status Result(Slots slots, Columns* out, std::vector<ResultError>*) const override {
    return Partial(slots, out);
  }
  void Save(uint32_t slot, std::string* out) const override {
    SaveValue(valid_[slot], out);
    values_.Save(slot, out);
  }
  bool Load(uint32_t slot, std::string_view* from) override {
    return LoadValue(from, &valid_[slot]) && values_.Load(slot, from);
  }
  int64_t MemoryBytes() const override { return values_.MemoryBytes() + VectorBytes(valid_); }
  int64_t OutsideBytes(uint32_t slot) const override { return values_.OutsideBytes(slot); }
  int64_t OutsideBytes() const override { return values_.OutsideBytes(); }

 private:
  void Add(const arrow::ArrayData& data, Rows rows, Slots slots) {
    const Cells<T> cells(data);
    for (size_t p = 0; p < rows.size(); ++p) {
      if (cells.IsNull(rows[p])) continue;
      const T value = cells[rows[p]];
      const uint32_t slot = slots[p];
      if (valid_[slot] && !Better(value, values_.at(slot))) continue;
      values_.Set(slot, value);
      valid_[slot] = 1;
    }
  }
  bool Better(const T& value, const T& than) const { return IsBetter(max_, value, than); }

  const bool max_;
  const std::shared_ptr<arrow::DataType> type_;
  KeptValues<T> values_;
  std::vector<uint8_t> valid_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeExtremeAccumulator(const Aggregate& aggregate) {
  return VisitKind(ArgumentType(aggregate).kind, [&](auto tag) -> std::unique_ptr<Accumulator> {
    return std::make_unique<ExtremeAccumulator<decltype(tag)>>(aggregate);
  });
}

}  // namespace tidemark
