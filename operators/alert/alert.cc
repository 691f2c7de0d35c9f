#include "operators/alert/alert.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>

#include "operators/alert/readings.h"
#include "operators/alert/rows.h"
#include "operators/alert/watches.h"
#include "operators/late_rows.h"
#include "operators/step.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/expr/expression.h"

namespace tidemark {
namespace {

constexpr char kTimes[] = "t";
constexpr size_t kReadingsAtOnce = 1024;

using Phase = Watch::Phase;

class AlertOperator final : public Operator {
 public:
  AlertOperator(const Node& node, const AlertSpec& spec, std::optional<Expression> raise,
                std::optional<Expression> clear)
      : shape_(node),
        spec_(spec),
        raise_(std::move(raise)),
        clear_(std::move(clear)),
        keys_(RowCodec::Key(shape_.input, spec.by)),
        whole_(RowCodec::Rows(shape_.input)),
        rows_(node, spec) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return readings_ && watches_ ? readings_->MemoryBytes() + watches_->MemoryBytes() : 0;
  }

 private:
  using Truths = std::vector<Truth>;

  absl::Status Evaluate(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter);
  absl::Status EvaluateOne(const Batch& batch, const Expression& condition, const std::string& text,
                           std::vector<uint8_t>* keep, Truths* truths, Emitter& emitter);
  absl::Status Wait(const Batch& batch, const std::vector<uint8_t>& keep);
  // Judges the next readings, and fires what is due up to there. False: nothing is left before the clock.
  absl::StatusOr<bool> GoOn(Emitter& emitter);
  void Judge(const Readings::Taken& taken);
  // Whether that changes anything.
  bool JudgeAbsence(WatchedKey* key, const Reading& reading);
  bool JudgeCondition(WatchedKey* key, const Reading& reading);
  // False: the commit was full on the way.
  absl::StatusOr<bool> FireBefore(int64_t time, Emitter& emitter);
  void Fire(WatchedKey* key);
  // Where there are enough rows for a batch.
  absl::Status FlushFull(Emitter& emitter) { return rows_.full() ? rows_.Flush(ledger_, emitter) : absl::OkStatus(); }

  const StepShape shape_;
  const AlertSpec spec_;
  const std::optional<Expression> raise_, clear_;
  const RowCodec keys_, whole_;
  AlertRows rows_;
  StepLedger* ledger_ = nullptr;
  StateStore* store_ = nullptr;
  std::optional<Readings> readings_;
  std::optional<Watches> watches_;
  EventTime clock_ = kMinTime;  // readings before it are judged, what is due before it has been said
  EventTime output_watermark_ = kMinTime;
  std::string stored_times_;
  // Scratch, of a batch.
  Truths raises_, clears_;
  EncodedKeys encoded_keys_, encoded_rows_;
  std::vector<Reading> batch_;
  std::vector<Readings::Taken> taken_;
  std::vector<std::string_view> wanted_;
};

absl::Status AlertOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  store_ = context.state;
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> times, store_->Get(kTimes));
  if (times) {
    if (times->size() != 16) return absl::DataLossError("the times of an alert in the state can't be read");
    stored_times_ = *times;
    clock_ = EventTime{ReadOrdered(std::string_view(*times).substr(0, 8))};
    output_watermark_ = EventTime{ReadOrdered(std::string_view(*times).substr(8))};
  }
  readings_.emplace(store_, context.memory);
  watches_.emplace(store_, spec_, output_watermark_.us, context.memory);
  TM_RETURN_IF_ERROR(readings_->Load());
  return watches_->Load();
}

absl::Status AlertOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  ledger_->in += batch->num_rows();
  std::vector<uint8_t> keep(static_cast<size_t>(batch->num_rows()), 1);
  TM_RETURN_IF_ERROR(RefuseLate(batch, spec_.grace_us, clock_, spec_.late_topic.has_value(), &keep, ledger_, emitter));
  TM_RETURN_IF_ERROR(Evaluate(batch, &keep, emitter));
  return Wait(batch, keep);
}

absl::Status AlertOperator::Evaluate(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter) {
  // Without a condition, what one of an earlier topology has raised ends.
  raises_.assign(keep->size(), Truth::kFalse);
  if (raise_) TM_RETURN_IF_ERROR(EvaluateOne(batch, *raise_, spec_.raise, keep, &raises_, emitter));
  clears_.assign(keep->size(), Truth::kFalse);
  if (clear_) return EvaluateOne(batch, *clear_, spec_.clear, keep, &clears_, emitter);
  for (size_t i = 0; i < keep->size(); ++i) {
    if (raises_[i] == Truth::kFalse) clears_[i] = Truth::kTrue;
  }
  return absl::OkStatus();
}

absl::Status AlertOperator::EvaluateOne(const Batch& batch, const Expression& condition, const std::string& text,
                                        std::vector<uint8_t>* keep, Truths* truths, Emitter& emitter) {
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(const auto found, condition.Evaluate(*batch, &errors));
  TM_RETURN_IF_ERROR(RefuseRows(batch, shape_.input, text, errors, keep, ledger_, emitter));
  const Cells<bool> cells(*found->data());
  for (size_t i = 0; i < truths->size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    (*truths)[i] = cells.IsNull(row) ? Truth::kNull : cells[row] ? Truth::kTrue : Truth::kFalse;
  }
  return absl::OkStatus();
}

absl::Status AlertOperator::Wait(const Batch& batch, const std::vector<uint8_t>& keep) {
  TM_RETURN_IF_ERROR(keys_.Encode(*batch, &encoded_keys_));
  TM_RETURN_IF_ERROR(whole_.Encode(*batch, &encoded_rows_));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int32_t* sources = HiddenInt32(*batch, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset);
  const int8_t* ops = spec_.input_updates ? HiddenOps(*batch) : nullptr;
  batch_.clear();
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    Reading& reading = batch_.emplace_back();
    reading = {
        .time = times[i], .key = encoded_keys_[i], .row = encoded_rows_[i], .raise = raises_[i], .clear = clears_[i]};
    if (!spec_.ordered) continue;
    reading.source = sources[i];
    reading.partition = partitions[i];
    reading.offset = offsets[i];
  }
  ledger_->absorbed += static_cast<int64_t>(batch_.size());
  TM_RETURN_IF_ERROR(readings_->Fetch(batch_));
  auto reading = batch_.begin();
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    if (!IsRetraction(ops, static_cast<int64_t>(i))) {
      readings_->Add(*reading++);
    } else if (!readings_->Remove(*reading++)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "step ", shape_.name,
          ": a row is taken back that it has never got, so its alerts can't be right: it hasn't "
          "had all changes of its input from the first. To compute everything anew give the topology a new name"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<EventTime> AlertOperator::AdvanceWatermark(EventTime time, Emitter& emitter) {
  clock_ = std::max(clock_, time - spec_.grace_us);
  while (!watches_->timed()) {
    if (emitter.Full()) return output_watermark_;
    const int64_t used = watches_->UsedBytes();
    TM_RETURN_IF_ERROR(watches_->Retime());
    emitter.AddPending(watches_->UsedBytes() - used);
  }
  bool more = true;
  while (more && !emitter.Full()) {
    TM_ASSIGN_OR_RETURN(more, GoOn(emitter));
    TM_RETURN_IF_ERROR(rows_.Flush(ledger_, emitter));
  }
  const int64_t hold = more ? std::min({clock_.us, readings_->first_time(), watches_->first_due()}) : clock_.us;
  output_watermark_ = std::max(output_watermark_, EventTime{hold});
  return output_watermark_;
}

absl::StatusOr<bool> AlertOperator::GoOn(Emitter& emitter) {
  TM_ASSIGN_OR_RETURN(const int64_t known, readings_->Take(clock_.us, kReadingsAtOnce, &taken_));
  wanted_.clear();
  for (const Readings::Taken& taken : taken_) wanted_.push_back(taken.key);
  const int64_t used = watches_->UsedBytes();
  TM_RETURN_IF_ERROR(watches_->Bring(wanted_));
  const int64_t brought = watches_->UsedBytes() - used;
  for (const Readings::Taken& taken : taken_) {
    TM_ASSIGN_OR_RETURN(const bool fired, FireBefore(taken.time, emitter));
    if (!fired) return true;
    Judge(taken);
    readings_->Drop(taken);
    TM_RETURN_IF_ERROR(FlushFull(emitter));
    if (emitter.Full()) return true;
  }
  // Behind what has been done, so that every call gets on.
  emitter.AddPending(brought);
  // At the end of time nothing is due any more: reminders would never end.
  if (known == kMaxTime.us) return false;
  TM_ASSIGN_OR_RETURN(const bool fired, FireBefore(known, emitter));
  return !fired || known < clock_.us;
}

void AlertOperator::Judge(const Readings::Taken& taken) {
  Readings::VisitTruths(taken, [&](Truth raise, Truth clear) {
    const Reading reading{.time = taken.time, .key = taken.key, .row = taken.row, .raise = raise, .clear = clear};
    const bool makes = spec_.absent_us > 0 || raise == Truth::kTrue;
    WatchedKey* const key = makes ? watches_->FindOrMake(reading.key) : watches_->Find(reading.key);
    if (key == nullptr) return;
    const bool absence = JudgeAbsence(key, reading), condition = JudgeCondition(key, reading);
    if (absence || condition) watches_->Changed(key);
  });
}

bool AlertOperator::JudgeAbsence(WatchedKey* key, const Reading& reading) {
  Watch& watch = key->watches[kAbsence];
  if (watch.phase == Phase::kOpen) rows_.Add(watch, kAbsence, AlertState::kCleared, reading.time);
  if (spec_.absent_us > 0) {
    watch.phase = Phase::kPending;
    watch.start = watch.said = reading.time;
    watch.row = reading.row;
    return true;
  }
  return std::exchange(watch, Watch()).phase != Phase::kNone;
}

bool AlertOperator::JudgeCondition(WatchedKey* key, const Reading& reading) {
  Watch& watch = key->watches[kCondition];
  switch (watch.phase) {
    case Phase::kOpen:
      if (reading.clear != Truth::kTrue || reading.raise == Truth::kTrue) return false;
      rows_.Add(watch, kCondition, AlertState::kCleared, reading.time);
      watch = Watch();
      return true;
    case Phase::kPending:
      if (reading.raise == Truth::kTrue || (reading.raise == Truth::kNull && reading.clear != Truth::kTrue))
        return false;
      watch = Watch();
      return true;
    case Phase::kNone:
      if (reading.raise != Truth::kTrue) return false;
      watch.phase = Phase::kPending;
      watch.start = watch.said = reading.time;
      watch.row = reading.row;
      if (spec_.for_us > 0) return true;
      watch.phase = Phase::kOpen;
      rows_.Add(watch, kCondition, AlertState::kRaised, reading.time);
      return true;
  }
  __builtin_unreachable();
}

absl::StatusOr<bool> AlertOperator::FireBefore(int64_t time, Emitter& emitter) {
  int64_t brought = 0;
  for (;;) {
    while (WatchedKey* const due = watches_->NextDue(time)) {
      Fire(due);
      TM_RETURN_IF_ERROR(FlushFull(emitter));
      if (emitter.Full()) return false;
    }
    emitter.AddPending(brought);  // which has been dealt with
    if (watches_->first_due() >= time) return true;
    if (emitter.Full()) return false;
    const int64_t used = watches_->UsedBytes();
    TM_RETURN_IF_ERROR(watches_->BringDue(time));
    brought = watches_->UsedBytes() - used;
  }
}

// What is due of a key at the earliest time at which anything is.
void AlertOperator::Fire(WatchedKey* key) {
  const int64_t at = watches_->DueOf(*key);
  const bool forgotten = watches_->ForgetAt(*key) == at;
  for (const WatchKind kind : {kCondition, kAbsence}) {
    Watch& watch = key->watches[kind];
    if (watches_->DueOf(*key, kind) == at) {
      rows_.Add(watch, kind, watch.phase == Phase::kPending ? AlertState::kRaised : AlertState::kReminded, at);
      watch.phase = Phase::kOpen;
      watch.said = at;
    }
  }
  for (const WatchKind kind : {kCondition, kAbsence}) {
    if (!forgotten) break;
    if (key->watches[kind].phase == Phase::kOpen) rows_.Add(key->watches[kind], kind, AlertState::kForgotten, at);
    key->watches[kind] = Watch();
  }
  watches_->Changed(key);
}

absl::Status AlertOperator::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  std::string times;
  AppendOrdered(clock_.us, &times);
  AppendOrdered(output_watermark_.us, &times);
  if (times != stored_times_) {
    stored_times_ = std::move(times);
    store_->Put(kTimes, stored_times_);
  }
  TM_RETURN_IF_ERROR(readings_->Commit(commit));
  return watches_->Commit(commit);
}

absl::StatusOr<std::optional<Expression>> Condition(const Node& node, const std::string& sql) {
  if (sql.empty()) return std::nullopt;
  TM_ASSIGN_OR_RETURN(Expression condition, Expression::Compile(sql, node.in().schema));
  if (condition.type().kind == Kind::kBool) return condition;
  return absl::InvalidArgumentError(
      absl::StrCat("alert of step ", node.step, ": expected a bool expression, found ", TypeName(condition.type())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeAlert(const Node& node, const AlertSpec& spec) {
  TM_ASSIGN_OR_RETURN(std::optional<Expression> raise, Condition(node, spec.raise));
  TM_ASSIGN_OR_RETURN(std::optional<Expression> clear, Condition(node, spec.clear));
  return std::make_unique<AlertOperator>(node, spec, std::move(raise), std::move(clear));
}

}  // namespace tidemark
