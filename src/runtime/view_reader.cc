#include "src/runtime/view_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

constexpr int64_t kAgainUs = kSecond;  // after what has failed
constexpr int64_t kTrimEveryUs = 60 * kSecond;
constexpr size_t kPollRecords = 20'000;

int32_t WriterOf(const HeaderList& headers) {
  int32_t writer = 0;
  for (const auto& [name, value] : headers) {
    if (name == kViewWriterHeader && value && absl::SimpleAtoi(*value, &writer)) return writer;
  }
  return -1;
}

}  // namespace

ViewReader::ViewReader(const Runtime& runtime, const SinkPlan& view, MemoryBudget* memory, Offset base)
    : runtime_(runtime),
      view_(view),
      shape_(view),
      table_(ViewTable(view)),
      log_{std::get<KafkaSinkSpec>(view.spec).topic, 0},
      base_(base),
      changes_(std::make_shared<ViewChanges>(shape_)),
      memory_(memory) {}

void ViewReader::EndWaits() {
  std::list<Waiting> waiting;
  {
    const absl::MutexLock lock(&mutex_);
    waiting.swap(waiting_);
  }
  for (const Waiting& each : waiting) each.done(false);
}

absl::Status ViewReader::Step(int64_t max_wait_us) {
  if (!final_.ok()) {
    TellWaiting();
    return final_;
  }
  const int64_t now = runtime_.clock->MonotonicUs();
  bool too_large = false, forgotten = false, is_another = false;
  {
    const absl::MutexLock lock(&mutex_);
    too_large = state_ == State::kTooLarge;
    forgotten = state_ == State::kServes && confirmed_us_ > 0 && now - confirmed_us_ > kViewDeletionsKeptUs / 2;
    is_another = is_another_;
  }
  TellWaiting();
  changes_->Tick(now);
  if (forgotten) Drop(State::kReads, "it hasn't been at the end of its log for too long, and is read anew");
  if (is_another) {
    LOG(WARNING) << "view " << view_.name << ": topic " << log_.topic << " was deleted and made again; it is read anew";
    Drop(State::kReads, "its topic was deleted and made again, and is read anew");
  }
  if (too_large || (consumer_ == nullptr && now < begin_at_us_)) {
    std::this_thread::sleep_for(std::chrono::microseconds(max_wait_us));
    return absl::OkStatus();
  }
  absl::Status status = consumer_ == nullptr ? Begin() : absl::OkStatus();
  if (status.ok()) {
    const absl::StatusOr<PollResult> polled = consumer_->Poll(max_wait_us, kPollRecords);
    status = polled.ok() ? Take(*polled) : polled.status();
  }
  if (status.ok()) return status;
  if (!final_.ok()) {
    Drop(State::kReads, std::string(final_.message()));
    return final_;
  }
  if (consumer_ != nullptr && ActionFor(status) == Action::kRetry) {
    LOG_EVERY_N(WARNING, 100) << "view " << view_.name << ", which stands as it is: " << status.message();
    return absl::OkStatus();
  }
  LOG_EVERY_T(WARNING, 10) << "view " << view_.name << " is read anew: " << status.message();
  Drop(State::kReads, std::string(status.message()));
  return absl::OkStatus();
}

absl::Status ViewReader::Begin() {
  const int64_t asked_us = runtime_.clock->MonotonicUs();
  // First: what is made again from here on has another.
  TM_ASSIGN_OR_RETURN(const auto topics, runtime_.kafka->admin().Describe({log_.topic}));
  const auto topic = topics.find(log_.topic);
  if (topic == topics.end()) return absl::UnavailableError(absl::StrCat("topic ", log_.topic, " isn't there"));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log_));
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadCommitted));
  TM_ASSIGN_OR_RETURN(decoder_, TableDecoder::Make(table_));
  TM_ASSIGN_OR_RETURN(
      auto consumer,
      runtime_.kafka->NewConsumer({.client_id = absl::StrCat(runtime_.plan->application.Group(), "-view-", view_.name),
                                   .queue_bytes = int64_t{4} << 20}));
  TM_RETURN_IF_ERROR(consumer->Assign({{log_, start}}));
  consumer_ = std::move(consumer);
  next_ = base_ + start;
  pending_.clear();
  ready_.clear();
  time_ = ViewTime();
  const absl::MutexLock lock(&mutex_);
  state_ = State::kReads;
  store_ = std::make_shared<ViewStore>(shape_);
  target_ = end_ = base_ + end;
  target_us_ = asked_us;
  position_ = base_ + start;
  confirmed_us_ = told_us_ = 0;
  bad_records_ = 0;
  topic_id_ = topic->second.id;
  return absl::OkStatus();
}

// The rows go, and with them their memory once the last answer from them is told.
void ViewReader::Drop(State state, std::string trouble) {
  consumer_.reset();
  pending_.clear();
  ready_.clear();
  begin_at_us_ = runtime_.clock->MonotonicUs() + kAgainUs;
  memory_.Update(0);
  changes_->End();
  const absl::MutexLock lock(&mutex_);
  state_ = state;
  trouble_ = std::move(trouble);
  store_.reset();
  trim_.reset();
  topic_id_.clear();
  is_another_ = false;
}

absl::Status ViewReader::Take(const PollResult& polled) {
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) TM_RETURN_IF_ERROR(TakeFetch(*fetch));
  const int64_t now = runtime_.clock->MonotonicUs();
  for (const auto& [partition, end] : polled.ends) next_ = std::max(next_, base_ + end);
  Publish();
  if (!polled.ends.empty()) AtEnd(base_ + polled.ends.back().second, now);
  NoteTrim(now);
  TellWaiting();
  return absl::OkStatus();
}

absl::Status ViewReader::TakeFetch(const Fetch& fetch) {
  TM_RETURN_IF_ERROR(WalkViewLog(
      fetch, [this](const Fetch& rows) { return TakeRows(rows); },
      [this](int32_t writer, const RecordView& mark) { return TakeMark(writer, mark); }));
  if (!fetch.records().empty()) next_ = base_ + fetch.records().back().offset + 1;
  return absl::OkStatus();
}

absl::Status ViewReader::TakeRows(const Fetch& rows) {
  TM_ASSIGN_OR_RETURN(const DecodedTableRows decoded, decoder_->Decode(rows, 0));
  std::vector<bool> bad(rows.records().size());
  for (const DecodeError& error : decoded.errors) {
    bad[error.record] = true;
    LOG_EVERY_N(ERROR, 1'000) << "view " << view_.name << ": record " << ToString(rows.source()) << "@"
                              << rows.records()[error.record].offset << " can't be read: " << error.reason;
  }
  if (!decoded.errors.empty()) {
    const absl::MutexLock lock(&mutex_);
    bad_records_ += static_cast<int64_t>(decoded.errors.size());
  }
  EncodedKeys cells;
  TM_RETURN_IF_ERROR(shape_.Encode(*decoded.rows, &cells));
  const auto* const times =
      decoded.rows->column(static_cast<int>(shape_.schema().size()))->data()->GetValues<int64_t>(1);
  size_t row = 0;
  for (size_t i = 0; i < bad.size() && row < cells.size(); ++i) {
    if (bad[i]) continue;
    const Offset offset = base_ + rows.records()[i].offset;
    Pending& pending = pending_[WriterOf(rows.Headers(i))];
    if (pending.changes.empty()) pending.first = offset;
    ViewChange& change = pending.changes.emplace_back();
    TM_ASSIGN_OR_RETURN(change.key, shape_.KeyOf(cells[row]));
    if (decoded.deleted[row] == 0) {
      TM_ASSIGN_OR_RETURN(change.row, shape_.MakeRow(cells[row], EventTime{times[row]}, offset));
    } else {
      TM_ASSIGN_OR_RETURN(change.gone, shape_.MakeRow(cells[row], EventTime{times[row]}, offset));
    }
    ++row;
  }
  return absl::OkStatus();
}

absl::Status ViewReader::TakeMark(int32_t writer, const RecordView& record) {
  const absl::StatusOr<packed::ViewMark> told = ReadViewMark(log_, record);
  if (absl::IsInvalidArgument(told.status())) final_ = told.status();
  TM_RETURN_IF_ERROR(told.status());
  time_.Tell(writer, *told, base_ + record.offset);
  const auto pending = pending_.find(writer);
  if (pending == pending_.end()) return absl::OkStatus();
  std::move(pending->second.changes.begin(), pending->second.changes.end(), std::back_inserter(ready_));
  pending_.erase(pending);
  return absl::OkStatus();
}

void ViewReader::Publish() {
  std::shared_ptr<ViewStore> store;
  bool told = false;
  {
    const absl::MutexLock lock(&mutex_);
    store = store_;
    told = state_ == State::kServes;
  }
  ViewMoment moment{next_, time_.AsOf()};
  for (const auto& [writer, pending] : pending_) moment.position = std::min(moment.position, pending.first);
  if (told) changes_->Add(ready_, moment);
  store->Apply(std::exchange(ready_, {}), moment);
  int64_t bytes = store->bytes() + changes_->bytes();
  for (const auto& [writer, pending] : pending_) {
    for (const ViewChange& change : pending.changes) bytes += change.row != nullptr ? change.row->bytes() : 64;
  }
  memory_.Update(bytes);
  if (memory_.Excess(0) > 0) {
    const std::string why = absl::StrCat("it needs more memory than there is for views: more than ", bytes >> 10,
                                         " KiB, where ", store->rows(),
                                         " rows are in, of an eighth of `memory` for all views together. State more "
                                         "`memory`, keep less (`keep`), or select "
                                         "fewer rows and columns in a step before it, and start the worker again");
    LOG(ERROR) << "view " << view_.name << " isn't served any more: " << why;
    return Drop(State::kTooLarge, why);
  }
  const absl::MutexLock lock(&mutex_);
  position_ = moment.position;
  end_ = std::max(end_, position_);
  if (state_ != State::kReads || position_ < target_) return;
  state_ = State::kServes;
  changes_->Begin(moment, ViewPlace::LogOf(topic_id_));
  confirmed_us_ = std::max(confirmed_us_, target_us_);
  trouble_.clear();
  LOG(INFO) << "view " << view_.name << ": " << store->rows() << " rows, " << (store->bytes() >> 20) << " MiB";
}

void ViewReader::Confirm(Offset end, int64_t asked_us, const std::string& topic_id) {
  {
    const absl::MutexLock lock(&mutex_);
    is_another_ = !topic_id.empty() && !topic_id_.empty() && topic_id != topic_id_;
    if (is_another_) return;  // that end is none of this log
    told_end_ = base_ + end;
    told_us_ = asked_us;
  }
  AtEnd(base_ + end, asked_us);
}

void ViewReader::AtEnd(Offset end, int64_t asked_us) {
  const absl::MutexLock lock(&mutex_);
  end_ = std::max(end_, end);
  if (position_ >= end) confirmed_us_ = std::max(confirmed_us_, asked_us);
}

std::optional<Offset> ViewReader::EndAskedSince(int64_t since_us) const {
  const absl::MutexLock lock(&mutex_);
  if (told_us_ == 0 || told_us_ < since_us) return std::nullopt;
  return told_end_;
}

// What a reader that begins now could do without: records of rows that have gone or were replaced, and of former marks.
void ViewReader::NoteTrim(int64_t now_us) {
  if (shape_.keep_us() == 0 || now_us - looked_us_ < kTrimEveryUs) return;
  looked_us_ = now_us;
  std::shared_ptr<const ViewStore> store;
  {
    const absl::MutexLock lock(&mutex_);
    if (state_ != State::kServes) return;
    store = store_;
  }
  Offset oldest = store->moment().position;
  oldest = std::min(oldest, store->OldestOffset().value_or(oldest));
  oldest = std::min(oldest, time_.OldestMark().value_or(oldest));
  const absl::MutexLock lock(&mutex_);
  trim_ = oldest - base_;
}

void ViewReader::TellWaiting() {
  std::list<std::pair<Waiting, bool>> told;
  {
    const absl::MutexLock lock(&mutex_);
    const int64_t now = runtime_.clock->MonotonicUs();
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      const bool reached = state_ == State::kServes && position_ >= it->position;
      if (!reached && now < it->deadline_us) {
        ++it;
        continue;
      }
      told.emplace_back(std::move(*it), reached);
      it = waiting_.erase(it);
    }
  }
  for (const auto& [waiting, reached] : told) waiting.done(reached);
}

void ViewReader::Await(Offset position, int64_t deadline_us, std::function<void(bool reached)> done) {
  {
    const absl::MutexLock lock(&mutex_);
    if (state_ != State::kServes || position_ < position) {
      waiting_.push_back({position, deadline_us, std::move(done)});
      return;
    }
  }
  done(true);
}

std::shared_ptr<const ViewStore> ViewReader::store(std::string* why) const {
  const absl::MutexLock lock(&mutex_);
  if (state_ == State::kServes) return store_;
  *why = state_ == State::kTooLarge
             ? trouble_
             : absl::StrCat("the worker reads the view, ", std::max<Offset>(0, target_ - position_), " records to go",
                            trouble_.empty() ? "" : "; before: ", trouble_);
  return nullptr;
}

std::optional<int64_t> ViewReader::age_us() const {
  const absl::MutexLock lock(&mutex_);
  if (confirmed_us_ == 0) return std::nullopt;
  return std::max<int64_t>(0, runtime_.clock->MonotonicUs() - confirmed_us_);
}

ViewStatus ViewReader::status() const {
  ViewStatus status;
  status.view = view_.name;
  status.age_us = age_us();
  std::string why;
  const std::shared_ptr<const ViewStore> serves = store(&why);
  std::shared_ptr<const ViewStore> store = serves;
  {
    const absl::MutexLock lock(&mutex_);
    status.ready = state_ == State::kServes;
    status.too_large = state_ == State::kTooLarge;
    status.trouble = why;
    status.bad_records = bad_records_;
    status.position = position_;
    status.lag = std::max<Offset>(0, end_ - position_);
    if (trim_) status.trim.emplace(log_, *trim_);
    status.topic_id = topic_id_;
    store = store_;
  }
  if (store == nullptr) return status;
  status.rows = store->rows();
  status.bytes = store->bytes();
  status.as_of = store->moment().as_of;
  return status;
}

}  // namespace tidemark
