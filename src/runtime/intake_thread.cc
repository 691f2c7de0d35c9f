#include "src/runtime/intake_thread.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/runtime/record_limits.h"

namespace tidemark {
namespace {

constexpr int64_t kPieceBytes = 4 << 20;
constexpr int64_t kLongestPauseUs = 5 * kSecond;
// Whoever fenced this split is left alone for so long: where it is the rightful owner, somebody tells this one to stop.
constexpr int64_t kFencedPauseUs = 4 * kSecond;
constexpr int64_t kReadingUs = 20 * kSecond;

}  // namespace

IntakeThread::IntakeThread(const Runtime& runtime, const Edge& edge, Split split, SourceMaker make_source, Pause pause)
    : runtime_(runtime),
      edge_(edge),
      split_(std::move(split)),
      make_source_(std::move(make_source)),
      pause_(pause != nullptr ? std::move(pause) : [](int64_t us) { absl::SleepFor(absl::Microseconds(us)); }),
      names_{runtime.plan->application, split_.source},
      log_{names_.PositionsTopic(), split_.number} {
  Publish();
}

IntakeThread::~IntakeThread() = default;

absl::Status IntakeThread::Step(int64_t max_wait_us) {
  if (state_ == State::kFailed) {
    return absl::InternalError(absl::StrCat("source ", split_.source, ": a step after a final error"));
  }
  const absl::Status status = ActOn(Turn(max_wait_us));
  Publish();
  return status;
}

absl::Status IntakeThread::Turn(int64_t max_wait_us) {
  const int64_t pause_us = retry_at_us_ - runtime_.clock->MonotonicUs();
  if (pause_us <= 0 || state_ == State::kRunning) {
    return state_ == State::kTakingOver ? TakeOver() : Run(max_wait_us);
  }
  // What was read before the outside went away is committed while it is.
  if (state_ == State::kWaiting && reached_) return Commit();
  pause_(std::min(pause_us, max_wait_us));
  return absl::OkStatus();
}

// Rule 3.
absl::Status IntakeThread::TakeOver() {
  Drop();
  ProducerOptions options;
  options.transactional_id = names_.TransactionalId(split_.number);
  options.client_id = options.transactional_id;
  options.batch_bytes = ProducerBatchBytes(runtime_);
  options.compression[edge_.topic] = "none";  // packed rows are small
  options.written_topics = {log_.topic};
  TM_ASSIGN_OR_RETURN(producer_, runtime_.kafka->NewProducer(options));
  TM_RETURN_IF_ERROR(producer_->InitTransactions());
  transaction_.emplace(producer_.get(), runtime_.options.commit_bytes);
  const std::string& dead = runtime_.plan->dead_letter_topic;
  letters_.emplace(dead, runtime_.partitions.at(dead), split_.number, &*transaction_, DeadLetterBytes(runtime_));
  TM_ASSIGN_OR_RETURN(const std::optional<packed::IntakePosition> found, ReadPosition());
  committed_ = found.value_or(packed::IntakePosition());
  output_ = std::make_unique<EdgeOutput>(
      edge_, runtime_.partitions.at(edge_.topic), EdgeOutput::Writer{split_.source, split_.number, split_.count},
      runtime_.plan->commit_interval_us, &*transaction_, [this](RowFailure failure) {
        ++taken_refused_;
        return letters_->Row(split_.source, {edge_.topic, split_.number}, failure, runtime_.plan->sources);
      });
  output_->Restore(committed_.written());
  {
    const absl::MutexLock lock(&mutex_);
    source_ = make_source_();
    if (interrupted_) source_->Interrupt();
  }
  TM_RETURN_IF_ERROR(source_->Open(committed_.position()));
  tell_ = found.has_value();
  state_ = State::kRunning;
  return absl::OkStatus();
}

// The newest position, and that none before it is missing.
absl::StatusOr<std::optional<packed::IntakePosition>> IntakeThread::ReadPosition() {
  std::optional<packed::IntakePosition> newest;
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log_));
  if (start >= end) return newest;
  TM_ASSIGN_OR_RETURN(const auto reader, runtime_.kafka->NewConsumer({.client_id = split_.source + "-positions"}));
  TM_RETURN_IF_ERROR(reader->Assign({{log_, start}}));
  const int64_t deadline = runtime_.clock->MonotonicUs() + kReadingUs;
  for (Offset reached = start; reached < end;) {
    if (runtime_.clock->MonotonicUs() > deadline) return absl::UnavailableError("reading positions takes too long");
    const absl::StatusOr<PollResult> polled = reader->Poll(kSecond / 10, 1'000);
    // A former owner may trim what a newer position has replaced, while it is read here.
    if (absl::IsOutOfRange(polled.status())) return absl::UnavailableError(polled.status().message());
    TM_RETURN_IF_ERROR(polled.status());
    for (const std::unique_ptr<Fetch>& fetch : polled->fetches) {
      for (const RecordView& record : fetch->records()) {
        const std::string place = absl::StrCat(ToString(log_), "@", record.offset);
        const std::string_view value = record.value.value_or("");
        packed::IntakePosition position;
        if (!position.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return absl::FailedPreconditionError(place + ": not a position of an intake");
        }
        if (newest && position.number() != newest->number() + 1) {
          return absl::FailedPreconditionError(absl::StrCat(place, ": position ", position.number(),
                                                            " stands behind position ", newest->number(),
                                                            "; what lies between was lost or written twice"));
        }
        newest = std::move(position);
        position_offset_ = record.offset;
        reached = record.offset + 1;
      }
    }
    for (const auto& [partition, offset] : polled->ends) reached = std::max(reached, offset);
  }
  TM_RETURN_IF_ERROR(reader->Close(false));
  return newest;
}

absl::Status IntakeThread::Run(int64_t max_wait_us) {
  if (tell_) {
    const absl::Status told = source_->Committed(committed_.position());  // rule 4
    if (ActionFor(told) == Action::kRetry) return Await(told);
    TM_RETURN_IF_ERROR(told);
    tell_ = false;
  }
  const int64_t interval = runtime_.plan->commit_interval_us;
  const int64_t now = runtime_.clock->MonotonicUs();
  const int64_t wait = reached_ ? std::clamp<int64_t>(dirty_since_us_ + interval - now, 0, max_wait_us) : max_wait_us;
  const absl::StatusOr<std::optional<IntakeRows>> polled = source_->Poll(wait, kPieceBytes);
  if (ActionFor(polled.status()) == Action::kRetry) return Await(polled.status());
  TM_RETURN_IF_ERROR(polled.status());
  state_ = State::kRunning;
  if (*polled) TM_RETURN_IF_ERROR(Take(**polled));
  if (!reached_) {
    NoteSuccess();
    return absl::OkStatus();
  }
  const bool due = runtime_.clock->MonotonicUs() - dirty_since_us_ >= interval || transaction_->Full();
  return due ? Commit() : absl::OkStatus();
}

absl::Status IntakeThread::Take(const IntakeRows& rows) {
  if (!reached_) dirty_since_us_ = runtime_.clock->MonotonicUs();
  reached_ = IntakeRows{{}, rows.next, rows.mark};
  for (const Batch& batch : rows.batches) {
    taken_rows_ += batch->num_rows();
    const absl::Status written = output_->Write(batch);
    if (!written.ok()) return Annotate(written, "source " + split_.source);
  }
  return absl::OkStatus();
}

// Rule 2.
absl::Status IntakeThread::Commit() {
  packed::IntakePosition next = committed_;
  next.set_number(committed_.number() + 1);
  next.set_position(reached_->next);
  next.set_rows(committed_.rows() + taken_rows_);
  next.set_refused(committed_.refused() + taken_refused_);
  // Time never goes back, whatever the source says after it was opened again.
  Mark mark = reached_->mark;
  if (committed_.number() > 0) mark.watermark = std::max(mark.watermark, EventTime{committed_.watermark_us()});
  next.set_watermark_us(mark.watermark.us);
  TM_RETURN_IF_ERROR(output_->PrepareCommit(next.number(), mark, runtime_.clock->MonotonicUs()));
  next.clear_written();
  output_->Save(next.mutable_written());
  output_->SaveSchema(next.mutable_written()->mutable_standing());
  const std::string value = next.SerializeAsString();
  TM_RETURN_IF_ERROR(transaction_->Produce(log_.topic, {{log_.partition, std::nullopt, value, nullptr}}));
  TM_RETURN_IF_ERROR(producer_->Flush());
  std::string error;
  switch (producer_->Commit(&error)) {
    case CommitOutcome::kCommitted:
      break;
    case CommitOutcome::kAborted:
      return absl::AbortedError("commit: " + error);
    case CommitOutcome::kUnknown:
      return absl::UnknownError("commit: " + error);
    case CommitOutcome::kFenced:
      return absl::CancelledError("commit: " + error);
  }
  if (const auto written = producer_->Written(log_)) position_offset_ = written->first;
  transaction_->Reset();
  committed_ = std::move(next);
  reached_.reset();
  taken_rows_ = taken_refused_ = 0;
  tell_ = true;
  NoteSuccess();
  return absl::OkStatus();
}

// Take over anew after a pause, or the end: as the table of errors has it (src/base/action.h). What Kafka has refused
// once, even for being away, leaves a transaction that isn't gone on with.
absl::Status IntakeThread::ActOn(const absl::Status& status) {
  if (status.ok()) return status;
  // At once: what is undecided holds up every reader of the topic until it times out.
  const Action action = ActionFor(status);
  const bool may_abort = action != Action::kReplaceClients && action != Action::kAwaitMembership;
  if (may_abort && transaction_ && transaction_->open()) (void)producer_->Abort();
  if (!Recoverable(status)) {
    Drop();
    state_ = State::kFailed;
    return status;
  }
  NoteFailure(status);
  Drop();
  state_ = State::kTakingOver;
  return absl::OkStatus();
}

// The outside is away, and says itself that nothing of it is lost.
absl::Status IntakeThread::Await(const absl::Status& status) {
  NoteFailure(status);
  state_ = State::kWaiting;
  return absl::OkStatus();
}

void IntakeThread::NoteFailure(const absl::Status& status) {
  const int64_t now = runtime_.clock->MonotonicUs();
  ++failures_;
  const int64_t pause = std::min<int64_t>(kLongestPauseUs, 20 * kMillisecond << std::min(failures_, 10));
  const bool fenced = ActionFor(status) == Action::kAwaitMembership;
  retry_at_us_ = now + (fenced ? std::max(kFencedPauseUs, pause) : pause);
  if (failing_since_us_ == 0) failing_since_us_ = now;
  if (last_error_ != status.message()) {
    LOG(WARNING) << "source " << split_.source << " split " << split_.number << ": " << status.message()
                 << "; trying again";
  }
  last_error_ = std::string(status.message());
}

void IntakeThread::NoteSuccess() {
  failures_ = 0;
  last_error_.clear();
  failing_since_us_ = 0;
}

// Rule 5.
void IntakeThread::Drop() {
  {
    const absl::MutexLock lock(&mutex_);
    source_.reset();
  }
  output_.reset();
  letters_.reset();
  transaction_.reset();
  producer_.reset();  // its transaction ends with the next init_transactions, or its time-out
  reached_.reset();
  taken_rows_ = taken_refused_ = 0;
  tell_ = false;
}

absl::Status IntakeThread::Stop() {
  absl::Status status;
  if (state_ != State::kFailed && state_ != State::kTakingOver && reached_) status = ActOn(Commit());
  Drop();
  state_ = State::kFailed;
  return status;
}

void IntakeThread::Interrupt() {
  const absl::MutexLock lock(&mutex_);
  interrupted_ = true;
  if (source_ != nullptr) source_->Interrupt();
}

void IntakeThread::Publish() {
  const absl::MutexLock lock(&mutex_);
  status_.state = state_;
  status_.source = split_.source;
  status_.split = split_.number;
  status_.rows = committed_.rows();
  status_.refused = committed_.refused();
  status_.commits = static_cast<int64_t>(committed_.number());
  status_.last_step_us = runtime_.clock->MonotonicUs();
  status_.last_error = last_error_;
  status_.failing_since_us = failing_since_us_;
  status_.positions = log_;
  status_.trim_before = position_offset_;
}

IntakeStatus IntakeThread::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
