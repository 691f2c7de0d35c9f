#include "src/runtime/worker_threads.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <absl/strings/str_cat.h>

#include "src/base/intake_names.h"
#include "src/plan/intakes.h"
#include "src/runtime/file_source.h"
#include "src/runtime/http_source.h"
#include "src/runtime/parquet_feed_sink.h"
#include "src/runtime/postgres_feed_sink.h"
#include "src/runtime/postgres_source.h"
#include "src/runtime/webhook_feed_sink.h"

namespace tidemark {
namespace {

constexpr int64_t kStepWaitUs = kSecond / 10;

absl::Status Nothing() { return absl::OkStatus(); }

// Null: the sink is written by the tasks themselves.
std::unique_ptr<FeedSink> FeedSinkOf(const Runtime& runtime, int sink) {
  const auto& spec = runtime.plan->sinks[static_cast<size_t>(sink)].spec;
  if (std::holds_alternative<PostgresSinkSpec>(spec)) return std::make_unique<PostgresFeedSink>(runtime, sink);
  if (std::holds_alternative<ParquetSinkSpec>(spec)) return std::make_unique<ParquetFeedSink>(runtime, sink);
  if (std::holds_alternative<WebhookSpec>(spec)) return std::make_unique<WebhookFeedSink>(runtime, sink);
  return nullptr;
}

SplitIntake::SourceMaker MakerOf(const Runtime& runtime, const IntakePlan& intake, const std::string& state_dir) {
  const SourcePlan& source = *intake.sources.front();
  if (source.files) return FileSourceMaker(runtime, source);
  if (source.http) return HttpSourceMaker(runtime, source, state_dir);
  return PostgresSourceMaker(runtime, intake);
}

template <typename Thread>
ThreadRunner::Loop LoopOf(std::string name, Thread* thread, const std::function<bool()>& leaves) {
  return {std::move(name), [thread] { return thread->Start(); }, [thread] { return thread->Step(kStepWaitUs); },
          [leaves, thread] { return thread->Stop(leaves()); }};
}

}  // namespace

VisibleWaits& WorkerThreads::AwaitPosts(ViewPosition view_position) {
  return waits_.emplace(runtime_, std::move(view_position), [this](const std::string& sink) { return Fails(sink); });
}

void WorkerThreads::Make(int streams, const std::string& state_dir, bool watch_topics, ViewPosition view_position,
                         std::function<WorkerStatus()> look) {
  for (int i = 0; i < streams; ++i) streams_.push_back(std::make_unique<StreamThread>(runtime_, i));
  for (int sink = 0; sink < static_cast<int>(runtime_.plan->sinks.size()); ++sink) {
    std::unique_ptr<FeedSink> feed_sink = FeedSinkOf(runtime_, sink);
    if (feed_sink == nullptr) continue;
    sinks_.push_back(std::make_unique<SinkThread>(runtime_, sink, std::move(feed_sink)));
  }
  for (const IntakePlan& intake : IntakesOf(*runtime_.plan)) {
    std::vector<std::string> names;
    for (const SourcePlan* each : intake.sources) names.push_back(each->name);
    intakes_.push_back(std::make_unique<IntakeThread>(runtime_, intake.name, MakerOf(runtime_, intake, state_dir),
                                                      nullptr, std::move(names)));
  }
  freshness_.emplace(runtime_, std::move(view_position), [this](const std::string& sink) { return Fails(sink); });
  if (!runtime_.plan->notify.empty()) alarms_.emplace(runtime_, [this] { return freshness_->status(); });
  ownership_.emplace(runtime_, [this](const std::string& group) { Rejoin(group); });
  if (watch_topics) topic_watch_.emplace(runtime_);
  housekeeping_.emplace(runtime_, std::move(look));
}

void WorkerThreads::Run(Supervisor* supervisor, std::function<bool()> leaves) {
  using Work = Supervisor::Work;
  for (size_t i = 0; i < streams_.size(); ++i) {
    StreamThread* const stream = streams_[i].get();
    supervisor->Run(LoopOf(absl::StrCat("stream thread ", i), stream, leaves), Work::kCommits,
                    [stream] { return stream->deciding_since_us(); });
  }
  for (const auto& sink : sinks_) {
    supervisor->Run(LoopOf("sink " + sink->status().sink, sink.get(), leaves), Work::kCommits);
  }
  for (const auto& intake : intakes_) {
    supervisor->Run(LoopOf("source " + intake->status().intake, intake.get(), leaves), Work::kCommits);
  }
  supervisor->Run({"inputs", Nothing, [this] { return ownership_->Step(); }, Nothing}, Work::kReads);
  if (topic_watch_) {
    supervisor->Run({"topics", Nothing, [this] { return topic_watch_->Step(); }, Nothing}, Work::kReads);
  }
  supervisor->Run({"housekeeping", Nothing, [this] { return housekeeping_->Step(); }, Nothing}, Work::kReads);
  if (freshness_->watches()) {
    supervisor->Run({"freshness", Nothing, [this] { return freshness_->Step(); }, Nothing}, Work::kReads);
  }
  if (waits_) supervisor->Run({"posts that wait", Nothing, [this] { return waits_->Step(); }, Nothing}, Work::kReads);
  if (alarms_) supervisor->Run(LoopOf("alarms", &*alarms_, leaves), Work::kReads);
}

std::optional<std::string> WorkerThreads::UnsettledSink() const {
  const auto late = std::find_if(sinks_.begin(), sinks_.end(), [](const auto& sink) { return !sink->settled(); });
  if (late == sinks_.end()) return std::nullopt;
  return (*late)->status().sink;
}

bool WorkerThreads::Opened() const {
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const auto& s) { return s->status().state == ThreadStatus::State::kRunning; }) &&
         std::all_of(intakes_.begin(), intakes_.end(), [](const auto& i) { return i->status().TakenOver(); });
}

void WorkerThreads::CloseWaits() {
  if (waits_) waits_->Close();
}

void WorkerThreads::Interrupt() {
  for (const auto& sink : sinks_) sink->Interrupt();
  for (const auto& intake : intakes_) intake->Interrupt();
}

void WorkerThreads::Describe(WorkerStatus* status) const {
  for (const auto& stream : streams_) status->threads.push_back(stream->status());
  for (const auto& sink : sinks_) status->sinks.push_back(sink->status());
  for (const auto& intake : intakes_) status->intakes.push_back(intake->status());
  status->freshness = freshness_->status();
  if (alarms_) status->alarms = alarms_->status();
  status->ownership = ownership_->status();
  if (topic_watch_) status->unread_topics = topic_watch_->unread();
  status->ends = housekeeping_->ends();
}

bool WorkerThreads::Fails(const std::string& name) const {
  return std::any_of(sinks_.begin(), sinks_.end(), [&](const auto& sink) {
    const SinkStatus status = sink->status();
    return status.sink == name && status.failing_since_us > 0;
  });
}

// One member is enough for the group to assign anew.
void WorkerThreads::Rejoin(const std::string& group) {
  const ApplicationId& application = runtime_.plan->application;
  if (group == application.Group()) return streams_.front()->RequestRejoin();
  for (const auto& sink : sinks_) {
    if (sink->status().group == group) sink->RequestRejoin();
  }
  for (const auto& intake : intakes_) {
    if (IntakeNames{application, intake->status().intake}.Group() == group) intake->RequestRejoin();
  }
}

}  // namespace tidemark
