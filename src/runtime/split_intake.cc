#include "src/runtime/split_intake.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/kept_format.h"
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
constexpr char kStartOver[] = "; to read everything again, give the source or the topology a new name";

// A position of a single source of the intake's own name says without targets what it says of that; and is written so,
// for earlier versions that knew of no others.
void ToTargets(const std::string& intake, packed::IntakePosition* position) {
  if (position->number() == 0 || position->targets_size() > 0) return;
  packed::IntakeTarget* const target = position->add_targets();
  target->set_source(intake);
  target->set_topic_id(position->topic_id());
  target->set_rows(position->rows());
  target->set_refused(position->refused());
  target->mutable_written()->Swap(position->mutable_written());
  target->mutable_counts()->swap(*position->mutable_counts());
  position->clear_topic_id();
  position->clear_rows();
  position->clear_refused();
}

packed::IntakePosition AsWritten(const std::string& intake, packed::IntakePosition position) {
  if (position.targets_size() != 1 || position.targets(0).source() != intake) return position;
  packed::IntakeTarget target;
  target.Swap(position.mutable_targets(0));
  position.clear_targets();
  position.set_topic_id(target.topic_id());
  position.set_rows(target.rows());
  position.set_refused(target.refused());
  position.mutable_written()->Swap(target.mutable_written());
  position.mutable_counts()->swap(*target.mutable_counts());
  return position;
}

std::vector<std::string> SourcesOf(const SplitIntake::Split& split) {
  return split.sources.empty() ? std::vector<std::string>{split.intake} : split.sources;
}

std::vector<std::string> TopicsOf(const ApplicationId& application, const std::vector<std::string>& sources) {
  std::vector<std::string> topics;
  for (const std::string& source : sources) topics.push_back(IntakeNames{application, source}.Topic());
  return topics;
}

}  // namespace

SplitIntake::SplitIntake(const Runtime& runtime, Split split, SourceMaker make_source, Pause pause)
    : runtime_(runtime),
      split_(std::move(split)),
      make_source_(std::move(make_source)),
      pause_(pause != nullptr ? std::move(pause) : [](int64_t us) { absl::SleepFor(absl::Microseconds(us)); }),
      names_{runtime.plan->application, split_.intake},
      sources_(SourcesOf(split_)),
      topics_(TopicsOf(runtime.plan->application, sources_)),
      log_{names_.PositionsTopic(), split_.number} {
  Publish();
}

SplitIntake::~SplitIntake() = default;

absl::Status SplitIntake::Step(int64_t max_wait_us) {
  if (state_ == State::kFailed) {
    return absl::InternalError(absl::StrCat("source ", split_.intake, ": a step after a final error"));
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
  limits_.clear();
  for (const std::string& topic : topics_) {
    limits_.push_back(runtime_.limits == nullptr ? RecordLimit() : runtime_.limits->Of(topic));
  }
  TM_ASSIGN_OR_RETURN(const std::optional<packed::IntakePosition> found, ReadPosition());
  TM_ASSIGN_OR_RETURN(IntakeNotes notes, ReadNotes());
  {
    const absl::MutexLock lock(&mutex_);
    source_ = make_source_(split_.number);
    if (interrupted_) source_->Interrupt();
  }
  committed_ = found.value_or(packed::IntakePosition());
  TM_RETURN_IF_ERROR(CheckPosition(found, source_->Of(committed_.position())));
  committed_.set_splits(split_.count);
  TM_ASSIGN_OR_RETURN(const bool has_new, FindTargets());
  next_ = committed_;
  TM_RETURN_IF_ERROR(Confirm(source_->Open(committed_.position(), std::move(notes))));
  tell_ = found.has_value();
  state_ = State::kRunning;
  if (!has_new) return absl::OkStatus();
  reached_ = committed_.position();
  return Commit();
}

// The newest position. Looked for from the end of its log, however long that is.
absl::StatusOr<std::optional<packed::IntakePosition>> SplitIntake::ReadPosition() {
  std::optional<packed::IntakePosition> newest;
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log_));
  for (Offset look = kFirstLook; !newest; look *= 16) {
    const Offset from = std::max(start, end - look);
    TM_RETURN_IF_ERROR(
        ReadLogRange(runtime_, split_.intake + "-positions", log_, from, end, [&](const RecordView& record) {
          const std::string_view value = record.value.value_or("");
          packed::IntakePosition position;
          if (!position.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
            return absl::FailedPreconditionError("not a position of an intake");
          }
          TM_RETURN_IF_ERROR(CheckKeptFormat(position.needs_format(), ToString(log_)));
          if (newest && position.number() != newest->number() + 1) {
            return absl::FailedPreconditionError(absl::StrCat("position ", position.number(),
                                                              " stands behind position ", newest->number(),
                                                              "; what lies between was lost or written twice"));
          }
          ToTargets(split_.intake, &position);
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
      ReadLogRange(runtime_, split_.intake + "-notes", log, start, end, [&](const RecordView& record) -> absl::Status {
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
absl::Status SplitIntake::CheckPosition(const std::optional<packed::IntakePosition>& found,
                                        const std::string& of) const {
  if (!found) return CheckNothingWasRead();
  if (found->of() != of) {
    return absl::FailedPreconditionError(absl::StrCat(ToString(log_), " holds a position in ", found->of(),
                                                      ", and the source reads ", of, " now: put that back",
                                                      kStartOver));
  }
  if (found->splits() != split_.count) {
    return absl::FailedPreconditionError(absl::StrCat(ToString(log_), " holds a position in one of ", found->splits(),
                                                      " splits, and there are ", split_.count, " now", kStartOver));
  }
  return absl::OkStatus();
}

absl::Status SplitIntake::CheckNothingWasRead() const {
  std::vector<TopicPartition> logs = {log_};
  for (const std::string& topic : topics_) {
    for (int32_t p = 0; p < runtime_.partitions.at(topic); ++p) logs.push_back({topic, p});
  }
  TM_ASSIGN_OR_RETURN(const auto starts, runtime_.kafka->admin().LogStarts(logs));
  if (starts.size() < logs.size()) return absl::UnavailableError("nobody tells where the logs of an intake begin");
  for (const auto& [log, start] : starts) {
    if (start == 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(ToString(log_), " has no position any more, but ", ToString(log), " begins at offset ", start,
                     ": the source was read before. Was the log of positions emptied, or made again?", kStartOver));
  }
  return absl::OkStatus();
}

// Rule 8. The targets there are now, in `committed_`, with what it says of them. True: there is one that must be
// committed before anything is written to it.
absl::StatusOr<bool> SplitIntake::FindTargets() {
  std::map<std::string, packed::IntakeTarget> known;
  for (const packed::IntakeTarget& target : committed_.targets()) known[target.source()] = target;
  std::vector<std::string> asked = topics_;
  for (const auto& [source, target] : known) {
    if (std::find(sources_.begin(), sources_.end(), source) == sources_.end()) asked.push_back(TopicOf(source));
  }
  TM_ASSIGN_OR_RETURN(const auto topics, runtime_.kafka->admin().Describe(asked));
  const bool is_first = committed_.number() == 0;
  committed_.clear_targets();
  bool has_new = false;
  for (size_t t = 0; t < sources_.size(); ++t) {
    const auto topic = topics.find(topics_[t]);
    if (topic == topics.end()) return absl::UnavailableError(absl::StrCat("topic ", topics_[t], " isn't there"));
    packed::IntakeTarget& target = *committed_.add_targets();
    // The first one of the intake's own name is written to at once, as it always was.
    const bool own = is_first && sources_.size() == 1 && sources_[t] == split_.intake;
    if (const auto found = known.find(sources_[t]); found != known.end()) {
      TM_RETURN_IF_ERROR(CheckTarget(found->second, topics_[t], topic->second.id));
      target = std::move(found->second);
      known.erase(found);
    } else if (!own) {
      TM_RETURN_IF_ERROR(CheckNewTarget(topics_[t]));
      has_new = true;
    }
    target.set_source(sources_[t]);
    target.set_topic_id(topic->second.id);
    target.mutable_written()->Resize(runtime_.partitions.at(topics_[t]), 0);
  }
  for (const auto& [source, target] : known) {
    const auto topic = topics.find(TopicOf(source));
    if (topic != topics.end()) TM_RETURN_IF_ERROR(CheckGone(target, topic->second.id));
    LOG(INFO) << split_.intake << ": source " << source << " is gone with its topic, and its place is forgotten";
  }
  return has_new;
}

std::string SplitIntake::TopicOf(const std::string& source) const {
  return IntakeNames{names_.application, source}.Topic();
}

// OK: its topic was deleted, and another one has the name.
absl::Status SplitIntake::CheckGone(const packed::IntakeTarget& target, const std::string& id) const {
  if (!target.topic_id().empty() && !id.empty() && target.topic_id() != id) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "source ", target.source(), " isn't in this worker's topology, and ", ToString(log_),
      " has its place: nothing is read until a worker that has the source takes over, or it is given up. Where it was "
      "taken out for good, delete the topic ",
      TopicOf(target.source()), ", and this goes on without it"));
}

absl::Status SplitIntake::CheckTarget(const packed::IntakeTarget& found, const std::string& topic,
                                      const std::string& id) const {
  if (!found.topic_id().empty() && !id.empty() && found.topic_id() != id) {
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic,
                                                      " was deleted and made again, and with it went what ",
                                                      ToString(log_), " says was read", kStartOver));
  }
  if (found.written_size() > runtime_.partitions.at(topic)) {
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic, " has fewer partitions than it had"));
  }
  return absl::OkStatus();
}

absl::Status SplitIntake::CheckNewTarget(const std::string& topic) const {
  std::vector<TopicPartition> logs;
  for (int32_t p = 0; p < runtime_.partitions.at(topic); ++p) logs.push_back({topic, p});
  TM_ASSIGN_OR_RETURN(const auto ends, runtime_.kafka->admin().LogEnds(logs, Isolation::kReadUncommitted));
  if (ends.size() < logs.size()) return absl::UnavailableError("nobody tells where the logs of an intake end");
  for (const auto& [log, end] : ends) {
    if (end == 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("topic ", topic, " isn't empty, and ", ToString(log_),
                     " knows nothing of it: its source was read by other means, or was taken out meanwhile. Delete "
                     "the topic, and the changelog of its stage, or give the source a new name"));
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
  for (const auto& [target, counts] : rows.counts) {
    auto& sums = *next_.mutable_targets(static_cast<int>(target))->mutable_counts();
    for (const auto& [name, count] : counts) sums[name] += count;
  }
  for (const IntakeLetter& letter : rows.letters) {
    packed::IntakeTarget& target = *next_.mutable_targets(static_cast<int>(letter.target));
    target.set_refused(target.refused() + 1);
    TM_RETURN_IF_ERROR(letters_->Outside(target.source(), letter.value, letter.place, letter.reason));
  }
  TM_RETURN_IF_ERROR(Produce(std::move(rows.records)));
  std::vector<OutRecord> notes;
  for (const IntakeNote& note : rows.notes) notes.push_back({split_.number, note.key, note.value, nullptr});
  if (notes.empty()) return absl::OkStatus();
  return transaction_->Produce(names_.NotesTopic(), notes);
}

absl::Status SplitIntake::Produce(std::vector<IntakeRecord> records) {
  std::vector<std::vector<IntakeRecord*>> by_target(sources_.size());
  for (IntakeRecord& record : records) by_target.at(record.target).push_back(&record);
  for (size_t t = 0; t < by_target.size(); ++t) {
    if (!by_target[t].empty()) TM_RETURN_IF_ERROR(ProduceTo(t, std::move(by_target[t])));
  }
  return absl::OkStatus();
}

// Rule 6.
absl::Status SplitIntake::ProduceTo(size_t target, std::vector<IntakeRecord*> records) {
  packed::IntakeTarget& to = *next_.mutable_targets(static_cast<int>(target));
  const std::string& topic = topics_[target];
  std::vector<OutRecord> out;
  out.reserve(records.size());
  for (IntakeRecord* const record : records) {
    if (record->partition < 0 || record->partition >= to.written_size()) {
      return absl::InternalError(absl::StrCat("source ", to.source(), ": no partition ", record->partition));
    }
    const uint64_t number = to.written(record->partition) + 1;
    std::string place = absl::StrCat(split_.number, ":", number);
    if (record->form > 1) absl::StrAppend(&place, ":", record->form);
    record->headers.emplace_back(kIntakeNumberHeader, std::move(place));
    OutRecord next{record->partition, record->key, record->value, &record->headers};
    if (const std::optional<std::string> why = WhyTooLarge(next, topic, limits_[target])) {
      record->headers.pop_back();
      to.set_refused(to.refused() + 1);
      TM_RETURN_IF_ERROR(letters_->Outside(to.source(), record->value, record->headers, *why));
      continue;
    }
    to.set_written(record->partition, number);
    to.set_rows(to.rows() + (record->is_row ? 1 : 0));
    out.push_back(std::move(next));
  }
  return out.empty() ? absl::OkStatus() : transaction_->Produce(topic, out);
}

// Rule 2.
absl::Status SplitIntake::Commit() {
  next_.set_number(committed_.number() + 1);
  next_.set_position(*reached_);
  next_.set_of(source_->Of(*reached_));
  const std::string value = AsWritten(split_.intake, next_).SerializeAsString();
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
    LOG(WARNING) << "source " << split_.intake << " split " << split_.number << ": " << status.message()
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
  status_.split = split_.number;
  status_.targets.clear();
  for (const packed::IntakeTarget& target : committed_.targets()) {
    status_.targets.push_back(
        {target.source(), target.rows(), target.refused(), {target.counts().begin(), target.counts().end()}});
  }
  // Until what was committed is known.
  for (size_t t = status_.targets.size(); t < sources_.size(); ++t) status_.targets.push_back({sources_[t], 0, 0, {}});
  status_.commits = static_cast<int64_t>(committed_.number());
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
