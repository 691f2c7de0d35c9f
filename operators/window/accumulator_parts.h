// What the kinds of accumulators share: how values are kept in slots, saved and written as columns. Only
// accumulator*.cc include this.
#pragma once

#include <cmath>
#include <compare>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "operators/window/accumulator.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "src/codec/cells.h"

namespace tidemark {

// Of rows that stand: sum and avg, of shared ones too; min, max, min_by and max_by; first and last. Of rows that are
// taken back: all of these. Of either: count(distinct), mode, string_agg, array_agg and approx_percentile.
std::unique_ptr<Accumulator> MakeSumAccumulator(const Aggregate& aggregate, InputRows rows);
std::unique_ptr<Accumulator> MakeExtremeAccumulator(const Aggregate& aggregate);
std::unique_ptr<Accumulator> MakeOrderedAccumulator(const Aggregate& aggregate);
std::unique_ptr<Accumulator> MakeRetractingAccumulator(const Aggregate& aggregate, InputRows rows);
// Of either: variance and stddev.
std::unique_ptr<Accumulator> MakeSpreadAccumulator(const Aggregate& aggregate, InputRows rows);
// approx_count_distinct, of rows that stand.
std::unique_ptr<Accumulator> MakeApproxDistinctAccumulator(const Aggregate& aggregate);
// Of packed values (arguments.h): `inner`, whose result is bytes, with the result that these stand for.
std::unique_ptr<Accumulator> MakeUnpackingAccumulator(const Aggregate& aggregate, std::unique_ptr<Accumulator> inner);

namespace accumulators {

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

// How far ahead of the slot that is looked at the memory of others is asked for.
inline constexpr size_t kSlotsAhead = 12;

// A pointer that stays behind where its owner is copied: the copy has none.
template <typename T>
struct NotCopied : std::unique_ptr<T> {
  NotCopied() = default;
  NotCopied(const NotCopied& /*other*/) : std::unique_ptr<T>() {}
  NotCopied(NotCopied&& other) noexcept = default;
  NotCopied& operator=(const NotCopied& other) {
    if (this != &other) this->reset();
    return *this;
  }
  NotCopied& operator=(NotCopied&& other) noexcept = default;
};

template <typename T>
int64_t VectorBytes(const std::vector<T>& v) {
  return static_cast<int64_t>(v.capacity() * sizeof(T));
}

// What a value holds outside of itself.
template <typename T>
int64_t HeapBytes(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    static const size_t inside = std::string().capacity();
    return value.capacity() > inside ? static_cast<int64_t>(value.capacity()) + 1 : 0;
  } else {
    return 0;
  }
}

// A value a slot. Of texts it knows what they hold outside of the slots, and gives that back at once.
template <typename T>
class KeptValues {
 public:
  void Resize(size_t slots) {
    if constexpr (kTexts) {
      for (size_t slot = slots; slot < values_.size(); ++slot) outside_bytes_ -= HeapBytes(values_[slot]);
    }
    values_.resize(slots);
  }
  T at(uint32_t slot) const { return T(values_[slot]); }
  void Prefetch(uint32_t slot) const { __builtin_prefetch(&values_[slot]); }
  void Clear(uint32_t slot) { Change(slot, Kept<T>()); }
  void Set(uint32_t slot, const T& value) { Change(slot, Kept<T>(value)); }
  void Copy(uint32_t from, uint32_t to) { Change(to, Kept<T>(values_[from])); }
  void Save(uint32_t slot, std::string* out) const { SaveValue(values_[slot], out); }
  bool Load(uint32_t slot, std::string_view* from) {
    Kept<T> value{};
    const bool ok = LoadValue(from, &value);
    Change(slot, std::move(value));
    return ok;
  }
  int64_t MemoryBytes() const { return VectorBytes(values_) + outside_bytes_; }
  int64_t OutsideBytes(uint32_t slot) const { return HeapBytes(values_[slot]); }
  int64_t OutsideBytes() const { return outside_bytes_; }

 private:
  static constexpr bool kTexts = std::is_same_v<T, std::string_view>;

  void Change(uint32_t slot, Kept<T> value) {
    if constexpr (kTexts) {
      outside_bytes_ += HeapBytes(value) - HeapBytes(values_[slot]);
      values_[slot].swap(value);
    } else {
      values_[slot] = value;
    }
  }

  std::vector<Kept<T>> values_;
  int64_t outside_bytes_ = 0;
};

template <typename T, typename F>
absl::Status AppendColumn(Slots slots, const std::shared_ptr<arrow::DataType>& type, Columns* out, F&& put) {
  CellWriter<T> writer(static_cast<int64_t>(slots.size()));
  for (size_t i = 0; i < slots.size(); ++i) put(&writer, i, slots[i]);
  TM_ASSIGN_OR_RETURN(auto column, writer.Finish(type));
  out->push_back(std::move(column));
  return absl::OkStatus();
}

// Where a row stands in the order of rows.
struct RowOrder {
  int64_t time = 0;
  int32_t source = 0, partition = 0;
  int64_t offset = 0;

  static RowOrder At(const OrderColumns& order, int32_t row) {
    return {order.times ? order.times[row] : 0, order.sources ? order.sources[row] : 0,
            order.partitions ? order.partitions[row] : 0, order.offsets ? order.offsets[row] : 0};
  }
  friend auto operator<=>(const RowOrder&, const RowOrder&) = default;
};

// False is below true: bool_and is the smallest of its values, bool_or the largest.
inline bool TakesLargest(AggregateFunction function) {
  return function == AggregateFunction::kMax || function == AggregateFunction::kBoolOr;
}

// Whether min (max) takes `value` before `than`. NaN is above all numbers; of equal values the smaller bit pattern
// counts where they have several (-0 and 0), so that order doesn't matter.
template <typename T>
bool IsBetter(bool max, const T& value, const T& than) {
  if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(value) || std::isnan(than)) {
      return std::isnan(value) != std::isnan(than) && std::isnan(value) == max;
    }
    if (value == 0 && than == 0) return std::signbit(value) && !std::signbit(than);
  }
  return max ? than < value : value < than;
}

inline const arrow::ArrayData& Data(const arrow::RecordBatch& batch, int column) { return *batch.column_data(column); }

}  // namespace accumulators
}  // namespace tidemark
