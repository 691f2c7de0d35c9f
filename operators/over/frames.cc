#include "operators/over/frames.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "operators/window/arguments.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

bool IsLag(const Aggregate& item) { return item.function == AggregateFunction::kLag; }

Schema SchemaOf(const Schema& input, const std::vector<size_t>& columns) {
  Schema schema;
  for (const size_t column : columns) schema.Add(input[column]);
  return schema;
}

}  // namespace

OverFrames::OverFrames(const OverSpec& spec, std::vector<size_t> columns, Schema schema, std::vector<Aggregate> items)
    : range_us_(spec.range_us),
      rows_(spec.rows),
      columns_(std::move(columns)),
      schema_(std::move(schema)),
      codec_(RowCodec::Rows(schema_)),
      items_(std::move(items)) {
  for (const Aggregate& item : items_) {
    accumulators_.push_back(IsLag(item) ? nullptr : MakeAccumulator(item, InputRows::kChange));
  }
}

absl::StatusOr<OverFrames> OverFrames::Make(const OverSpec& spec, const Schema& input) {
  std::set<size_t> read;
  for (const OverItem& item : spec.items) {
    TM_ASSIGN_OR_RETURN(const Aggregate aggregate, Aggregate::Compile(item.expression, input));
    for (const size_t column : aggregate.columns()) read.insert(column);
  }
  std::vector<size_t> columns(read.begin(), read.end());
  Schema schema = SchemaOf(input, columns);
  std::vector<Aggregate> items;
  for (const OverItem& item : spec.items) {
    TM_ASSIGN_OR_RETURN(items.emplace_back(), Aggregate::Compile(item.expression, schema));
  }
  return OverFrames(spec, std::move(columns), std::move(schema), std::move(items));
}

int64_t OverFrames::kept_rows() const {
  int64_t rows = std::max<int64_t>(rows_, 1);
  for (const Aggregate& item : items_) rows = std::max(rows, IsLag(item) ? item.limit : 0);
  return rows;
}

absl::StatusOr<OverFrames::Values> OverFrames::Evaluate(const arrow::RecordBatch& rows) const {
  Values values;
  values.arguments.resize(items_.size());
  values.counted.resize(items_.size());
  values.errors.resize(items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    std::vector<RowError>& errors = values.errors[i];
    TM_ASSIGN_OR_RETURN(values.arguments[i], EvaluateArgument(items_[i], rows, &errors));
    if (!items_[i].filter) continue;
    std::vector<RowError> failed;
    TM_ASSIGN_OR_RETURN(const auto condition, items_[i].filter->Evaluate(rows, &failed));
    const Cells<bool> cells(*condition->data());
    std::vector<uint8_t>& counted = values.counted[i];
    counted.resize(static_cast<size_t>(rows.num_rows()));
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      counted[static_cast<size_t>(row)] = !cells.IsNull(row) && cells[row];
    }
    // A mistake of the argument matters only where the row counts.
    std::erase_if(errors, [&](const RowError& error) { return !counted[static_cast<size_t>(error.row)]; });
    errors.insert(errors.end(), failed.begin(), failed.end());
    std::sort(errors.begin(), errors.end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  }
  return values;
}

absl::StatusOr<std::vector<std::vector<RowError>>> OverFrames::Failures(const arrow::RecordBatch& rows) const {
  std::vector<std::vector<RowError>> none(items_.size());
  if (std::none_of(items_.begin(), items_.end(), [](const Aggregate& item) { return item.fallible(); })) return none;
  TM_ASSIGN_OR_RETURN(Values values, Evaluate(rows));
  return std::move(values.errors);
}

int32_t OverFrames::At(KeptRow* row) {
  if (std::exchange(row->round, round_) == round_) return row->at;
  old_cells_.append(row->cells);
  old_ends_.push_back(old_cells_.size());
  numbers_.push_back(row->number);
  return row->at = new_rows_ + static_cast<int32_t>(old_ends_.size()) - 1;
}

void OverFrames::TakeFirst(KeptKey* key) {
  Step_(Do::kTake, &key->rows[key->rows.size() - key->frame], key->slot);
  --key->frame;
}

// Its frame is empty and becomes what it was before the row of this time.
void OverFrames::PlanRead(KeptKey* key, int64_t time) {
  const size_t kept = key->rows.size();
  if (range_us_ > 0) {
    const EventTime from = EventTime{time} - range_us_;
    const auto first = std::find_if(key->rows.begin(), key->rows.end(),
                                    [&](const KeptRow& row) { return EventTime{row.time} >= from; });
    key->frame = static_cast<size_t>(key->rows.end() - first);
  } else {
    key->frame = std::min(kept, static_cast<size_t>(rows_));
  }
  for (size_t i = kept - key->frame; i < kept; ++i) Step_(Do::kAdd, &key->rows[i], key->slot);
}

KeptRow* OverFrames::AddRow(const Row& row, size_t i, const EncodedKeys& cells, History* history) {
  KeptRow kept{.time = row.time, .cells = std::string(cells[i]), .round = round_, .at = static_cast<int32_t>(i)};
  history->Add(row.key, std::move(kept));
  numbers_[i] = row.key->rows.back().number;
  return &row.key->rows.back();
}

// Rows of one time, the first of which is row `first` of the call.
void OverFrames::PlanTime(absl::Span<const Row> rows, size_t first, const EncodedKeys& cells, History* history) {
  for (size_t i = 0; i < rows.size(); ++i) {
    KeptKey* const key = rows[i].key;
    const EventTime from = EventTime{rows[i].time} - range_us_;
    while (!key->rows.empty() && EventTime{key->rows.front().time} < from) {
      if (key->frame == key->rows.size()) TakeFirst(key);
      history->RemoveFirst(key);
    }
    Step_(Do::kAdd, AddRow(rows[i], first + i, cells, history), key->slot);
    ++key->frame;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    steps_.push_back({Do::kGive, static_cast<int32_t>(first + i), rows[i].key->slot});
  }
}

void OverFrames::PlanRow(const Row& row, size_t i, const EncodedKeys& cells, History* history) {
  KeptKey* const key = row.key;
  for (size_t item = 0; item < items_.size(); ++item) {
    if (!IsLag(items_[item])) continue;
    const auto back = static_cast<size_t>(items_[item].limit);
    lagged_[item].push_back(key->rows.size() < back ? -1 : At(&key->rows[key->rows.size() - back]));
  }
  if (rows_ > 0 && std::cmp_greater_equal(key->frame, rows_)) TakeFirst(key);
  KeptRow* const added = AddRow(row, i, cells, history);
  if (rows_ > 0) {
    Step_(Do::kAdd, added, key->slot);
    ++key->frame;
    steps_.push_back({Do::kGive, static_cast<int32_t>(i), key->slot});
  }
  while (std::cmp_greater(key->rows.size(), kept_rows())) history->RemoveFirst(key);
}

// The rows that came, and behind them those that came earlier.
absl::StatusOr<Batch> OverFrames::LookedAt(const EncodedKeys& cells) const {
  std::vector<std::string_view> rows;
  for (int32_t i = 0; i < new_rows_; ++i) rows.push_back(cells[static_cast<size_t>(i)]);
  size_t begin = 0;
  for (const size_t end : old_ends_) {
    rows.push_back(std::string_view(old_cells_).substr(begin, end - begin));
    begin = end;
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(codec_.Decode(rows, &columns));
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (size_t c = 0; c < schema_.size(); ++c) fields.push_back(ColumnField(schema_[c]));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), static_cast<int64_t>(rows.size()),
                                  std::move(columns));
}

absl::Status OverFrames::Run(absl::Span<const Row> rows, const Batch& batch, absl::Span<KeptKey* const> read,
                             History* history, std::vector<std::shared_ptr<arrow::Array>>* out,
                             std::vector<std::vector<ResultError>>* errors) {
  EncodedKeys cells;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &cells));
  ++round_;
  steps_.clear();
  old_cells_.clear();
  old_ends_.clear();
  new_rows_ = static_cast<int32_t>(rows.size());
  numbers_.assign(rows.size(), 0);
  lagged_.assign(items_.size(), {});
  std::set<const KeptKey*> empty(read.begin(), read.end());
  for (const Row& row : rows) {
    if (empty.erase(row.key) > 0) PlanRead(row.key, row.time);
  }
  for (size_t i = 0; i < rows.size();) {
    size_t end = i + 1;
    if (range_us_ > 0) {
      while (end < rows.size() && rows[end].time == rows[i].time) ++end;
      PlanTime(rows.subspan(i, end - i), i, cells, history);
    } else {
      PlanRow(rows[i], i, cells, history);
    }
    i = end;
  }
  slots_ = std::max(slots_, history->slots());
  TM_ASSIGN_OR_RETURN(const Batch looked_at, LookedAt(cells));
  TM_ASSIGN_OR_RETURN(const Values values, Evaluate(*looked_at));
  errors->assign(items_.size(), {});
  for (size_t item = 0; item < items_.size(); ++item) {
    TM_RETURN_IF_ERROR(RunItem(item, values, rows.size(), out, &(*errors)[item]));
  }
  return absl::OkStatus();
}

absl::Status OverFrames::RunItem(size_t item, const Values& values, size_t rows,
                                 std::vector<std::shared_ptr<arrow::Array>>* out, std::vector<ResultError>* errors) {
  const arrow::Array* const argument = values.arguments[item].get();
  if (IsLag(items_[item])) {
    TM_ASSIGN_OR_RETURN(out->emplace_back(), TakeCells(*argument->data(), lagged_[item]));
    return absl::OkStatus();
  }
  Accumulator& accumulator = *accumulators_[item];
  accumulator.Resize(slots_ + rows);
  const std::vector<uint8_t>& counted = values.counted[item];
  const OrderColumns order{.offsets = numbers_.data()};
  for (const Step& step : steps_) {
    if (step.what == Do::kGive) {
      accumulator.Copy(step.slot, slots_ + static_cast<uint32_t>(step.at));
    } else if (!counted.empty() && !counted[static_cast<size_t>(step.at)]) {
      continue;
    } else if (step.what == Do::kAdd) {
      accumulator.Update(argument, order, {&step.at, 1}, {&step.slot, 1});
    } else {
      TM_RETURN_IF_ERROR(accumulator.Retract(argument, order, {&step.at, 1}, {&step.slot, 1}));
    }
  }
  std::vector<uint32_t> results(rows);
  std::iota(results.begin(), results.end(), slots_);
  TM_RETURN_IF_ERROR(accumulator.Result(results, out, errors));
  accumulator.Resize(slots_);
  return absl::OkStatus();
}

void OverFrames::Free(absl::Span<const uint32_t> slots) {
  for (const auto& accumulator : accumulators_) {
    for (size_t i = 0; accumulator && i < slots.size(); ++i) {
      if (slots[i] < slots_) accumulator->Clear(slots[i]);
    }
  }
}

void OverFrames::Clear() {
  slots_ = 0;
  for (const auto& accumulator : accumulators_) {
    if (accumulator) accumulator->Resize(0);
  }
}

int64_t OverFrames::MemoryBytes() const {
  int64_t bytes = 0;
  for (const auto& accumulator : accumulators_) bytes += accumulator ? accumulator->MemoryBytes() : 0;
  return bytes;
}

}  // namespace tidemark
