// A batch: what flows between operators. An arrow::RecordBatch whose first columns are the step's visible columns, in
// the order of its Schema, followed by the hidden columns that a later step needs, in the order of the enum below.
// Immutable; may be shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/types/span.h>
#include <arrow/record_batch.h>

#include "src/base/schema.h"

namespace tidemark {

using Batch = std::shared_ptr<arrow::RecordBatch>;

// Hidden columns. None is ever null. Names that start with "__" are refused in a YAML file.
enum class Hidden : uint8_t {
  kTime,       // "__time" int64: event time, microseconds. Every batch has it.
  kWatermark,  // "__watermark" int64: the running watermark of the row's own source partition at that row,
               // microseconds. kMaxTime - a row that an operator emitted when time advanced, which is never late - is
               // written as int64 min. See docs/semantics: late is decided once, from this column alone.
  kSource,     // "__source" int32: number of the source among the plan's, by its name; order, part 2
  kPartition,  // "__partition" int32: source partition; order, part 3
  kOffset,     // "__offset" int64: source offset; order, part 4. -1: made by an operator, of no place
  kOp,         // "__op" int8: an Op. Only on update steps.
};
inline constexpr int kHiddenCount = 6;

// The set of hidden columns that a step's rows carry.
class HiddenSet {
 public:
  constexpr HiddenSet() = default;
  constexpr HiddenSet With(Hidden h) const { return HiddenSet(bits_ | 1u << static_cast<unsigned>(h)); }
  constexpr HiddenSet Without(Hidden h) const { return HiddenSet(bits_ & ~(1u << static_cast<unsigned>(h))); }
  constexpr HiddenSet Union(HiddenSet o) const { return HiddenSet(bits_ | o.bits_); }
  constexpr bool Has(Hidden h) const { return bits_ >> static_cast<unsigned>(h) & 1u; }
  constexpr bool HasOrder() const { return Has(Hidden::kOffset); }
  constexpr uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(HiddenSet, HiddenSet) = default;

 private:
  explicit constexpr HiddenSet(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 1;  // kTime always
};

// What a row of an update step does to the row of its key. An update is a pair: kUpdateBefore with exactly the row
// emitted before, directly followed by kUpdateAfter. kDelete carries the row emitted before.
enum class Op : int8_t { kInsert = 0, kUpdateBefore = 1, kUpdateAfter = 2, kDelete = 3 };

std::string_view HiddenName(Hidden h);
std::shared_ptr<arrow::Field> HiddenField(Hidden h);

// A column's field. json is held as utf8 as strings are, so its field says so in its metadata: text under way that was
// written as a string must not be read as JSON.
std::shared_ptr<arrow::Field> ColumnField(const Column& column);
bool IsJsonField(const arrow::Field& field);

// The Arrow schema of a batch: the visible columns, then the hidden ones.
std::shared_ptr<arrow::Schema> BatchSchema(const Schema& visible, HiddenSet hidden);

// Position of a hidden column in a batch of that shape; the caller knows that it is there.
int HiddenIndex(const Schema& visible, HiddenSet hidden, Hidden h);

// The values of a hidden int64 or int32 column (kTime, kWatermark, kOffset / kSource, kPartition), by name; null where
// the batch has no such column.
const int64_t* HiddenInt64(const arrow::RecordBatch& batch, Hidden h);
const int32_t* HiddenInt32(const arrow::RecordBatch& batch, Hidden h);
const int8_t* HiddenOps(const arrow::RecordBatch& batch);

// An approximation, in bytes, of the memory a batch refers to (slices count their share).
int64_t BatchBytes(const arrow::RecordBatch& batch);

// These rows of a batch, ascending or not, none twice, as a new batch.
Batch TakeRows(const Batch& batch, absl::Span<const int32_t> rows);
// The cells of a column at these rows, which may repeat; a negative row gives NULL. ResourceExhausted: texts of more
// than 2 GiB.
absl::StatusOr<std::shared_ptr<arrow::Array>> TakeCells(const arrow::ArrayData& column, absl::Span<const int32_t> rows);

}  // namespace tidemark
