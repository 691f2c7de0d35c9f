#include "operators/over/over.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>

#include "operators/late_rows.h"
#include "operators/over/frames.h"
#include "operators/over/history.h"
#include "operators/step.h"
#include "operators/waiting_rows.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 4096;
constexpr char kTimes[] = "t";

class OverOperator final : public Operator {
 public:
  OverOperator(const Node& node, const OverSpec& spec, OverFrames frames)
      : shape_(node),
        spec_(spec),
        keys_(RowCodec::Key(shape_.input, spec.by)),
        whole_(RowCodec::Rows(shape_.input)),
        frames_(std::move(frames)) {
    read_.assign(frames_.columns().begin(), frames_.columns().end());
  }

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return waiting_->MemoryBytes() + history_->MemoryBytes() + frames_.MemoryBytes();
  }

 private:
  absl::Status RefuseFailing(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter);
  absl::Status Wait(const Batch& batch, const std::vector<uint8_t>& keep);
  absl::Status Give(std::vector<WaitingRows::Taken> rows, Emitter& emitter);
  absl::Status Look(const std::vector<WaitingRows::Taken>& rows, const arrow::RecordBatch& batch,
                    std::vector<std::shared_ptr<arrow::Array>>* columns, std::vector<std::vector<ResultError>>* errors);
  absl::Status Emit(Batch results, const std::vector<std::vector<ResultError>>& errors, Emitter& emitter);
  absl::StatusOr<Batch> ReadColumns(const arrow::RecordBatch& batch) const {
    return FromArrow(batch.SelectColumns(read_), "the columns of aggregates");
  }

  const StepShape shape_;
  const OverSpec spec_;
  const RowCodec keys_, whole_;
  OverFrames frames_;
  std::vector<int> read_;
  StepLedger* ledger_ = nullptr;
  StateStore* store_ = nullptr;
  std::optional<WaitingRows> waiting_;
  std::optional<History> history_;
  EventTime clock_ = kMinTime;  // rows before it have gone out
  EventTime output_watermark_ = kMinTime;
  std::string stored_times_;
  EncodedKeys encoded_;  // scratch, of a batch
};

// State "t": the clock and the output's watermark, ordered, the number of the next waiting row and how many wait; 8
// bytes each.
absl::Status OverOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  store_ = context.state;
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> times, store_->Get(kTimes));
  uint64_t next_number = 0;
  int64_t count = 0;
  if (times) {
    if (times->size() != 32) return absl::DataLossError("the times of `over` in the state can't be read");
    const std::string_view bytes = stored_times_ = *times;
    clock_ = EventTime{ReadOrdered(bytes.substr(0, 8))};
    output_watermark_ = EventTime{ReadOrdered(bytes.substr(8, 8))};
    next_number = ReadBigEndian(bytes.substr(16, 8));
    count = static_cast<int64_t>(ReadBigEndian(bytes.substr(24, 8)));
  }
  waiting_.emplace(store_, context.memory);
  TM_RETURN_IF_ERROR(waiting_->Load(next_number, count, output_watermark_));
  history_.emplace(store_, "h", context.memory, spec_.range_us, frames_.kept_rows());
  return history_->Load();
}

absl::Status OverOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  ledger_->in += batch->num_rows();
  std::vector<uint8_t> keep(static_cast<size_t>(batch->num_rows()), 1);
  TM_RETURN_IF_ERROR(RefuseLate(batch, spec_.grace_us, clock_, spec_.late_topic.has_value(), &keep, ledger_, emitter));
  TM_RETURN_IF_ERROR(RefuseFailing(batch, &keep, emitter));
  return Wait(batch, keep);
}

absl::Status OverOperator::RefuseFailing(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter) {
  TM_ASSIGN_OR_RETURN(const Batch read, ReadColumns(*batch));
  TM_ASSIGN_OR_RETURN(const auto failures, frames_.Failures(*read));
  for (size_t i = 0; i < failures.size(); ++i) {
    TM_RETURN_IF_ERROR(RefuseRows(batch, shape_.input, spec_.items[i].expression, failures[i], keep, ledger_, emitter));
  }
  return absl::OkStatus();
}

absl::Status OverOperator::Wait(const Batch& batch, const std::vector<uint8_t>& keep) {
  TM_RETURN_IF_ERROR(whole_.Encode(*batch, &encoded_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int32_t* sources = HiddenInt32(*batch, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset);
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    ++ledger_->passed;
    WaitingRows::Row row{.reached = times[i], .time = times[i]};
    if (spec_.ordered) {
      row.source = sources[i];
      row.partition = partitions[i];
      row.offset = offsets[i];
    }
    waiting_->Add(EventTime{times[i]}, row, encoded_[i]);
  }
  return absl::OkStatus();
}

absl::StatusOr<EventTime> OverOperator::AdvanceWatermark(EventTime time, Emitter& emitter) {
  clock_ = std::max(clock_, time - spec_.grace_us);
  while (waiting_->first() < clock_ && !emitter.Full()) {
    std::vector<WaitingRows::Taken> rows;
    TM_RETURN_IF_ERROR(waiting_->Take(clock_, kEmitRows, &rows));
    TM_RETURN_IF_ERROR(Give(std::move(rows), emitter));
  }
  // Before the rows that are still to come.
  output_watermark_ = std::max(output_watermark_, std::min(clock_, waiting_->first()) - 1);
  return output_watermark_;
}

// All rows of a time come together, so each sees the others.
absl::Status OverOperator::Give(std::vector<WaitingRows::Taken> rows, Emitter& emitter) {
  std::sort(rows.begin(), rows.end(), [](const WaitingRows::Taken& a, const WaitingRows::Taken& b) {
    return std::tie(a.as_of, a.row.source, a.row.partition, a.row.offset, a.bytes) <
           std::tie(b.as_of, b.row.source, b.row.partition, b.row.offset, b.bytes);
  });
  std::vector<std::string_view> bytes;
  HiddenValues hidden;
  for (const WaitingRows::Taken& row : rows) {
    bytes.push_back(row.bytes);
    hidden.times.push_back(row.as_of);
    if (!spec_.ordered) continue;
    hidden.sources.push_back(row.row.source);
    hidden.partitions.push_back(row.row.partition);
    hidden.offsets.push_back(row.row.offset);
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(whole_.Decode(bytes, &columns));
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (size_t c = 0; c < shape_.input.size(); ++c) fields.push_back(ColumnField(shape_.input[c]));
  const auto batch = arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(rows.size()), columns);
  std::vector<std::vector<ResultError>> errors;
  TM_RETURN_IF_ERROR(Look(rows, *batch, &columns, &errors));
  TM_RETURN_IF_ERROR(Emit(MakeBatch(shape_, std::move(columns), hidden), errors, emitter));
  waiting_->Drop(rows);
  return absl::OkStatus();
}

// Adds the items' columns.
absl::Status OverOperator::Look(const std::vector<WaitingRows::Taken>& rows, const arrow::RecordBatch& batch,
                                std::vector<std::shared_ptr<arrow::Array>>* columns,
                                std::vector<std::vector<ResultError>>* errors) {
  EncodedKeys keys;
  TM_RETURN_IF_ERROR(keys_.Encode(batch, &keys));
  TM_ASSIGN_OR_RETURN(const Batch read_columns, ReadColumns(batch));
  std::vector<std::string_view> all;
  std::vector<int64_t> times;
  for (size_t i = 0; i < rows.size(); ++i) {
    all.push_back(keys[i]);
    times.push_back(rows[i].as_of);
  }
  std::vector<KeptKey*> found, read;
  TM_RETURN_IF_ERROR(history_->Find(all, times, &found, &read));
  std::vector<OverFrames::Row> looked_at;
  for (size_t i = 0; i < rows.size(); ++i) looked_at.push_back({found[i], rows[i].as_of});
  return frames_.Run(looked_at, read_columns, read, &*history_, columns, errors);
}

absl::Status OverOperator::Emit(Batch results, const std::vector<std::vector<ResultError>>& errors, Emitter& emitter) {
  std::vector<uint8_t> keep(static_cast<size_t>(results->num_rows()), 1);
  bool failed = false;
  for (size_t i = 0; i < errors.size(); ++i) {
    for (const ResultError& error : errors[i]) {
      if (!std::exchange(keep[error.position], 0)) continue;
      failed = true;
      TM_RETURN_IF_ERROR(emitter.DeadLetter({results,
                                             static_cast<int64_t>(error.position),
                                             &shape_.output,
                                             spec_.items[i].expression,
                                             error.reason,
                                             {}}));
    }
  }
  if (failed) results = Selection(keep, nullptr).Apply(results);
  ledger_->out += results->num_rows();
  return emitter.Emit(std::move(results));
}

absl::Status OverOperator::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  std::string times;
  AppendOrdered(clock_.us, &times);
  AppendOrdered(output_watermark_.us, &times);
  AppendBigEndian(waiting_->next_number(), 8, &times);
  AppendBigEndian(static_cast<uint64_t>(waiting_->count()), 8, &times);
  if (times != stored_times_) {
    stored_times_ = std::move(times);
    store_->Put(kTimes, stored_times_);
  }
  TM_RETURN_IF_ERROR(waiting_->Commit(commit));
  const EventTime first = std::min(clock_, waiting_->first());
  if (first != kMinTime) TM_RETURN_IF_ERROR(history_->Forget(first - spec_.range_us));
  TM_RETURN_IF_ERROR(history_->Commit(commit));
  frames_.Free(history_->TakeFreed());
  if (history_->Shrink(frames_.MemoryBytes())) frames_.Clear();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeOver(const Node& node, const OverSpec& spec) {
  TM_ASSIGN_OR_RETURN(OverFrames frames, OverFrames::Make(spec, node.in().schema));
  return std::make_unique<OverOperator>(node, spec, std::move(frames));
}

}  // namespace tidemark
