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
#include <vector>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "operators/window/accumulator.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "src/codec/cells.h"

namespace tidemark {

// Of rows that stand: sum and avg; min and max; first and last. Of rows that are taken back: all of these.
std::unique_ptr<Accumulator> MakeSumAccumulator(const Aggregate& aggregate);
std::unique_ptr<Accumulator> MakeExtremeAccumulator(const Aggregate& aggregate);
std::unique_ptr<Accumulator> MakeOrderedAccumulator(const Aggregate& aggregate);
std::unique_ptr<Accumulator> MakeRetractingAccumulator(const Aggregate& aggregate);

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

template <typename T>
int64_t VectorBytes(const std::vector<T>& v) {
  return static_cast<int64_t>(v.capacity() * sizeof(T));
}
inline int64_t VectorBytes(const std::vector<std::string>& v) {
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
