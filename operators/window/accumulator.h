// One aggregate function over many groups at once: columns of running values, indexed by slot. Works a batch at a time;
// what a group's value is after all rows doesn't depend on how they were cut into batches or partials (double sums: but
// for rounding). Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>
#include <arrow/type_fwd.h>

#include "src/expr/expression.h"

namespace tidemark {

// The order of the rows of a batch; null pointers where the step's rows carry none.
struct OrderColumns {
  const int64_t* times = nullptr;
  const int32_t* sources = nullptr;
  const int32_t* partitions = nullptr;
  const int64_t* offsets = nullptr;
};

// A result that doesn't fit its type.
struct ResultError {
  size_t position = 0;  // among the slots asked for
  std::string reason;
};

class Accumulator {
 public:
  virtual ~Accumulator() = default;

  // New slots are empty.
  virtual void Resize(size_t slots) = 0;
  virtual void Clear(uint32_t slot) = 0;
  virtual void Copy(uint32_t from, uint32_t to) = 0;

  // Adds row rows[p] to slots[p], for every p. `argument` is null for count(*).
  virtual void Update(const arrow::Array* argument, const OrderColumns& order, absl::Span<const int32_t> rows,
                      absl::Span<const uint32_t> slots) = 0;
  // The same for partials, whose columns of this aggregate begin at `column` (operators/window/partial_schema.h).
  virtual void Merge(const arrow::RecordBatch& partials, int column, absl::Span<const int32_t> rows,
                     absl::Span<const uint32_t> slots) = 0;

  // Appends the partial's columns, or the result column, of these slots.
  virtual absl::Status Partial(absl::Span<const uint32_t> slots,
                               std::vector<std::shared_ptr<arrow::Array>>* out) const = 0;
  virtual absl::Status Result(absl::Span<const uint32_t> slots, std::vector<std::shared_ptr<arrow::Array>>* out,
                              std::vector<ResultError>* errors) const = 0;

  // The slot's value in the state. Load takes it off the front; false: it can't be read.
  virtual void Save(uint32_t slot, std::string* out) const = 0;
  virtual bool Load(uint32_t slot, std::string_view* from) = 0;

  virtual int64_t MemoryBytes() const = 0;
};

std::unique_ptr<Accumulator> MakeAccumulator(const Aggregate& aggregate);

}  // namespace tidemark
