#include "src/runtime/end_watcher.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/plan/intakes.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/commit.h"
#include "src/runtime/files_end.h"
#include "src/runtime/postgres_end.h"
#include "src/runtime/requests_end.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);

}  // namespace

absl::Status EndWatcher::TakeEnds() {
  std::vector<std::string> topics;
  outside_.clear();
  for (const SourcePlan& source : runtime_.plan->sources) {
    topics.push_back(source.topic);
  }
  for (const IntakePlan& intake : IntakesOf(*runtime_.plan)) {
    const SourcePlan& source = *intake.sources.front();
    if (source.files) outside_.push_back(std::make_unique<FilesEnd>(runtime_, source));
    if (source.http) outside_.push_back(std::make_unique<RequestsEnd>(runtime_, source));
    if (source.postgres) outside_.push_back(std::make_unique<PostgresEnd>(runtime_, intake));
    TM_RETURN_IF_ERROR(outside_.back()->Take());
  }
  TM_ASSIGN_OR_RETURN(source_ends_, EndsOf(runtime_, topics, Isolation::kReadCommitted));
  return absl::OkStatus();
}

// Their topics are internal ones: what was committed counts, though its markers may not show yet.
absl::StatusOr<bool> EndWatcher::OutsideIsIn() {
  for (const std::unique_ptr<OutsideEnd>& outside : outside_) {
    TM_ASSIGN_OR_RETURN(const size_t missing, outside->Missing());
    if (missing > 0) return WaitFor(absl::StrCat("source ", outside->what(), " that aren't in: ", missing));
  }
  std::vector<std::string> topics;
  for (const SourcePlan& source : runtime_.plan->sources) {
    if (source.intake()) topics.push_back(source.topic);
  }
  if (topics.empty()) return true;
  // Once: what comes in from now on is no part of this run.
  if (outside_ends_.empty()) {
    TM_ASSIGN_OR_RETURN(outside_ends_, EndsOf(runtime_, topics, Isolation::kReadUncommitted));
  }
  TM_ASSIGN_OR_RETURN(const Ends stable, EndsOf(runtime_, topics, Isolation::kReadCommitted));
  for (const auto& [partition, end] : outside_ends_) {
    if (stable.at(partition) < end) return WaitFor("the last transactions to show in the sources' topics");
  }
  for (const auto& [partition, end] : stable) source_ends_[partition] = end;
  return true;
}

std::vector<std::string> EndWatcher::OutputTopics() const {
  const std::set<std::string> side = SideTopics(*runtime_.plan);
  std::vector<std::string> topics(side.begin(), side.end());
  topics.push_back(runtime_.plan->dead_letter_topic);
  for (const SinkPlan& sink : runtime_.plan->sinks) {
    if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) topics.push_back(kafka->topic);
  }
  return topics;
}

// How far past the last event time stages hold windows and the like open, one behind the other.
int64_t EndWatcher::WindowHorizonUs() const {
  int64_t horizon = kSecond;
  for (const Stage& stage : runtime_.plan->stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind == Node::Kind::kOperator) horizon += node.spec.kind().HoldsUs(node);
    }
  }
  return horizon;
}

absl::StatusOr<bool> EndWatcher::Check() {
  const std::string group = runtime_.plan->application.Group();
  if (phase_ == Phase::kOutside) {
    TM_ASSIGN_OR_RETURN(const bool in, OutsideIsIn());
    if (!in) return false;
    phase_ = Phase::kSources;
  }
  if (phase_ == Phase::kSources) {
    TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtGroup(runtime_, group, source_ends_));
    if (total_ < 0) total_ = positions.missing;
    {
      const absl::MutexLock lock(&mutex_);
      progress_.total = total_;
      progress_.done = total_ - std::min(total_, positions.missing);
    }
    if (!positions.complete) return WaitFor(positions.missing > 0 ? "" : "the sources' tasks to commit");
    if (close_windows_ && positions.max_time > kMinTime) {
      close_to_ = positions.max_time + WindowHorizonUs();
      runtime_.control->close_to = close_to_.us;
    }
    phase_ = Phase::kClosing;
  }
  if (phase_ == Phase::kClosing) {
    TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtGroup(runtime_, group, source_ends_));
    if (!positions.complete || (close_to_ > kMinTime && positions.min_floor < close_to_)) {
      return WaitFor("windows to close");
    }
    phase_ = Phase::kStages;
  }
  while (phase_ == Phase::kStages) {
    if (stage_ == runtime_.plan->stages.size()) {
      runtime_.control->flush_sinks = true;
      phase_ = Phase::kSinks;
      break;
    }
    TM_ASSIGN_OR_RETURN(const auto ends,
                        EndsOf(runtime_, EdgesInto(*runtime_.plan, stage_), Isolation::kReadUncommitted));
    if (!ends.empty()) {
      TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtInternal(runtime_, group, ends));
      if (!positions.complete) {
        return WaitFor(
            absl::StrCat("stage ", runtime_.plan->stages[stage_].name, ": ", positions.Missing("between stages")));
      }
    }
    ++stage_;
  }
  if (phase_ == Phase::kSinks) {
    for (const Edge& edge : runtime_.plan->edges) {
      if (edge.to_sink < 0) continue;
      const SinkPlan& sink = runtime_.plan->sinks[static_cast<size_t>(edge.to_sink)];
      TM_ASSIGN_OR_RETURN(const GroupPositions positions, LookAtFeed(runtime_, edge));
      if (!positions.complete) {
        return WaitFor(absl::StrCat("sink ", sink.name, ": ", positions.Missing("of its feed")), sink.name);
      }
    }
    TM_ASSIGN_OR_RETURN(written_, EndsOf(runtime_, OutputTopics(), Isolation::kReadUncommitted));
    visible_by_us_ = runtime_.clock->MonotonicUs() + TransactionTimeoutUs(*runtime_.plan);
    phase_ = Phase::kVisible;
  }
  if (phase_ == Phase::kVisible) {
    TM_ASSIGN_OR_RETURN(const auto stable, EndsOf(runtime_, OutputTopics(), Isolation::kReadCommitted));
    const bool visible = std::all_of(written_.begin(), written_.end(),
                                     [&](const auto& end) { return stable.at(end.first) >= end.second; });
    if (!visible && runtime_.clock->MonotonicUs() < visible_by_us_) {
      return WaitFor("the last transactions to show in the sinks' topics");
    }
    phase_ = Phase::kDone;
  }
  return phase_ == Phase::kDone;
}

bool EndWatcher::WaitFor(std::string what, std::string sink) {
  const absl::MutexLock lock(&mutex_);
  progress_.waits_for = std::move(what);
  progress_.sink = std::move(sink);
  return false;
}

absl::Status EndWatcher::Step() {
  const absl::StatusOr<bool> finished = done() ? true : Check();
  if (ActionFor(finished.status()) == Action::kRetry) {
    LOG_EVERY_N(WARNING, 20) << "looking whether the end is reached: " << finished.status().message();
    WaitFor("Kafka");
  } else if (!finished.ok()) {
    return finished.status();
  } else if (*finished) {
    done_.store(true, std::memory_order_release);
  }
  std::this_thread::sleep_for(kBetweenLooks);
  return absl::OkStatus();
}

EndProgress EndWatcher::progress() const {
  const absl::MutexLock lock(&mutex_);
  return progress_;
}

}  // namespace tidemark
