#include "operators/window/rows.h"

#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "operators/step.h"
#include "operators/window/arguments.h"
#include "operators/window/panes.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {

absl::StatusOr<WindowRows> WindowRows::Make(const WindowSpec& spec) {
  std::vector<Aggregate> aggregates;
  for (const AggregateItem& item : spec.aggregates) {
    TM_ASSIGN_OR_RETURN(Aggregate aggregate, Aggregate::Compile(item.expression, spec.rows));
    aggregates.push_back(std::move(aggregate));
  }
  return WindowRows(spec, std::move(aggregates));
}

absl::Status WindowRows::Evaluate(const Batch& batch) {
  arguments_.assign(aggregates_.size(), nullptr);
  counted_.assign(aggregates_.size(), {});
  errors_.assign(aggregates_.size(), {});
  for (size_t a = 0; a < aggregates_.size(); ++a) {
    TM_ASSIGN_OR_RETURN(arguments_[a], EvaluateArgument(aggregates_[a], *batch, &errors_[a]));
    if (aggregates_[a].filter) TM_RETURN_IF_ERROR(EvaluateFilter(batch, a));
  }
  return absl::OkStatus();
}

// Which rows count; mistakes of the argument only where they do.
absl::Status WindowRows::EvaluateFilter(const Batch& batch, size_t a) {
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(const auto condition, aggregates_[a].filter->Evaluate(*batch, &errors));
  const Cells<bool> cells(*condition->data());
  std::vector<uint8_t>& counted = counted_[a];
  counted.resize(static_cast<size_t>(batch->num_rows()));
  for (int64_t row = 0; row < batch->num_rows(); ++row) {
    counted[static_cast<size_t>(row)] = !cells.IsNull(row) && cells[row];
  }
  for (RowError& error : errors_[a]) {
    if (counted[static_cast<size_t>(error.row)]) errors.push_back(std::move(error));
  }
  errors_[a] = std::move(errors);
  return absl::OkStatus();
}

// The pairs that count for the aggregate: all of them, or those gathered in `some`.
const WindowPairs& WindowRows::Counted(size_t a, const WindowPairs& pairs, WindowPairs* some) const {
  if (counted_[a].empty()) return pairs;
  some->rows.clear();
  some->slots.clear();
  for (size_t p = 0; p < pairs.rows.size(); ++p) {
    if (!counted_[a][static_cast<size_t>(pairs.rows[p])]) continue;
    some->rows.push_back(pairs.rows[p]);
    some->slots.push_back(pairs.slots[p]);
  }
  return *some;
}

// Adds the row's pairs with the windows that take it.
WindowRows::Taken WindowRows::PairRow(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                                      WindowPairs* pairs) const {
  Taken count;
  // The newest window that contains the time, then those before it.
  const EventTime newest = NewestStart(spec_, EventTime{time});
  for (EventTime start = newest; (start + spec_.size_us).us > time; start = start - spec_.every_us) {
    const EventTime last = start + spec_.size_us + spec_.grace_us;
    if (last <= watermark) {
      ++count.late;
    } else if (last <= closed_until) {
      ++count.after_idle;
    } else {
      pairs->rows.push_back(row);
      pairs->starts.push_back(start.us);
      ++count.taken;
    }
    if (start == kMinTime) break;
  }
  return count;
}

// The windows that take it are the last ones of those that it lies in.
WindowRows::Taken WindowRows::PairPane(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                                       WindowPairs* pairs) const {
  const int64_t last = NewestStart(spec_, EventTime{time}).us;
  const int64_t late = panes::Closed(spec_, last, watermark);
  const int64_t closed = std::max(late, panes::Closed(spec_, last, closed_until));
  const int64_t taken = windows_ - closed;
  if (taken > 0) {
    pairs->rows.push_back(row);
    pairs->starts.push_back(panes::Number(last, taken));
  }
  return {.taken = taken, .late = late, .after_idle = closed - late};
}

WindowRows::Taken WindowRows::PairCalendar(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                                           WindowPairs* pairs) {
  if (!bounds_.Has(time)) bounds_ = spec_.calendar->At(time);
  const EventTime last = EventTime{bounds_.end} + spec_.grace_us;
  if (last <= watermark) return {.late = 1};
  if (last <= closed_until) return {.after_idle = 1};
  pairs->rows.push_back(row);
  pairs->starts.push_back(bounds_.start);
  return {.taken = 1};
}

WindowRows::Taken WindowRows::PairCumulative(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                                             WindowPairs* pairs) const {
  const int64_t own = NewestStart(spec_, EventTime{time}).us;
  const int64_t first = FirstOpen(spec_, own, watermark);
  if (WindowClosed(spec_, first, watermark)) return {.late = 1};
  const int64_t takes = FirstOpen(spec_, first, closed_until);
  if (WindowClosed(spec_, takes, closed_until)) return {.after_idle = 1};
  pairs->rows.push_back(row);
  pairs->starts.push_back(takes);
  return {.taken = 1, .passed_over = takes != own};
}

WindowRows::Form WindowRows::FormOf(const WindowSpec& spec) {
  if (spec.calendar) return Form::kCalendar;
  if (spec.cumulative_us > 0) return Form::kCumulative;
  if (panes::Shared(spec)) return Form::kPanes;
  return spec.size_us > 0 ? Form::kLength : spec.gap_us > 0 ? Form::kSession : Form::kAllTime;
}

WindowRows::Taken WindowRows::PairSession(int32_t row, int64_t time, EventTime watermark, EventTime closed_until,
                                          WindowPairs* pairs) const {
  const EventTime last = EventTime{time} + spec_.grace_us;
  if (last < watermark) return {.late = 1};
  if (last < closed_until) return {.after_idle = 1};
  pairs->rows.push_back(row);
  pairs->starts.push_back(time);
  return {.taken = 1};
}

absl::Status WindowRows::Pair(const Batch& batch, EventTime closed_until, StepLedger* ledger, Emitter& emitter,
                              WindowPairs* pairs) {
  const int64_t n = batch->num_rows();
  TM_RETURN_IF_ERROR(Evaluate(batch));
  std::vector<uint8_t> failed(n), keep(n, 1);
  for (const auto& errors : errors_) {
    for (const RowError& error : errors) failed[error.row] = 1;
  }
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  const Form form = FormOf(spec_);
  std::vector<int32_t> late_rows;
  pairs->rows.clear();
  pairs->starts.clear();
  pairs->rows.reserve(n);
  pairs->starts.reserve(n);
  for (int64_t i = 0; i < n; ++i) {
    Taken count;
    const size_t mark = pairs->rows.size();
    const EventTime watermark{watermarks ? watermarks[i] : kMinTime.us};
    const auto row = static_cast<int32_t>(i);
    switch (form) {
      case Form::kLength:
        count = PairRow(row, times[i], watermark, closed_until, pairs);
        break;
      case Form::kPanes:
        count = PairPane(row, times[i], watermark, closed_until, pairs);
        break;
      case Form::kCalendar:
        count = PairCalendar(row, times[i], watermark, closed_until, pairs);
        break;
      case Form::kCumulative:
        count = PairCumulative(row, times[i], watermark, closed_until, pairs);
        break;
      case Form::kSession:
        count = PairSession(row, times[i], watermark, closed_until, pairs);
        break;
      case Form::kAllTime:
        pairs->rows.push_back(row);
        pairs->starts.push_back(0);
        count.taken = 1;
        break;
    }
    // A window of which rows are only sampled (every > size) may leave a row without any.
    const int64_t all = count.taken + count.late + count.after_idle;
    if (failed[i] && (count.taken > 0 || all == 0)) {
      pairs->rows.resize(mark);
      pairs->starts.resize(mark);
      continue;
    }
    keep[i] = 0;  // the expressions' failures don't matter
    ledger->pairs += all;
    ledger->late_pairs += count.late;
    ledger->late_after_idle += count.after_idle;
    const bool is_late = count.taken == 0 && all > 0;
    ledger->late += is_late;
    ledger->absorbed += !is_late;
    if (count.late + count.after_idle > 0 || count.passed_over) late_rows.push_back(static_cast<int32_t>(i));
  }
  ledger->in += n;
  for (size_t a = 0; a < aggregates_.size(); ++a) {
    TM_RETURN_IF_ERROR(
        RefuseRows(batch, spec_.rows, spec_.aggregates[a].expression, errors_[a], &keep, ledger, emitter));
  }
  if (!spec_.late_topic || late_rows.empty()) return absl::OkStatus();
  return emitter.EmitSide("late", TakeRows(batch, late_rows));
}

int64_t WindowRows::Retractions(const arrow::RecordBatch& batch, const WindowPairs& pairs) const {
  const int8_t* ops = Ops(batch);
  if (ops == nullptr) return 0;
  return std::count_if(pairs.rows.begin(), pairs.rows.end(), [&](int32_t row) { return IsRetraction(ops, row); });
}

absl::Status WindowRows::Add(const Batch& batch, const WindowPairs& pairs, GroupSet* groups) const {
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  if (const int8_t* ops = Ops(*batch); ops != nullptr) {
    for (size_t p = 0; p < pairs.rows.size(); ++p) {
      groups->rows(pairs.slots[p]) += IsRetraction(ops, pairs.rows[p]) ? -1 : 1;
    }
  } else {
    for (const uint32_t slot : pairs.slots) ++groups->rows(slot);
  }
  // A window's results have its own time; a session ends behind its last row.
  for (size_t p = 0; spec_.size_us == 0 && p < pairs.rows.size(); ++p) {
    int64_t& time = groups->time(pairs.slots[p]);
    if (times[pairs.rows[p]] > time) time = times[pairs.rows[p]];
  }
  return AddValues(*batch, pairs, groups);
}

absl::Status WindowRows::AddValues(const arrow::RecordBatch& batch, const WindowPairs& pairs, GroupSet* groups) const {
  const OrderColumns order{HiddenInt64(batch, Hidden::kTime), HiddenInt32(batch, Hidden::kSource),
                           HiddenInt32(batch, Hidden::kPartition), HiddenInt64(batch, Hidden::kOffset)};
  const int8_t* ops = Ops(batch);
  WindowPairs some;
  if (ops == nullptr) {
    for (size_t a = 0; a < aggregates_.size(); ++a) {
      const WindowPairs& counted = Counted(a, pairs, &some);
      groups->accumulators()[a]->Update(arguments_[a].get(), order, counted.rows, counted.slots);
    }
    return absl::OkStatus();
  }
  WindowPairs added, taken;
  for (size_t p = 0; p < pairs.rows.size(); ++p) {
    WindowPairs& to = IsRetraction(ops, pairs.rows[p]) ? taken : added;
    to.rows.push_back(pairs.rows[p]);
    to.slots.push_back(pairs.slots[p]);
  }
  for (size_t a = 0; a < aggregates_.size(); ++a) {
    Accumulator& accumulator = *groups->accumulators()[a];
    const WindowPairs& come = Counted(a, added, &some);
    accumulator.Update(arguments_[a].get(), order, come.rows, come.slots);
    const WindowPairs& gone = Counted(a, taken, &some);
    TM_RETURN_IF_ERROR(accumulator.Retract(arguments_[a].get(), order, gone.rows, gone.slots));
  }
  return absl::OkStatus();
}

WindowRows::Columns WindowRows::ColumnsOf(const arrow::RecordBatch& batch) const {
  return {HiddenInt64(batch, Hidden::kTime),
          {HiddenInt64(batch, Hidden::kTime), HiddenInt32(batch, Hidden::kSource),
           HiddenInt32(batch, Hidden::kPartition), HiddenInt64(batch, Hidden::kOffset)},
          Ops(batch)};
}

absl::Status WindowRows::AddOne(const Columns& columns, int32_t row, uint32_t slot, GroupSet* groups) const {
  const bool taken = IsRetraction(columns.ops, row);
  groups->rows(slot) += taken ? -1 : 1;
  if (spec_.size_us == 0) groups->time(slot) = std::max(groups->time(slot), columns.times[row]);
  for (size_t a = 0; a < aggregates_.size(); ++a) {
    if (!counted_[a].empty() && !counted_[a][static_cast<size_t>(row)]) continue;
    Accumulator& accumulator = *groups->accumulators()[a];
    if (taken) {
      TM_RETURN_IF_ERROR(accumulator.Retract(arguments_[a].get(), columns.order, {&row, 1}, {&slot, 1}));
    } else {
      accumulator.Update(arguments_[a].get(), columns.order, {&row, 1}, {&slot, 1});
    }
  }
  return absl::OkStatus();
}

}  // namespace tidemark
