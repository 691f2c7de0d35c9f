#include "src/runtime/split_intake.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/runtime/log_range.h"

namespace tidemark {
namespace {

// Of what a commit takes at most, so much is asked of the outside at once.
constexpr int64_t kPieces = 8;
constexpr int64_t kLongestPauseUs = 5 * kSecond;
// Whoever fenced this split is left alone for so long: where it is the rightful owner, the group says so meanwhile.
constexpr int64_t kFencedPauseUs = 4 * kSecond;
// A position is one record and a marker; behind the newest there may be transactions that were aborted.
constexpr Offset kFirstLook = 16;

}  // namespace

SplitIntake::SplitIntake(const Runtime& runtime, Split split, SourceMaker make_source, Pause pause)
    : runtime_(runtime),
      split_(std::move(split)),
      make_source_(std::move(make_source)),
      pause_(pause != nullptr ? std::move(pause) : [](int64_t us) { absl::SleepFor(absl::Microseconds(us)); }),
      names_{runtime.plan->application, split_.source},
      topic_(names_.Topic()),
      log_{names_.PositionsTopic(), split_.number} {
  Publish();
}

SplitIntake::~SplitIntake() = default;

absl::Status SplitIntake::Step(int64_t max_wait_us) {
  if (state_ == State::kFailed) {
    return absl::InternalError(absl::StrCat("source ", split_.source, ": a step after a final error"));
  }
  const absl::Status status = ActOn(Turn(max_wait_us));
  Publish();
  return status;
}

absl::Status SplitIntake::Turn(int64_t max_wait_us) {
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
absl::Status SplitIntake::TakeOver() {
  Drop();
  limits_version_ = LimitsVersion(runtime_);
  ProducerOptions options;
  options.transactional_id = names_.TransactionalId(split_.number);
  options.client_id = options.transactional_id;
  options.batch_bytes = ProducerBatchBytes(runtime_);
  options.written_topics = {log_.topic};
  options.give_up = runtime_.GiveUpAtStop();
  TM_ASSIGN_OR_RETURN(producer_, runtime_.kafka->NewProducer(options));
  TM_RETURN_IF_ERROR(producer_->InitTransactions());
  transaction_.emplace(producer_.get(), runtime_.options.commit_bytes);
  const std::string& dead = runtime_.plan->dead_letter_topic;
  letters_.emplace(dead, runtime_.partitions.at(dead), split_.number, &*transaction_, DeadLetterBytes(runtime_));
  limit_ = runtime_.limits == nullptr ? RecordLimit() : runtime_.limits->Of(topic_);
  TM_ASSIGN_OR_RETURN(const std::optional<packed::IntakePosition> found, ReadPosition());
  TM_ASSIGN_OR_RETURN(IntakeNotes notes, ReadNotes());
  TM_ASSIGN_OR_RETURN(const auto topics, runtime_.kafka->admin().Describe({topic_}));
  const auto topic = topics.find(topic_);
  if (topic == topics.end()) return absl::UnavailableError(absl::StrCat("topic ", topic_, " isn't there"));
  {
    const absl::MutexLock lock(&mutex_);
    source_ = make_source_(split_.number);
    if (interrupted_) source_->Interrupt();
  }
  TM_RETURN_IF_ERROR(CheckPosition(found, source_->Of(), topic->second.id));
  committed_ = found.value_or(packed::IntakePosition());
  committed_.set_of(source_->Of());
  committed_.set_splits(split_.count);
  committed_.set_topic_id(topic->second.id);
  committed_.mutable_written()->Resize(runtime_.partitions.at(topic_), 0);
  next_ = committed_;
  TM_RETURN_IF_ERROR(Confirm(source_->Open(committed_.position(), std::move(notes))));
  tell_ = found.has_value();
  state_ = State::kRunning;
  return absl::OkStatus();
}

// The newest position. Looked for from the end of its log, however long that is.
absl::StatusOr<std::optional<packed::IntakePosition>> SplitIntake::ReadPosition() {
  std::optional<packed::IntakePosition> newest;
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log_));
  for (Offset look = kFirstLook; !newest; look *= 16) {
    const Offset from = std::max(start, end - look);
    TM_RETURN_IF_ERROR(
        ReadLogRange(runtime_, split_.source + "-positions", log_, from, end, [&](const RecordView& record) {
          const std::string_view value = record.value.value_or("");
          packed::IntakePosition position;
          if (!position.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
            return absl::FailedPreconditionError("not a position of an intake");
          }
          if (newest && position.number() != newest->number() + 1) {
            return absl::FailedPreconditionError(absl::StrCat("position ", position.number(),
                                                              " stands behind position ", newest->number(),
                                                              "; what lies between was lost or written twice"));
          }
          newest = std::move(position);
          position_offset_ = record.offset;
          return absl::OkStatus();
        }));
    if (from == start) break;
  }
  return newest;
}

absl::StatusOr<IntakeNotes> SplitIntake::ReadNotes() const {
  const TopicPartition log{names_.NotesTopic(), split_.number};
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log));
  IntakeNotes notes;
  TM_RETURN_IF_ERROR(
      ReadLogRange(runtime_, split_.source + "-notes", log, start, end, [&](const RecordView& record) -> absl::Status {
        const std::string key(record.key.value_or(""));
        if (record.value) {
          notes[key] = std::string(*record.value);
        } else {
          notes.erase(key);
        }
        return absl::OkStatus();
      }));
  return notes;
}

// Rule 7.
absl::Status SplitIntake::CheckPosition(const std::optional<packed::IntakePosition>& found, const std::string& of,
                                        const std::string& topic_id) const {
  const std::string start_over = "; to read everything again, give the source or the topology a new name";
  if (!found) {
    std::vector<TopicPartition> logs = {log_};
    for (int32_t p = 0; p < runtime_.partitions.at(topic_); ++p) logs.push_back({topic_, p});
    TM_ASSIGN_OR_RETURN(const auto starts, runtime_.kafka->admin().LogStarts(logs));
    if (starts.size() < logs.size()) return absl::UnavailableError("nobody tells where the logs of an intake begin");
    for (const auto& [log, start] : starts) {
      if (start == 0) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(ToString(log_), " has no position any more, but ", ToString(log), " begins at offset ", start,
                       ": the source was read before. Was the log of positions emptied, or made again?", start_over));
    }
    return absl::OkStatus();
  }
  if (found->of() != of) {
    return absl::FailedPreconditionError(absl::StrCat(ToString(log_), " holds a position in ", found->of(),
                                                      ", and the source reads ", of, " now: put that back",
                                                      start_over));
  }
  if (found->splits() != split_.count) {
    return absl::FailedPreconditionError(absl::StrCat(ToString(log_), " holds a position in one of ", found->splits(),
                                                      " splits, and there are ", split_.count, " now", start_over));
  }
  if (!found->topic_id().empty() && !topic_id.empty() && found->topic_id() != topic_id) {
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic_,
                                                      " was deleted and made again, and with it went what ",
                                                      ToString(log_), " says was read", start_over));
  }
  if (found->written_size() > runtime_.partitions.at(topic_)) {
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic_, " has fewer partitions than it had"));
  }
  return absl::OkStatus();
}

absl::Status SplitIntake::Run(int64_t max_wait_us) {
  if (tell_) {
    const absl::Status told = source_->Committed(committed_.position());  // rule 4
    if (ActionFor(told) == Action::kRetry) return Await(told);
    TM_RETURN_IF_ERROR(Confirm(told));
    tell_ = false;
  }
  const int64_t interval = runtime_.plan->commit_interval_us;
  const int64_t now = runtime_.clock->MonotonicUs();
  const int64_t wait = reached_ ? std::clamp<int64_t>(dirty_since_us_ + interval - now, 0, max_wait_us) : max_wait_us;
  absl::StatusOr<std::optional<IntakeRows>> polled = source_->Poll(wait, runtime_.options.commit_bytes / kPieces);
  if (ActionFor(polled.status()) == Action::kRetry) return Await(polled.status());
  TM_RETURN_IF_ERROR(Confirm(polled.status()));
  state_ = State::kRunning;
  if (*polled) TM_RETURN_IF_ERROR(Take(**std::move(polled)));
  if (!reached_) {
    NoteSuccess();
    return absl::OkStatus();
  }
  const bool due = runtime_.clock->MonotonicUs() - dirty_since_us_ >= interval || transaction_->Full();
  return due ? Commit() : absl::OkStatus();
}

// What a source calls final may be the work of another owner: a file that isn't there any more was read to its end and
// moved away by whoever came after this one. A commit that succeeds says that there is nobody.
absl::Status SplitIntake::Confirm(const absl::Status& of_source) {
  if (of_source.ok() || Recoverable(of_source)) return of_source;
  if (!reached_) reached_ = committed_.position();
  TM_RETURN_IF_ERROR(Commit());
  return of_source;
}

absl::Status SplitIntake::Take(IntakeRows rows) {
  if (!reached_) dirty_since_us_ = runtime_.clock->MonotonicUs();
  reached_ = std::move(rows.next);
  for (const auto& [name, count] : rows.counts) (*next_.mutable_counts())[name] += count;
  for (const IntakeLetter& letter : rows.letters) {
    next_.set_refused(next_.refused() + 1);
    TM_RETURN_IF_ERROR(letters_->Outside(split_.source, letter.value, letter.place, letter.reason));
  }
  TM_RETURN_IF_ERROR(Produce(std::move(rows.records)));
  std::vector<OutRecord> notes;
  for (const IntakeNote& note : rows.notes) notes.push_back({split_.number, note.key, note.value, nullptr});
  if (notes.empty()) return absl::OkStatus();
  return transaction_->Produce(names_.NotesTopic(), notes);
}

// Rule 6.
absl::Status SplitIntake::Produce(std::vector<IntakeRecord> records) {
  std::vector<OutRecord> out;
  out.reserve(records.size());
  for (IntakeRecord& record : records) {
    if (record.partition < 0 || record.partition >= next_.written_size()) {
      return absl::InternalError(absl::StrCat("source ", split_.source, ": no partition ", record.partition));
    }
    const uint64_t number = next_.written(record.partition) + 1;
    record.headers.emplace_back(kIntakeNumberHeader, absl::StrCat(split_.number, ":", number));
    OutRecord next{record.partition, record.key, record.value, &record.headers};
    if (const std::optional<std::string> why = WhyTooLarge(next, topic_, limit_)) {
      record.headers.pop_back();
      next_.set_refused(next_.refused() + 1);
      TM_RETURN_IF_ERROR(letters_->Outside(split_.source, record.value, record.headers, *why));
      continue;
    }
    next_.set_written(record.partition, number);
    out.push_back(std::move(next));
  }
  next_.set_rows(next_.rows() + static_cast<int64_t>(out.size()));
  return out.empty() ? absl::OkStatus() : transaction_->Produce(topic_, out);
}

// Rule 2.
absl::Status SplitIntake::Commit() {
  next_.set_number(committed_.number() + 1);
  next_.set_position(*reached_);
  const std::string value = next_.SerializeAsString();
  TM_RETURN_IF_ERROR(transaction_->Produce(log_.topic, {{log_.partition, std::nullopt, value, nullptr}}));
  TM_RETURN_IF_ERROR(producer_->Flush());
  TM_RETURN_IF_ERROR(Failpoint("intake.after_flush"));
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
  TM_RETURN_IF_ERROR(Failpoint("intake.after_decision"));
  if (const auto written = producer_->Written(log_)) position_offset_ = written->first;
  transaction_->Reset();
  committed_ = next_;
  reached_.reset();
  tell_ = true;
  NoteSuccess();
  return absl::OkStatus();
}

// Take over anew after a pause, or the end: as the table of errors has it (src/base/action.h). What Kafka has refused
// once, even for being away, leaves a transaction that isn't gone on with.
absl::Status SplitIntake::ActOn(const absl::Status& error) {
  if (error.ok()) return error;
  const absl::Status status = ExplainRefusal(runtime_, error, limits_version_);
  // At once: what is undecided holds up every reader of the topic until it times out. Where that doesn't succeed they
  // wait, for the next owner at most: this producer isn't used again, whatever the answer.
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
absl::Status SplitIntake::Await(const absl::Status& status) {
  state_ = State::kWaiting;
  const absl::MutexLock lock(&mutex_);
  if (interrupted_) {
    retry_at_us_ = runtime_.clock->MonotonicUs() + kSecond / 10;  // Stop comes in a moment
  } else {
    NoteFailure(status);
  }
  return absl::OkStatus();
}

void SplitIntake::NoteFailure(const absl::Status& status) {
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

void SplitIntake::NoteSuccess() {
  failures_ = 0;
  last_error_.clear();
  failing_since_us_ = 0;
}

// Rule 5.
void SplitIntake::Drop() {
  {
    const absl::MutexLock lock(&mutex_);
    source_.reset();
  }
  letters_.reset();
  transaction_.reset();
  producer_.reset();  // its transaction ends with the next init_transactions, or its time-out
  reached_.reset();
  tell_ = false;
}

absl::Status SplitIntake::Stop(bool lost) {
  absl::Status status;
  if (!lost && state_ != State::kFailed && state_ != State::kTakingOver && reached_) status = ActOn(Commit());
  Drop();
  state_ = State::kFailed;
  return status;
}

void SplitIntake::Interrupt() {
  const absl::MutexLock lock(&mutex_);
  interrupted_ = true;
  if (source_ != nullptr) source_->Interrupt();
}

void SplitIntake::Publish() {
  const absl::MutexLock lock(&mutex_);
  status_.state = state_;
  status_.source = split_.source;
  status_.split = split_.number;
  status_.rows = committed_.rows();
  status_.refused = committed_.refused();
  status_.commits = static_cast<int64_t>(committed_.number());
  status_.counts = {committed_.counts().begin(), committed_.counts().end()};
  status_.last_step_us = runtime_.clock->MonotonicUs();
  status_.last_error = last_error_;
  status_.failing_since_us = failing_since_us_;
  status_.positions = log_;
  status_.trim_before = position_offset_;
}

IntakeStatus SplitIntake::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
