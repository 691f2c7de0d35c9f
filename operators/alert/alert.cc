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
  int64_t MemoryBytes() const override { return readings_->MemoryBytes() + watches_->MemoryBytes(); }

 private:
  using Truths = std::vector<Truth>;

  absl::Status Evaluate(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter);
  absl::Status EvaluateOne(const Batch& batch, const Expression& condition, const std::string& text,
                           std::vector<uint8_t>* keep, Truths* truths, Emitter& emitter);
  absl::Status Wait(const Batch& batch, const std::vector<uint8_t>& keep);
  void Judge(const Reading& reading);
  // Whether that changes anything.
  bool JudgeAbsence(WatchedKey* key, const Reading& reading);
  bool JudgeCondition(WatchedKey* key, const Reading& reading);
  void Fire(WatchedKey* key);
  int64_t NextTime() const { return readings_->empty() ? Watches::kNever : readings_->first().time; }

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
  readings_.emplace(store_, "r");
  watches_.emplace(store_, "k", spec_, output_watermark_.us);
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
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    ++ledger_->absorbed;
    Reading reading{.time = times[i], .raise = raises_[i], .clear = clears_[i]};
    reading.key_size = encoded_keys_[i].size();
    reading.bytes.reserve(reading.key_size + encoded_rows_[i].size());
    reading.bytes.append(encoded_keys_[i]).append(encoded_rows_[i]);
    if (spec_.ordered) {
      reading.source = sources[i];
      reading.partition = partitions[i];
      reading.offset = offsets[i];
    }
    if (!IsRetraction(ops, static_cast<int64_t>(i))) {
      readings_->Add(std::move(reading));
    } else if (!readings_->Remove(reading)) {
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
  bool more = true;
  while (more && !emitter.Full()) {
    while (more && !rows_.full()) {
      const int64_t next = NextTime(), until = std::min(next, clock_.us);
      // At the end of time nothing is due any more: reminders would never end.
      WatchedKey* const due = until == kMaxTime.us ? nullptr : watches_->NextDue(until);
      if (due != nullptr) {
        Fire(due);
      } else if (next < clock_.us) {
        Judge(readings_->first());
        readings_->RemoveFirst();
      } else {
        more = false;
      }
    }
    TM_RETURN_IF_ERROR(rows_.Flush(ledger_, emitter));
  }
  EventTime hold = clock_;
  if (more) {
    hold = std::min(hold, EventTime{NextTime()});
    if (const WatchedKey* const due = watches_->NextDue(hold.us)) hold = EventTime{due->due};
  }
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

void AlertOperator::Judge(const Reading& reading) {
  const bool makes = spec_.absent_us > 0 || reading.raise == Truth::kTrue;
  WatchedKey* const key = makes ? watches_->FindOrMake(reading.key()) : watches_->Find(reading.key());
  if (key == nullptr) return;
  const bool absence = JudgeAbsence(key, reading), condition = JudgeCondition(key, reading);
  if (absence || condition) watches_->Changed(key);
}

bool AlertOperator::JudgeAbsence(WatchedKey* key, const Reading& reading) {
  Watch& watch = key->watches[kAbsence];
  if (watch.phase == Phase::kOpen) rows_.Add(watch, kAbsence, AlertState::kCleared, reading.time);
  if (spec_.absent_us > 0) {
    watch.phase = Phase::kPending;
    watch.start = watch.said = reading.time;
    watch.row = reading.row();
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
      watch.row = reading.row();
      if (spec_.for_us > 0) return true;
      watch.phase = Phase::kOpen;
      rows_.Add(watch, kCondition, AlertState::kRaised, reading.time);
      return true;
  }
  __builtin_unreachable();
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
