#include "src/runtime/alarm_thread.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>

#include "src/base/json_text.h"
#include "src/base/kept_format.h"
#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

constexpr int64_t kAgainUs = kSecond;

std::string SecondsText(int64_t us) { return absl::StrFormat("%.3f", static_cast<double>(us) / kSecond); }
std::string TimeText(int64_t us) { return JsonQuoted(TimestampText(us, TimestampForm::kRfc3339)); }

}  // namespace

absl::Status AlarmThread::Start() {
  log_ = {runtime_.plan->application.AlarmsTopic(), 0};
  if (courier_ == nullptr && !runtime_.plan->notify.webhook.empty()) {
    absl::StatusOr<std::unique_ptr<Webhook>> webhook = NewWebhook(runtime_.plan->notify.webhook.front());
    if (!webhook.ok()) return Annotate(webhook.status(), "notify");
    courier_ = std::make_unique<Courier>(*std::move(webhook), runtime_.clock);
  }
  return absl::OkStatus();
}

absl::Status AlarmThread::Join() {
  ConsumerOptions options;
  options.group = runtime_.plan->application.AlarmsGroup();
  options.instance_id = runtime_.options.instance_id;
  options.client_id = absl::StrCat(options.group, "-", runtime_.options.instance_id);
  options.queue_bytes = int64_t{1} << 20;
  TM_ASSIGN_OR_RETURN(consumer_, runtime_.kafka->NewConsumer(options));
  return consumer_->Subscribe({log_.topic});
}

absl::Status AlarmThread::Step(int64_t max_wait_us) {
  if (!final_.ok()) return final_;
  const int64_t now = runtime_.clock->MonotonicUs();
  if (now < again_at_us_) max_wait_us = std::min(max_wait_us, again_at_us_ - now);
  const absl::Status status = Turn(max_wait_us);
  trouble_ = std::string(status.message());
  if (!final_.ok()) {
    Drop(State::kUnassigned);
  } else if (!status.ok()) {
    LOG_EVERY_T(WARNING, 10) << "alarms: " << status.message() << "; trying again";
    Drop(owned_ ? State::kReading : State::kUnassigned);
    again_at_us_ = runtime_.clock->MonotonicUs() + kAgainUs;
    // A membership that another process has, or a client that is of no use any more.
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
      owned_ = false;
      state_ = State::kUnassigned;
      consumer_.reset();
    }
  }
  Publish();
  return final_;
}

absl::Status AlarmThread::Turn(int64_t max_wait_us) {
  const bool pauses = runtime_.clock->MonotonicUs() < again_at_us_;
  if (consumer_ == nullptr && !pauses) TM_RETURN_IF_ERROR(Join());
  if (consumer_ == nullptr) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(const PollResult polled, consumer_->Poll(max_wait_us, 1'000));
  if (polled.rebalance) {
    Drop(State::kUnassigned);
    owned_ = polled.rebalance->kind == Rebalance::Kind::kAssigned && !polled.rebalance->partitions.empty() &&
             consumer_->Group()->valid();
    if (polled.rebalance->kind != Rebalance::Kind::kAssigned) return consumer_->Unassign();
    return consumer_->AssignPaused(polled.rebalance->partitions);
  }
  if (!owned_ || pauses) return absl::OkStatus();
  if (state_ == State::kUnassigned || producer_ == nullptr) return TakeOver();
  TM_RETURN_IF_ERROR(Take(polled));
  if (state_ != State::kRunning) return absl::OkStatus();
  TM_RETURN_IF_ERROR(Compare());
  return CommitDelivered();
}

absl::Status AlarmThread::TakeOver() {
  Drop(State::kReading);
  const std::string id = runtime_.plan->application.AlarmsTransactionalId();
  ProducerOptions options{.transactional_id = id, .client_id = id};
  options.give_up = runtime_.GiveUpAtStop();
  TM_ASSIGN_OR_RETURN(auto producer, runtime_.kafka->NewProducer(options));
  TM_RETURN_IF_ERROR(producer->InitTransactions());
  TM_ASSIGN_OR_RETURN(const auto committed, consumer_->Committed({log_}));
  const auto found = committed.find(log_);
  committed_ = found == committed.end() ? -1 : found->second.offset;
  TM_ASSIGN_OR_RETURN(next_, runtime_.kafka->admin().LogStart(log_));
  TM_ASSIGN_OR_RETURN(target_, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  producer_ = std::move(producer);
  TM_RETURN_IF_ERROR(consumer_->Assign({{log_, next_}}));
  if (next_ >= target_) state_ = State::kRunning;
  return absl::OkStatus();
}

absl::Status AlarmThread::Take(const PollResult& polled) {
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    for (const RecordView& record : fetch->records()) {
      if (record.offset < next_) continue;
      next_ = record.offset + 1;
      alarms::Event event;
      const std::string_view value = record.value.value_or("");
      if (!event.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        LOG(ERROR) << ToString(log_) << "@" << record.offset << ": no alarm; it is passed over";
        continue;
      }
      final_ = CheckKeptFormat(event.needs_format(), ToString(log_));
      if (!final_.ok()) return final_;
      if (courier_ != nullptr && record.offset >= committed_) {
        courier_->Give({record.offset, event.id(), event.body()});
      }
      const Name name(event.sink(), event.kind());
      if (event.raised()) {
        raised_[name] = {std::move(event), record.offset};
      } else {
        raised_.erase(name);
      }
    }
  }
  for (const auto& [partition, end] : polled.ends) next_ = std::max(next_, end);
  if (state_ == State::kReading && next_ >= target_) state_ = State::kRunning;
  return absl::OkStatus();
}

// What has been written is read back before anything more is.
absl::Status AlarmThread::Compare() {
  if (next_ < target_) return absl::OkStatus();
  std::vector<alarms::Event> events;
  std::set<Name> known;
  for (const FreshnessStatus& found : found_()) {
    for (const AlarmKind kind : kAlarmKinds) {
      const Name name(found.sink, AlarmName(kind));
      known.insert(name);
      const auto logged = raised_.find(name);
      const auto now = std::find_if(found.raised.begin(), found.raised.end(),
                                    [&](const RaisedAlarm& alarm) { return alarm.kind == kind; });
      if (now != found.raised.end() && logged == raised_.end()) {
        events.push_back(MakeEvent(found, kind, true, now->since_us));
      } else if (now == found.raised.end() && logged != raised_.end() && found.confirmed) {
        events.push_back(MakeEvent(found, kind, false, logged->second.event.since_us()));
      }
    }
  }
  // Of sinks that nobody watches any more.
  for (const auto& [name, raised] : raised_) {
    if (known.contains(name)) continue;
    FreshnessStatus gone;
    gone.sink = name.first;
    for (const AlarmKind kind : kAlarmKinds) {
      if (AlarmName(kind) == name.second) events.push_back(MakeEvent(gone, kind, false, raised.event.since_us()));
    }
  }
  return events.empty() ? absl::OkStatus() : Append(events);
}

absl::Status AlarmThread::Append(const std::vector<alarms::Event>& events) {
  const std::string& copy = runtime_.plan->notify.topic;
  std::vector<std::string> values;
  for (const alarms::Event& event : events) values.push_back(event.SerializeAsString());
  TM_RETURN_IF_ERROR(producer_->Begin());
  for (size_t i = 0; i < events.size(); ++i) {
    const std::string key = absl::StrCat(events[i].sink(), "/", events[i].kind());
    TM_RETURN_IF_ERROR(producer_->Produce(log_.topic, {{0, key, values[i], nullptr}}));
    if (!copy.empty()) TM_RETURN_IF_ERROR(producer_->Produce(copy, {{0, key, events[i].body(), nullptr}}));
  }
  TM_RETURN_IF_ERROR(producer_->Flush());
  std::string error;
  const CommitOutcome outcome = producer_->Commit(&error);
  if (outcome == CommitOutcome::kFenced) return absl::CancelledError("alarms: " + error);
  if (outcome != CommitOutcome::kCommitted) return absl::UnavailableError("alarms: commit: " + error);
  for (const alarms::Event& event : events) {
    LOG(WARNING) << "alarm " << event.kind() << " of " << event.sink() << (event.raised() ? " raised: " : " over: ")
                 << event.body();
  }
  TM_ASSIGN_OR_RETURN(target_, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  return absl::OkStatus();
}

// The log is trimmed behind what is delivered, but for what is still raised.
absl::Status AlarmThread::CommitDelivered() {
  if (next_ < target_) return absl::OkStatus();
  Offset reached = next_;
  if (courier_ != nullptr) {
    const Courier::Status status = courier_->status();
    if (status.waiting > 0) reached = status.delivered + 1;
  }
  if (reached <= committed_ || reached <= 0) return absl::OkStatus();
  TM_RETURN_IF_ERROR(consumer_->CommitOffsets({{log_, reached, ""}}));
  committed_ = reached;
  Offset needed = reached;
  for (const auto& [name, raised] : raised_) needed = std::min(needed, raised.offset);
  if (needed > 0) TM_RETURN_IF_ERROR(runtime_.kafka->admin().DeleteRecords({{log_, needed}}));
  return absl::OkStatus();
}

alarms::Event AlarmThread::MakeEvent(const FreshnessStatus& found, AlarmKind kind, bool raised,
                                     int64_t since_us) const {
  const std::string application = runtime_.plan->application.Key();
  alarms::Event event;
  event.set_sink(found.sink);
  event.set_kind(std::string(AlarmName(kind)));
  event.set_raised(raised);
  event.set_since_us(since_us);
  event.set_at_us(runtime_.clock->WallUs());
  const std::string hash =
      Sha256(absl::StrCat(application, "/", found.sink, "/", event.kind(), "/", since_us, raised ? "" : "/over"));
  event.set_id(absl::BytesToHexString(absl::string_view(hash).substr(0, 16)));
  event.set_body(absl::StrCat("{\"id\":", JsonQuoted(event.id()), ",\"application\":", JsonQuoted(application),
                              ",\"sink\":", JsonQuoted(found.sink), ",\"kind\":", JsonQuoted(event.kind()),
                              ",\"state\":", raised ? "\"raised\"" : "\"cleared\"", ",\"since\":", TimeText(since_us),
                              ",\"at\":", TimeText(event.at_us()), ",\"age_seconds\":", SecondsText(found.age_us),
                              ",\"breach_in_seconds\":", found.breach_in_us ? SecondsText(*found.breach_in_us) : "null",
                              ",\"warn_seconds\":", SecondsText(found.spec.warn_us),
                              ",\"max_seconds\":", SecondsText(found.spec.max_us), "}"));
  return event;
}

// What isn't in the log isn't known any more.
void AlarmThread::Drop(State state) {
  state_ = state;
  producer_.reset();
  raised_.clear();
  next_ = target_ = 0;
  committed_ = -1;
  if (courier_ != nullptr) courier_->Forget();
}

absl::Status AlarmThread::Stop(bool leave_group) {
  Drop(State::kUnassigned);
  courier_.reset();
  Publish();
  return consumer_ == nullptr ? absl::OkStatus() : consumer_->Close(leave_group);
}

void AlarmThread::Publish() {
  AlarmStatus next;
  next.watches = state_ == State::kRunning;
  next.raised = static_cast<int64_t>(raised_.size());
  if (courier_ != nullptr) next.webhook = courier_->status();
  next.trouble = trouble_.empty() ? next.webhook.last_error : trouble_;
  const absl::MutexLock lock(&mutex_);
  status_ = std::move(next);
}

AlarmStatus AlarmThread::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
