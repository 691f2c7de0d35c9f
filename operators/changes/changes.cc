#include "operators/changes/changes.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>
#include <arrow/array/array_primitive.h>
#include <arrow/type_traits.h>

#include "operators/changes/sweep.h"
#include "operators/step.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/debezium/change.h"
#include "src/codec/row_codec.h"
#include "state/keyed_rows.h"

namespace tidemark {
namespace {

constexpr char kRows[] = "k";
constexpr char kSweep[] = "s";
constexpr size_t kSweptAtOnce = 1000;
constexpr char kUnknownValues[] =
    "the record leaves out values that haven't changed (TOAST), and no earlier row of the key is known: ALTER TABLE "
    "... "
    "REPLICA IDENTITY FULL, then they come with every change";

absl::Status Damaged() { return absl::DataLossError("a row of a changing table in the state can't be read"); }

// What is kept of a key. Views into state, or into the batch.
struct Kept {
  int64_t time = 0;  // event time
  Change change;
  std::string_view row;
};

void WriteKept(const Kept& kept, std::string* out) {
  out->clear();
  AppendOrdered(kept.time, out);
  AppendChange(kept.change, out);
  out->append(kept.row);
}

bool ReadKept(std::string_view stored, Kept* kept) {
  if (stored.size() < 8) return false;
  kept->time = ReadOrdered(stored.substr(0, 8));
  stored.remove_prefix(8);
  if (!TakeChange(&stored, &kept->change)) return false;
  kept->row = stored;
  return true;
}

template <typename T>
std::shared_ptr<arrow::Array> ArrayOf(std::vector<T> values) {
  const auto n = static_cast<int64_t>(values.size());
  return std::make_shared<arrow::NumericArray<typename arrow::CTypeTraits<T>::ArrowType>>(
      n, arrow::Buffer::FromVector(std::move(values)));
}

class Changes final : public Operator {
 public:
  Changes(const Node& node, const ChangesSpec& spec)
      : shape_(node),
        change_column_(static_cast<int>(node.output.size())),
        key_codec_(RowCodec::Key(node.output, spec.key)),
        row_codec_(RowCodec::Rows(node.output)),
        is_value_(node.output.size()) {
    for (const size_t c : spec.values) is_value_[c] = true;
    all_values_ = spec.values.size() == node.output.size();
  }

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override { return rows_ ? rows_->MemoryBytes() : 0; }

 private:
  // Rows that go out, and the rows of the batch that they are told by.
  struct Out {
    std::string bytes;                            // of all rows
    std::vector<std::pair<size_t, size_t>> rows;  // where each stands in it, and its size
    std::vector<int8_t> ops;
    std::vector<int64_t> times;
    std::vector<int32_t> from;

    void Add(Op op, std::string_view row, int64_t time, int64_t at) {
      rows.emplace_back(bytes.size(), row.size());
      bytes.append(row);
      ops.push_back(static_cast<int8_t>(op));
      times.push_back(time);
      from.push_back(static_cast<int32_t>(at));
    }
  };

  absl::Status EmitOut(const arrow::RecordBatch& batch, Out* out, Emitter& emitter);
  static std::vector<int64_t> WatermarksOf(const Out& out, const arrow::RecordBatch& batch);
  absl::Status BeginSweep(const Change& mark, const arrow::RecordBatch& batch, int64_t at, Emitter& emitter);
  // As far as the commit under way takes it.
  absl::Status GoOnSweeping(Emitter& emitter);
  absl::Status SweepSome(Emitter& emitter);
  void SweepRow(std::string_view key, const Kept& kept);
  absl::Status EmitSwept(Emitter& emitter);
  absl::StatusOr<std::optional<Kept>> KeptOf(std::string_view key);
  void Delete(std::string_view key, const std::optional<Kept>& kept, int64_t at, Out* out);
  absl::Status Upsert(std::string_view key, const std::optional<Kept>& kept, Kept now, const Batch& batch, int64_t at,
                      Out* out, Emitter& emitter);
  // The row with the values that the record left out, from the row that is kept.
  absl::Status FillIn(const Change& change, std::string_view kept, std::string_view row);
  absl::StatusOr<bool> SameValues(std::string_view a, std::string_view b);
  // The column of a hidden one that says where rows stand.
  using PlaceColumn = absl::FunctionRef<absl::StatusOr<std::shared_ptr<arrow::Array>>(Hidden)>;
  absl::StatusOr<Batch> MakeOutput(const Out& out, PlaceColumn place) const;

  const StepShape shape_;
  const int change_column_;
  const RowCodec key_codec_, row_codec_;
  std::vector<bool> is_value_;
  bool all_values_ = false;
  StepLedger* ledger_ = nullptr;
  StateStore* store_ = nullptr;
  std::unique_ptr<KeyedRows> rows_;
  std::optional<Sweep> sweep_;
  bool sweep_kept_ = false;  // the state has one
  EventTime let_through_ = kMinTime;
  Out swept_;  // to be emitted next, each by its end of the sweep
  // Scratch.
  EncodedKeys keys_, encoded_;
  std::vector<std::string_view> cells_, other_cells_;
  std::string filled_, stored_;
};

absl::Status Changes::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  store_ = context.state;
  rows_ = std::make_unique<KeyedRows>(context.state, kRows, context.memory);
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> sweep, store_->Get(kSweep));
  sweep_kept_ = sweep.has_value();
  if (sweep && !sweep_.emplace().Read(*sweep)) return Damaged();
  return rows_->Load();
}

absl::Status Changes::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  TM_RETURN_IF_ERROR(key_codec_.Encode(*batch, &keys_));
  TM_RETURN_IF_ERROR(row_codec_.Encode(*batch, &encoded_));
  if (!rows_->all_in_memory()) {
    std::vector<std::string_view> keys;
    for (int64_t i = 0; i < n; ++i) keys.push_back(keys_[i]);
    TM_RETURN_IF_ERROR(rows_->Fetch(keys));
  }
  const Cells<std::string_view> changes(*batch->column_data(change_column_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  Out out;
  for (int64_t i = 0; i < n; ++i) {
    Kept now{times[i], {}, encoded_[i]};
    std::string_view bytes = changes[i];
    if (!TakeChange(&bytes, &now.change)) return absl::InternalError("a change that can't be read");
    if (now.change.ends_transaction) {
      ++ledger_->absorbed;
      continue;
    }
    if (now.change.ends_resnapshot) {
      ++ledger_->absorbed;
      TM_RETURN_IF_ERROR(EmitSwept(emitter));
      TM_RETURN_IF_ERROR(EmitOut(*batch, &out, emitter));
      TM_RETURN_IF_ERROR(BeginSweep(now.change, *batch, i, emitter));
      continue;
    }
    TM_ASSIGN_OR_RETURN(const std::optional<Kept> kept, KeptOf(keys_[i]));
    if (kept && now.change.IsBefore(kept->change)) {
      ++ledger_->duplicate;
    } else if (now.change.deletes) {
      Delete(keys_[i], kept, i, &out);
    } else {
      TM_RETURN_IF_ERROR(Upsert(keys_[i], kept, now, batch, i, &out, emitter));
    }
  }
  TM_RETURN_IF_ERROR(EmitSwept(emitter));
  return EmitOut(*batch, &out, emitter);
}

absl::Status Changes::EmitOut(const arrow::RecordBatch& batch, Out* out, Emitter& emitter) {
  const Out rows = std::exchange(*out, {});
  ledger_->out += static_cast<int64_t>(rows.rows.size());
  if (rows.rows.empty()) return absl::OkStatus();
  const auto place = [&](Hidden hidden) -> absl::StatusOr<std::shared_ptr<arrow::Array>> {
    if (hidden == Hidden::kWatermark) return ArrayOf(WatermarksOf(rows, batch));
    return TakeCells(*batch.column_data(HiddenIndex(shape_.input, shape_.input_hidden, hidden)), rows.from);
  };
  TM_ASSIGN_OR_RETURN(Batch made, MakeOutput(rows, place));
  return emitter.Emit(std::move(made));
}

std::vector<int64_t> Changes::WatermarksOf(const Out& out, const arrow::RecordBatch& batch) {
  const int64_t* watermarks = HiddenInt64(batch, Hidden::kWatermark);
  const int64_t* times = HiddenInt64(batch, Hidden::kTime);
  std::vector<int64_t> values;
  values.reserve(out.rows.size());
  for (size_t i = 0; i < out.rows.size(); ++i) {
    const auto from = out.from[i];
    const bool takes_back = IsRetraction(out.ops.data(), static_cast<int64_t>(i));
    values.push_back(takes_back ? std::max(watermarks[from], times[from]) : watermarks[from]);
  }
  return values;
}

absl::StatusOr<EventTime> Changes::AdvanceWatermark(EventTime time, Emitter& emitter) {
  TM_RETURN_IF_ERROR(GoOnSweeping(emitter));
  if (!sweep_) let_through_ = std::max(let_through_, time);
  return let_through_;
}

absl::Status Changes::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  if (sweep_) {
    sweep_->Write(&stored_);
    store_->Put(kSweep, stored_);
  } else if (sweep_kept_) {
    store_->Delete(kSweep);
  }
  sweep_kept_ = sweep_.has_value();
  return rows_->Commit(commit);
}

// The row of a key that was fetched. One that the sweep hasn't come to yet is gone.
absl::StatusOr<std::optional<Kept>> Changes::KeptOf(std::string_view key) {
  std::optional<Kept> kept;
  const auto stored = rows_->Get(key);
  if (!stored) return kept;
  if (!ReadKept(*stored, &kept.emplace())) return Damaged();
  if (!sweep_ || !sweep_->Takes(kept->change.resnapshot)) return kept;
  SweepRow(key, *kept);
  return std::nullopt;
}

// What is left of a sweep under way goes on with this one: rows that were walked past may go now.
absl::Status Changes::BeginSweep(const Change& mark, const arrow::RecordBatch& batch, int64_t at, Emitter& emitter) {
  if (sweep_ && mark.resnapshot <= sweep_->ends.back().number) return GoOnSweeping(emitter);
  if (!sweep_) sweep_.emplace();
  sweep_->walk = {};
  Sweep::End& end = sweep_->ends.emplace_back();
  end.number = mark.resnapshot;
  const auto value = [&](const auto* column) { return column == nullptr ? int64_t{0} : int64_t{column[at]}; };
  end.watermark = std::max(value(HiddenInt64(batch, Hidden::kWatermark)), value(HiddenInt64(batch, Hidden::kTime)));
  end.source = value(HiddenInt32(batch, Hidden::kSource));
  end.partition = value(HiddenInt32(batch, Hidden::kPartition));
  end.offset = value(HiddenInt64(batch, Hidden::kOffset));
  return GoOnSweeping(emitter);
}

absl::Status Changes::GoOnSweeping(Emitter& emitter) {
  while (sweep_ && !emitter.Full()) TM_RETURN_IF_ERROR(SweepSome(emitter));
  return EmitSwept(emitter);
}

// What is only looked at counts for the commit too, which is to be no longer than others.
absl::Status Changes::SweepSome(Emitter& emitter) {
  std::vector<std::string> gone;
  bool damaged = false;
  int64_t bytes = 0;
  TM_ASSIGN_OR_RETURN(const bool done, rows_->GoOn(&sweep_->walk, kSweptAtOnce, [&](auto key, auto row) {
    Kept kept;
    damaged = damaged || !ReadKept(row, &kept);
    bytes += static_cast<int64_t>(key.size() + row.size());
    if (sweep_->Takes(kept.change.resnapshot)) gone.emplace_back(key);
  }));
  if (damaged) return Damaged();
  TM_RETURN_IF_ERROR(rows_->Fetch(std::vector<std::string_view>(gone.begin(), gone.end())));
  for (const std::string& key : gone) TM_RETURN_IF_ERROR(KeptOf(key).status());
  emitter.AddPending(bytes);
  TM_RETURN_IF_ERROR(EmitSwept(emitter));
  if (done) sweep_.reset();
  return absl::OkStatus();
}

void Changes::SweepRow(std::string_view key, const Kept& kept) {
  swept_.Add(Op::kDelete, kept.row, kept.time, static_cast<int64_t>(sweep_->EndOf(kept.change.resnapshot)));
  rows_->Delete(key);
}

// Hidden columns but for times and operations are those of the snapshot's end.
absl::Status Changes::EmitSwept(Emitter& emitter) {
  const Out rows = std::exchange(swept_, {});
  const size_t n = rows.rows.size();
  if (n == 0) return absl::OkStatus();
  ledger_->out += static_cast<int64_t>(n);
  const auto place = [&](Hidden hidden) -> absl::StatusOr<std::shared_ptr<arrow::Array>> {
    const auto member = hidden == Hidden::kWatermark ? &Sweep::End::watermark
                        : hidden == Hidden::kSource  ? &Sweep::End::source
                        : hidden == Hidden::kOffset  ? &Sweep::End::offset
                                                     : &Sweep::End::partition;
    std::vector<int64_t> values;
    values.reserve(n);
    for (const int32_t end : rows.from) values.push_back(sweep_->ends[static_cast<size_t>(end)].*member);
    if (hidden == Hidden::kWatermark || hidden == Hidden::kOffset) return ArrayOf(std::move(values));
    return ArrayOf(std::vector<int32_t>(values.begin(), values.end()));
  };
  TM_ASSIGN_OR_RETURN(Batch made, MakeOutput(rows, place));
  return emitter.Emit(std::move(made));
}

void Changes::Delete(std::string_view key, const std::optional<Kept>& kept, int64_t at, Out* out) {
  if (!kept) {
    ++ledger_->duplicate;
    return;
  }
  ++ledger_->passed;
  out->Add(Op::kDelete, kept->row, kept->time, at);
  rows_->Delete(key);
}

absl::Status Changes::Upsert(std::string_view key, const std::optional<Kept>& kept, Kept now, const Batch& batch,
                             int64_t at, Out* out, Emitter& emitter) {
  if (!now.change.unchanged.empty()) {
    if (!kept && now.change.overtaken) {
      ++ledger_->duplicate;
      return absl::OkStatus();
    }
    if (!kept) {
      ++ledger_->dead_lettered;
      const Batch columns = batch->RemoveColumn(change_column_).ValueOrDie();
      return emitter.DeadLetter({columns, at, &shape_.output, "", kUnknownValues});
    }
    TM_RETURN_IF_ERROR(FillIn(now.change, kept->row, now.row));
    now.row = filled_;
    now.change.unchanged = {};
  }
  if (kept) {
    TM_ASSIGN_OR_RETURN(const bool same, SameValues(kept->row, now.row));
    if (same) {
      ++ledger_->duplicate;
      if (now.change.resnapshot != kept->change.resnapshot) {
        WriteKept({kept->time, now.change, kept->row}, &stored_);
        rows_->Put(key, stored_);
      }
      return absl::OkStatus();
    }
    out->Add(Op::kUpdateBefore, kept->row, kept->time, at);
  }
  ++ledger_->passed;
  out->Add(kept ? Op::kUpdateAfter : Op::kInsert, now.row, now.time, at);
  WriteKept(now, &stored_);
  rows_->Put(key, stored_);
  return absl::OkStatus();
}

absl::Status Changes::FillIn(const Change& change, std::string_view kept, std::string_view row) {
  if (!row_codec_.Split(row, &cells_) || !row_codec_.Split(kept, &other_cells_)) return Damaged();
  filled_.clear();
  for (size_t c = 0; c < cells_.size(); ++c) filled_.append(change.IsUnchanged(c) ? other_cells_[c] : cells_[c]);
  return absl::OkStatus();
}

absl::StatusOr<bool> Changes::SameValues(std::string_view a, std::string_view b) {
  if (a == b) return true;
  if (all_values_) return false;
  if (!row_codec_.Split(a, &cells_) || !row_codec_.Split(b, &other_cells_)) return Damaged();
  for (size_t c = 0; c < cells_.size(); ++c) {
    if (is_value_[c] && cells_[c] != other_cells_[c]) return false;
  }
  return true;
}

absl::StatusOr<Batch> Changes::MakeOutput(const Out& out, PlaceColumn place) const {
  std::vector<std::string_view> rows;
  for (const auto& [at, size] : out.rows) rows.push_back(std::string_view(out.bytes).substr(at, size));
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(row_codec_.Decode(rows, &columns));
  for (int h = 0; h < kHiddenCount; ++h) {
    const auto hidden = static_cast<Hidden>(h);
    if (!shape_.hidden.Has(hidden)) continue;
    if (hidden == Hidden::kTime) {
      columns.push_back(ArrayOf(out.times));
    } else if (hidden == Hidden::kOp) {
      columns.push_back(ArrayOf(out.ops));
    } else {
      TM_ASSIGN_OR_RETURN(auto column, place(hidden));
      columns.push_back(std::move(column));
    }
  }
  return arrow::RecordBatch::Make(shape_.batch_schema, static_cast<int64_t>(rows.size()), std::move(columns));
}

}  // namespace

std::unique_ptr<Operator> MakeChanges(const Node& node, const ChangesSpec& spec) {
  return std::make_unique<Changes>(node, spec);
}

}  // namespace tidemark
