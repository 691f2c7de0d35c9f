#include "src/runtime/freshness.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/runtime/offset_metadata.h"

namespace tidemark {
namespace {

constexpr int64_t kShortestTickUs = kSecond / 4, kLongestTickUs = 5 * kSecond;
constexpr int64_t kTicksAWarning = 40;
// Under way; more are thinned out, so that a sink that is far behind has a probe for each hundredth of that.
constexpr size_t kMostProbes = 128;

// What a stage reads.
struct Inputs {
  std::vector<std::string> sources, internal;
};

Inputs InputsOf(const Plan& plan, size_t stage) {
  Inputs inputs;
  for (const Node& node : plan.stages[stage].nodes) {
    if (node.kind == Node::Kind::kSource) {
      inputs.sources.push_back(plan.sources[static_cast<size_t>(node.source)].topic);
    }
  }
  for (const Edge& edge : plan.edges) {
    if (edge.to_stage == static_cast<int>(stage)) inputs.internal.push_back(edge.topic);
  }
  return inputs;
}

// The stages that a sink's rows come through, upstream before downstream.
std::set<size_t> StagesOf(const Plan& plan, size_t sink) {
  std::set<size_t> stages;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    for (const Node& node : plan.stages[s].nodes) {
      if (node.sink == static_cast<int>(sink)) stages.insert(s);
    }
  }
  for (size_t s = plan.stages.size(); s-- > 0;) {
    for (const Edge& edge : plan.edges) {
      if (edge.to_stage == static_cast<int>(s) && edge.from_stage >= 0 && stages.contains(s)) {
        stages.insert(static_cast<size_t>(edge.from_stage));
      }
    }
  }
  return stages;
}

}  // namespace

FreshnessWatch::FreshnessWatch(const Runtime& runtime, ViewPosition view_position, SinkFails sink_fails, Of of)
    : runtime_(runtime), view_position_(std::move(view_position)), sink_fails_(std::move(sink_fails)), of_(of) {
  of_ == Of::kStated ? WatchStated() : WatchPosts();
  Observe();
}

void FreshnessWatch::WatchStated() {
  const int64_t now = runtime_.clock->MonotonicUs();
  int64_t soonest = kLongestTickUs * kTicksAWarning;
  for (size_t s = 0; s < runtime_.plan->sinks.size(); ++s) {
    const SinkPlan& sink = runtime_.plan->sinks[s];
    if (!sink.freshness) continue;
    soonest = std::min(soonest, sink.freshness->warn_us);
    sinks_.push_back({sink.name,
                      sink.view.has_value(),
                      *sink.freshness,
                      FreshnessAlarm(*sink.freshness),
                      LevelsOf(s),
                      {},
                      now,
                      false,
                      0});
  }
  tick_us_ = std::clamp(soonest / kTicksAWarning, kShortestTickUs, kLongestTickUs);
}

void FreshnessWatch::WatchPosts() {
  std::set<std::string> posted;
  for (const SourcePlan& source : runtime_.plan->sources) {
    if (source.http) posted.insert(source.topic);
  }
  for (size_t s = 0; s < runtime_.plan->sinks.size(); ++s) {
    const SinkPlan& sink = runtime_.plan->sinks[s];
    std::vector<Level> levels = LevelsOf(s);
    const bool ours = std::any_of(levels.begin(), levels.end(), [&](const Level& level) {
      return std::any_of(level.sources.begin(), level.sources.end(),
                         [&](const TopicPartition& partition) { return posted.contains(partition.topic); });
    });
    if (!ours) continue;
    const FreshnessSpec none{};
    sinks_.push_back(
        {sink.name, sink.view.has_value(), none, FreshnessAlarm(none), std::move(levels), {}, 0, false, 0});
  }
}

int64_t FreshnessWatch::ThroughUs(const std::string& topic) const {
  int64_t through = std::numeric_limits<int64_t>::max();
  for (const Watched& watched : sinks_) {
    for (const Level& level : watched.levels) {
      const bool ours = std::any_of(level.sources.begin(), level.sources.end(),
                                    [&](const TopicPartition& partition) { return partition.topic == topic; });
      if (ours) through = std::min(through, watched.confirmed ? watched.through_us : 0);
    }
  }
  return through;
}

std::vector<FreshnessWatch::Level> FreshnessWatch::LevelsOf(size_t sink) const {
  const Plan& plan = *runtime_.plan;
  const auto partitions = [&](const std::vector<std::string>& topics) {
    std::vector<TopicPartition> all;
    for (const std::string& topic : topics) {
      for (int32_t p = 0; p < runtime_.partitions.at(topic); ++p) all.push_back({topic, p});
    }
    return all;
  };
  std::vector<Level> levels;
  for (const size_t stage : StagesOf(plan, sink)) {
    const Inputs inputs = InputsOf(plan, stage);
    levels.push_back({plan.application.Group(), partitions(inputs.sources), partitions(inputs.internal)});
  }
  const SinkPlan& last = plan.sinks[sink];
  for (const Edge& edge : plan.edges) {
    if (edge.to_sink != static_cast<int>(sink)) continue;
    levels.push_back({plan.application.SinkGroup(last.kept_as()), {}, partitions({edge.topic})});
  }
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&last.spec)) {
    levels.push_back({"", {}, partitions({kafka->topic}), last.view ? By::kView : By::kReaders});
  }
  return levels;
}

absl::Status FreshnessWatch::Step() {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const int64_t now = runtime_.clock->MonotonicUs();
  if (now < next_us_) return absl::OkStatus();
  next_us_ = now + tick_us_;
  const absl::Status looked = Look();
  if (!looked.ok()) {
    LOG_EVERY_T(WARNING, 30) << "freshness isn't known for now: " << looked.message();
  }
  return absl::OkStatus();
}

// First what is committed, then the ends: what a stage has committed is in the ends that the next one has to reach.
absl::Status FreshnessWatch::Look() {
  std::map<std::string, std::set<TopicPartition>> asked;
  std::set<TopicPartition> sources, internal, shown;
  for (const Watched& watched : sinks_) {
    for (const Level& level : watched.levels) {
      sources.insert(level.sources.begin(), level.sources.end());
      internal.insert(level.internal.begin(), level.internal.end());
      if (level.by == By::kReaders) shown.insert(level.internal.begin(), level.internal.end());
      if (level.by != By::kGroup) continue;
      asked[level.group].insert(level.sources.begin(), level.sources.end());
      asked[level.group].insert(level.internal.begin(), level.internal.end());
    }
  }
  Admin& admin = runtime_.kafka->admin();
  const auto look = [&]() -> absl::Status {
    Found found;
    for (const auto& [group, partitions] : asked) {
      TM_ASSIGN_OR_RETURN(found.committed[group], admin.GroupOffsets(group, {partitions.begin(), partitions.end()}));
    }
    if (!shown.empty()) {
      TM_ASSIGN_OR_RETURN(found.shown, admin.LogEnds({shown.begin(), shown.end()}, Isolation::kReadCommitted));
    }
    NoteMoves(found.committed[runtime_.plan->application.Group()], runtime_.clock->WallUs());
    const int64_t at_us = runtime_.clock->MonotonicUs();
    auto now = std::make_shared<Ends>(), ends = std::make_shared<Ends>();
    // The markers of an intake's transaction may reach its topic after those that show its position.
    const Isolation isolation = of_ == Of::kPosts ? Isolation::kReadUncommitted : Isolation::kReadCommitted;
    TM_ASSIGN_OR_RETURN(*now, admin.LogEnds({sources.begin(), sources.end()}, isolation));
    if (!internal.empty()) {
      TM_ASSIGN_OR_RETURN(*ends, admin.LogEnds({internal.begin(), internal.end()}, Isolation::kReadUncommitted));
    }
    const bool all = now->size() == sources.size() && ends->size() == internal.size();
    for (Watched& watched : sinks_) {
      if (all) watched.probes.push_back({at_us, now, 0, ends, {}});
      Advance(&watched, found, ends);
    }
    return all ? absl::OkStatus() : absl::UnavailableError("nobody tells the ends of some partitions");
  };
  const absl::Status status = look();
  Observe();
  return status;
}

bool FreshnessWatch::Passed(const Watched& watched, const Found& found, Probe* probe) const {
  const Level& level = watched.levels[probe->level];
  if (level.by == By::kReaders) {
    return std::all_of(level.internal.begin(), level.internal.end(), [&](const TopicPartition& partition) {
      const auto end = probe->internal->find(partition);
      const auto shown = found.shown.find(partition);
      return end != probe->internal->end() && shown != found.shown.end() && shown->second >= end->second;
    });
  }
  if (level.by == By::kView) {
    const std::optional<Offset> position = view_position_(watched.sink);
    const auto end = probe->internal->find(level.internal.front());
    return position && end != probe->internal->end() && *position >= end->second;
  }
  if (probe->level + 1 == watched.levels.size() && sink_fails_(watched.sink)) return false;
  const Offsets& of_group = found.committed.at(level.group);
  const auto reached = [&](const TopicPartition& partition, const Ends& ends, bool must_be_owned) {
    const auto end = ends.find(partition);
    if (end == ends.end()) return false;
    if (end->second == 0 && !must_be_owned) return true;  // nothing has ever been there to confirm
    const auto position = of_group.find(partition);
    if (position == of_group.end() || position->second.offset < end->second) return false;
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(position->second.metadata);
    if (!metadata || !metadata->busy) return true;
    if (of_ == Of::kPosts) return false;
    return metadata->commit > probe->waits.try_emplace(partition, metadata->commit).first->second;
  };
  bool all = true;  // all are looked at, as each may begin to wait
  for (const TopicPartition& partition : level.sources) all &= reached(partition, *probe->sources, true);
  for (const TopicPartition& partition : level.internal) all &= reached(partition, *probe->internal, false);
  return all;
}

// Each probe by at most a level, as the ends that it has to reach next are those of now.
void FreshnessWatch::Advance(Watched* watched, const Found& found, const std::shared_ptr<const Ends>& ends) {
  std::deque<Probe>& probes = watched->probes;
  for (size_t i = probes.size(); i-- > 0;) {
    Probe& probe = probes[i];
    if (!Passed(*watched, found, &probe)) continue;
    if (probe.level + 1 < watched->levels.size()) {
      ++probe.level;
      probe.internal = ends;
      probe.waits.clear();
      continue;
    }
    watched->through_us = std::max(watched->through_us, probe.at_us);
    watched->confirmed = true;
    probes.erase(probes.begin(), probes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    break;
  }
  if (probes.size() <= kMostProbes) return;
  std::deque<Probe> some;
  for (size_t i = 0; i < probes.size(); ++i) {
    if (i % 2 == 0 || i + 1 == probes.size()) some.push_back(std::move(probes[i]));
  }
  probes = std::move(some);
}

void FreshnessWatch::NoteMoves(const Offsets& committed, int64_t wall_us) {
  for (const auto& [partition, offset] : committed) {
    Moved& moved = moved_[partition];
    if (moved.offset == offset.offset) continue;
    const bool first = moved.offset < 0;
    moved.offset = offset.offset;
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(offset.metadata);
    if (!metadata || metadata->max_time.us == moved.time_us) continue;
    moved.time_us = metadata->max_time.us;
    moved.at_us = first ? 0 : wall_us;  // of what was committed before this process it isn't known when
  }
}

// By how much the newest events that were committed are older than the sink's probe says.
int64_t FreshnessWatch::EventDelay(const Watched& watched, int64_t mono_us, int64_t wall_us) const {
  int64_t delay = 0;
  for (const Level& level : watched.levels) {
    for (const TopicPartition& partition : level.sources) {
      const auto found = moved_.find(partition);
      if (found == moved_.end() || found->second.at_us == 0) continue;
      const Moved& moved = found->second;
      if (wall_us - moved.at_us > watched.spec.max_us || moved.time_us <= kMinTime.us) continue;
      // While it moves, what shows is no younger than its event time; behind that it stays as late as it came.
      const bool moves = wall_us - moved.at_us < 3 * tick_us_;
      const int64_t through = wall_us - (mono_us - watched.through_us);
      delay = std::max(delay, moves ? through - moved.time_us : moved.at_us - moved.time_us);
    }
  }
  return delay;
}

void FreshnessWatch::Observe() {
  if (of_ == Of::kPosts) return;
  const int64_t mono = runtime_.clock->MonotonicUs(), wall = runtime_.clock->WallUs();
  std::vector<FreshnessStatus> all;
  for (Watched& watched : sinks_) {
    watched.age_us = mono - watched.through_us;
    if (watched.spec.from_event) watched.age_us += EventDelay(watched, mono, wall);
    watched.alarm.Observe(mono, watched.age_us, watched.confirmed);
    FreshnessStatus status{
        watched.sink, watched.view, watched.spec, watched.age_us, watched.confirmed, watched.alarm.breach_in_us(), {}};
    for (const AlarmKind kind : kAlarmKinds) {
      if (const auto since = watched.alarm.since(kind))
        status.raised.push_back({watched.sink, kind, wall - (mono - *since)});
    }
    all.push_back(std::move(status));
  }
  const absl::MutexLock lock(&mutex_);
  status_ = std::move(all);
}

std::vector<FreshnessStatus> FreshnessWatch::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
