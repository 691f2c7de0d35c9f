// One aggregate function over many groups at once: columns of running values, indexed by slot. Works a batch at a time;
// what a group's value is after all rows doesn't depend on how they were cut into batches or partials (double sums: but
// for rounding; sums that leave the range of their numbers in one partial, or in one order of rows that stand, are an
// error even where others come back from there). Touched only by the stream thread.
//
// Which values are kept depends on the rows of the input. Of rows that stand, one value a group: of rows that are taken
// back, whatever it takes to make the result that of the rows that remain, exactly. For counts that is the count; for
// sums and averages of integers and decimals a sum of 192 bits, of doubles a sum that loses nothing (exact_double.h);
// for min, max, first and last every value the group has, with how often. Of rows that are shared, what sums and
// averages of decimals and doubles are merged in are such numbers too, so that what was merged can be taken out again.
// count(distinct), mode, string_agg,
// array_agg and approx_percentile (of buckets) keep that of rows that stand, too. The argument is what arguments.h
// makes of a row. approx_count_distinct knows only rows that stand.
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

// Whether rows stand, or change: are taken back or replaced. Shared: they stand, and what they come to is merged in one
// order or another, as memory and restarts have it: results are the same whichever.
enum class InputRows { kStand, kChange, kShared };

class Accumulator {
 public:
  virtual ~Accumulator() = default;

  // New slots are empty.
  virtual void Resize(size_t slots) = 0;
  virtual void ClearSlots(absl::Span<const uint32_t> slots) = 0;
  void Clear(uint32_t slot) { ClearSlots({&slot, 1}); }
  // `to`, which is empty, gives the result that `from` gives now. Nothing else is asked of it.
  virtual void Copy(uint32_t from, uint32_t to) = 0;

  // Adds row rows[p] to slots[p], for every p. `argument` is null for count(*).
  virtual void Update(const arrow::Array* argument, const OrderColumns& order, absl::Span<const int32_t> rows,
                      absl::Span<const uint32_t> slots) = 0;
  // Takes such rows back: equal in the argument and in their order to rows that were added. It may happen before that,
  // as long as both have happened when a result is asked for. Only for inputs that change (Internal: for others).
  virtual absl::Status Retract(const arrow::Array* argument, const OrderColumns& order, absl::Span<const int32_t> rows,
                               absl::Span<const uint32_t> slots);
  // Adds partials, whose columns of this aggregate begin at `column` (operators/window/partial_schema.h); where they
  // are null, that of no rows. DataLoss: it isn't one.
  virtual absl::Status Merge(const arrow::RecordBatch& partials, int column, absl::Span<const int32_t> rows,
                             absl::Span<const uint32_t> slots) = 0;
  // Adds what each slot of `from` holds to the one of `to` at the same place, as if the rows of both had been added to
  // that. Those of `from`, which are others, are left as they are.
  virtual void MergeSlots(absl::Span<const uint32_t> from, absl::Span<const uint32_t> to) = 0;
  void MergeSlot(uint32_t from, uint32_t to) { MergeSlots({&from, 1}, {&to, 1}); }
  // Moves of what OutsideBytes counts about so many bytes, all where it is one thing, to `to`, which is empty; merging
  // the two gives what `from` was.
  virtual void MovePart(uint32_t from, uint32_t to, int64_t bytes);

  // How what slots come to follows as some of them come and others go (pane_totals.h).
  enum class Sliding : uint8_t {
    kTaken,   // what MergeSlots has added can be taken out again, exactly: TakeSlots
    kBest,    // the result is that of one slot alone, and of two slots it is known which: Adds
    kMerged,  // it has to be merged anew
  };
  virtual Sliding sliding() const { return Sliding::kMerged; }
  // Of kTaken: the opposite of MergeSlots, which has added the same before.
  virtual void TakeSlots(absl::Span<const uint32_t> /*from*/, absl::Span<const uint32_t> /*to*/) {}
  // Of kBest: whether the result of `from` and `to` together isn't that of `to`.
  virtual bool Adds(uint32_t /*from*/, uint32_t /*to*/) const { return true; }
  // Of kBest: whether the slot gives a result other than that of an empty one.
  virtual bool HasAny(uint32_t /*slot*/) const { return true; }
  // Of kBest: asks for the memory that Adds looks at.
  virtual void Prefetch(uint32_t /*slot*/) const {}

  // Appends the partial's columns, or the result column, of these slots.
  virtual absl::Status Partial(absl::Span<const uint32_t> slots,
                               std::vector<std::shared_ptr<arrow::Array>>* out) const = 0;
  virtual absl::Status Result(absl::Span<const uint32_t> slots, std::vector<std::shared_ptr<arrow::Array>>* out,
                              std::vector<ResultError>* errors) const = 0;

  // The slot's value in the state. Load takes it off the front; false: it can't be read.
  virtual void Save(uint32_t slot, std::string* out) const = 0;
  virtual bool Load(uint32_t slot, std::string_view* from) = 0;
  // Of values that are kept one by one: notes from now on, anew, what comes and goes of the slot's, or no more; whether
  // it does (a slot that is cleared, loaded or split doesn't). SaveChanges writes what was noted, and LoadChanges adds
  // that to what was saved as the noting began. Of others: nothing is noted, and either is the whole value.
  virtual bool CanNote() const { return false; }
  virtual void Note(uint32_t /*slot*/, bool /*on*/) {}
  virtual bool Notes(uint32_t /*slot*/) const { return false; }
  virtual void SaveChanges(uint32_t slot, std::string* out) const { Save(slot, out); }
  virtual bool LoadChanges(uint32_t slot, std::string_view* from) { return Load(slot, from); }

  virtual int64_t MemoryBytes() const = 0;
  // Of that, what a slot, or all, hold outside of their place: long texts, and values that are kept one by one. Nothing
  // else makes partials and state of a group large.
  virtual int64_t OutsideBytes(uint32_t /*slot*/) const { return 0; }
  virtual int64_t OutsideBytes() const { return 0; }
};

// Variance and stddev; count(distinct), mode, string_agg and the like, whose result is made of all values. The partials
// of either are what they save, whatever the rows (operators/window/partial_schema.h).
bool IsSpread(AggregateFunction function);
bool IsOfAllValues(AggregateFunction function);

std::unique_ptr<Accumulator> MakeAccumulator(const Aggregate& aggregate, InputRows rows = InputRows::kStand);

}  // namespace tidemark
