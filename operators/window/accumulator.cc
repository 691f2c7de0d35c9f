// Counts, and which accumulator an aggregate has.
#include "operators/window/accumulator.h"

#include "operators/window/accumulator_parts.h"
#include "operators/window/arguments.h"

namespace tidemark {
namespace {

using namespace accumulators;

class CountAccumulator final : public Accumulator {
 public:
  void Resize(size_t slots) override { counts_.resize(slots); }
  void ClearSlots(Slots slots) override {
    for (const uint32_t slot : slots) counts_[slot] = 0;
  }
  void Copy(uint32_t from, uint32_t to) override { counts_[to] = counts_[from]; }
  void Update(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    if (argument == nullptr || argument->null_count() == 0) {
      for (const uint32_t slot : slots) ++counts_[slot];
      return;
    }
    for (size_t p = 0; p < rows.size(); ++p) counts_[slots[p]] += argument->IsValid(rows[p]);
  }
  absl::Status Merge(const arrow::RecordBatch& partials, int column, Rows rows, Slots slots) override {
    const Cells<int64_t> counts(Data(partials, column));
    for (size_t p = 0; p < rows.size(); ++p) counts_[slots[p]] += counts.IsNull(rows[p]) ? 0 : counts[rows[p]];
    return absl::OkStatus();
  }
  absl::Status Retract(const arrow::Array* argument, const OrderColumns&, Rows rows, Slots slots) override {
    for (size_t p = 0; p < rows.size(); ++p) counts_[slots[p]] -= argument == nullptr || argument->IsValid(rows[p]);
    return absl::OkStatus();
  }
  void MergeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) counts_[to[i]] += counts_[from[i]];
  }
  Sliding sliding() const override { return Sliding::kTaken; }
  void TakeSlots(Slots from, Slots to) override {
    for (size_t i = 0; i < to.size(); ++i) counts_[to[i]] -= counts_[from[i]];
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

}  // namespace

absl::Status Accumulator::Retract(const arrow::Array*, const OrderColumns&, Rows, Slots) {
  return absl::InternalError("a row was taken back from an aggregate of rows that stand");
}

void Accumulator::MovePart(uint32_t from, uint32_t to, int64_t /*bytes*/) {
  MergeSlot(from, to);
  Clear(from);
}

bool IsSpread(AggregateFunction function) {
  return function == AggregateFunction::kVarSamp || function == AggregateFunction::kVarPop ||
         function == AggregateFunction::kStddevSamp || function == AggregateFunction::kStddevPop;
}

bool IsOfAllValues(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kCountDistinct:
    case AggregateFunction::kMode:
    case AggregateFunction::kStringAgg:
    case AggregateFunction::kArrayAgg:
    case AggregateFunction::kApproxCountDistinct:
    case AggregateFunction::kApproxPercentile:
      return true;
    default:
      return false;
  }
}

namespace {

std::unique_ptr<Accumulator> MakeOfArguments(const Aggregate& aggregate, InputRows rows) {
  if (aggregate.function == AggregateFunction::kApproxCountDistinct) return MakeApproxDistinctAccumulator(aggregate);
  if (rows == InputRows::kChange) return MakeRetractingAccumulator(aggregate, rows);
  switch (aggregate.function) {
    case AggregateFunction::kCountStar:
    case AggregateFunction::kCount:
      return std::make_unique<CountAccumulator>();
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      return MakeSumAccumulator(aggregate, rows);
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kMinBy:
    case AggregateFunction::kMaxBy:
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
      return MakeExtremeAccumulator(aggregate);
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return MakeOrderedAccumulator(aggregate);
    case AggregateFunction::kVarSamp:
    case AggregateFunction::kVarPop:
    case AggregateFunction::kStddevSamp:
    case AggregateFunction::kStddevPop:
      return MakeSpreadAccumulator(aggregate, InputRows::kStand);
    case AggregateFunction::kCountDistinct:
      return MakeRetractingAccumulator(aggregate, rows);
    case AggregateFunction::kMode:
    case AggregateFunction::kStringAgg:
    case AggregateFunction::kArrayAgg:
    case AggregateFunction::kApproxPercentile:
      return MakeRetractingAccumulator(aggregate, InputRows::kStand);
    case AggregateFunction::kApproxCountDistinct:
    case AggregateFunction::kLag:  // only `over` has it, which looks at rows
      break;
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Accumulator> MakeAccumulator(const Aggregate& aggregate, InputRows rows) {
  const bool count =
      aggregate.function == AggregateFunction::kCountStar || aggregate.function == AggregateFunction::kCount;
  if (count) return std::make_unique<CountAccumulator>();
  auto accumulator = MakeOfArguments(aggregate, rows);
  return IsPacked(aggregate) ? MakeUnpackingAccumulator(aggregate, std::move(accumulator)) : std::move(accumulator);
}

}  // namespace tidemark
