#include "src/runtime/generations/follower.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/runtime/generations/drained.h"

namespace tidemark {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);
constexpr int64_t kTellUs = 10 * kSecond;
constexpr int64_t kFollowUs = 60 * kSecond;  // between looks at what the active generation reads

std::set<std::string> SourceTopics(const Plan& plan) {
  std::set<std::string> topics;
  for (const SourcePlan& source : plan.sources) topics.insert(source.topic);
  return topics;
}

std::map<TopicPartition, Offset> OffsetsOf(const std::map<TopicPartition, CommittedOffset>& committed) {
  std::map<TopicPartition, Offset> offsets;
  for (const auto& [partition, at] : committed) offsets[partition] = std::max<Offset>(at.offset, 0);
  return offsets;
}

}  // namespace

GenerationFollower::GenerationFollower(const Plan& plan, Duty duty, bool supposed, int64_t max_live_lag_us)
    : plan_(plan),
      supposed_(supposed),
      max_live_lag_us_(max_live_lag_us),
      bounds_(SourceTopics(plan)),
      duty_(duty),
      state_(FirstState()) {
  if (duty != Duty::kActive) bounds_.Hold();  // until it is known how far
}

std::unique_ptr<KafkaClient> GenerationFollower::Bound(std::unique_ptr<KafkaClient> kafka) {
  unbound_ = kafka.get();
  return BoundedClient(std::move(kafka), plan_.application.Group(), &bounds_, [this] { return Assigned(); });
}

// Unavailable also where the log says otherwise: the follower's own look, which is under way, ends the worker, or has
// it do what it owes now.
absl::Status GenerationFollower::Assigned() const {
  const Duty before = duty_;
  TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(plan_.application.name, *unbound_));
  if (before == duty_ && DutyOf(state, plan_.application.generation) == before && !ended()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("generation ", plan_.application.generation,
                                             " takes nothing up until it is known what it owes: a switch is under way, "
                                             "or was"));
}

absl::Status GenerationFollower::Look(KafkaClient& kafka) {
  if (!reader_) reader_.emplace(plan_.application.name, &kafka);
  TM_ASSIGN_OR_RETURN(state_, reader_->Read());
  const Duty owed = DutyOf(state_, plan_.application.generation);
  const bool mistaken = supposed_ && !began() && state_.number() > 0;
  const bool leaves = LeavesFor(owed);
  // A switch may be taken back, and the next one begun, between two looks.
  if (owed == duty_ && !mistaken && leaves && began() && stood_for_ != state_.switch_number()) Stand(owed);
  if (owed == duty_ && !mistaken) return absl::OkStatus();
  if (mistaken || !MayTurnInto(duty_, owed)) {
    ended_.store(true, std::memory_order_release);
    return absl::OkStatus();
  }
  LOG(INFO) << "generation " << plan_.application.generation
            << (owed == Duty::kDrain ? " stops reading: another takes its place" : " goes on to the cut, and leaves");
  if (leaves && began()) Stand(owed);
  duty_ = owed;
  return absl::OkStatus();
}

void GenerationFollower::Open(const Runtime* runtime) {
  runtime_ = runtime;
  if (LeavesFor(duty_)) Stand(duty_);
}

absl::Status GenerationFollower::Step() {
  const absl::Status turned = Turn();
  if (ActionFor(turned) == Action::kRetry) {
    LOG_EVERY_N(WARNING, 20) << "looking at generations: " << turned.message();
  } else if (!turned.ok()) {
    return turned;
  }
  // An application that has never been replayed asks seldom.
  const bool quiet = duty_ == Duty::kActive && state_.number() == 0;
  for (int i = 0; i < (quiet ? 10 : 1) && !runtime_->control->stop.load(std::memory_order_relaxed); ++i) {
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return absl::OkStatus();
}

absl::Status GenerationFollower::Turn() {
  if (ended()) return absl::OkStatus();
  // Looked at when drained, too: a sink that was given nothing before the switch went on doesn't settle any more.
  TM_RETURN_IF_ERROR(Look(*runtime_->kafka));
  if (ended() || drained() || duty_ == Duty::kActive) return absl::OkStatus();
  return duty_ == Duty::kBuild ? Follow() : Drain();
}

// What the active one doesn't read has no bound: nobody else says how far it is. What it reads changes with its file: a
// topic that it commits positions of is known at once, one that it has left within kFollowUs.
absl::Status GenerationFollower::FindFollowed(const std::map<TopicPartition, CommittedOffset>& committed) {
  const int64_t now = runtime_->clock->MonotonicUs();
  if (followed_ && now - followed_us_ < kFollowUs) {
    for (const auto& [partition, offset] : unfollowed_) {
      const auto at = committed.find(partition);
      if (at != committed.end() && at->second.offset != offset) followed_->insert(partition.topic);
    }
    return absl::OkStatus();
  }
  Plan active;
  active.application = {plan_.application.name, state_.active()};
  active.dead_letter_topic = plan_.dead_letter_topic;
  TM_ASSIGN_OR_RETURN(const Former former, ReadFormer(active, *runtime_->kafka));
  std::set<std::string> topics;
  for (const auto& [changelog, record] : former.newest) {
    for (const auto& input : record.inputs()) topics.insert(input.topic());
  }
  followed_ = std::move(topics);
  followed_us_ = now;
  unfollowed_.clear();
  for (const auto& [partition, at] : committed) {
    if (!followed_->contains(partition.topic)) unfollowed_[partition] = at.offset;
  }
  return absl::OkStatus();
}

absl::Status GenerationFollower::Follow() {
  std::vector<TopicPartition> partitions;
  for (const std::string& topic : SourceTopics(plan_)) {
    for (int32_t p = 0; p < runtime_->partitions.at(topic); ++p) partitions.push_back({topic, p});
  }
  Admin& admin = runtime_->kafka->admin();
  const ApplicationId active{plan_.application.name, state_.active()};
  const int64_t now = runtime_->clock->MonotonicUs();
  TM_ASSIGN_OR_RETURN(auto ends, admin.LogEnds(partitions, Isolation::kReadCommitted));
  TM_ASSIGN_OR_RETURN(auto committed, admin.GroupOffsets(active.Group(), partitions));
  TM_RETURN_IF_ERROR(FindFollowed(committed));
  const auto unfollowed = [this](const TopicPartition& each) { return !followed_->contains(each.topic); };
  std::erase_if(partitions, unfollowed);
  std::erase_if(ends, [&](const auto& end) { return unfollowed(end.first); });
  std::erase_if(committed, [&](const auto& at) { return unfollowed(at.first); });
  std::map<TopicPartition, Offset> positions = OffsetsOf(committed);
  for (const TopicPartition& partition : partitions) positions.try_emplace(partition, 0);
  live_.Observe(now, ends, positions);
  const bool throttled = max_live_lag_us_ > 0 && live_.lag_us() > max_live_lag_us_;
  if (throttled != std::exchange(throttled_, throttled)) {
    LOG(INFO) << (throttled ? "waits: the active generation is " : "goes on: the active generation is ")
              << absl::StrFormat("%.1f s behind", static_cast<double>(live_.lag_us()) / kSecond);
  }
  if (throttled) {
    bounds_.Hold();
  } else if (MutationActive(Mutation::kCutPassed)) {
    bounds_.Set({}, SourceBounds::kNone);
  } else {
    bounds_.Set(positions, SourceBounds::kNone);
  }
  if (told_us_ >= 0 && now - told_us_ < kTellUs) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const auto own, admin.GroupOffsets(plan_.application.Group(), partitions));
  int64_t behind = 0;
  for (const auto& [partition, at] : own) {
    behind += std::max<Offset>(0, positions.at(partition) - std::max<Offset>(at.offset, 0));
  }
  const double took = static_cast<double>(now - told_us_) / kSecond;
  const double rate = told_us_ < 0 ? 0 : static_cast<double>(told_behind_ - behind) / took;
  LOG(INFO) << "generation " << plan_.application.generation << " is " << behind << " records behind generation "
            << state_.active()
            << (rate > 0 ? absl::StrFormat(", about %.0f s", static_cast<double>(behind) / rate) : "");
  told_us_ = now;
  told_behind_ = behind;
  return absl::OkStatus();
}

// Before anybody takes partitions up for the switch (Assigned), and before anything is told to those who have some.
void GenerationFollower::Stand(Duty duty) {
  cut_.clear();
  for (const auto& at : state_.cut()) {
    if (duty == Duty::kCut && bounds_.Concerns(at.topic())) cut_[{at.topic(), at.partition()}] = at.offset();
  }
  // A run that comes after this one has a control of its own.
  runtime_->control->clock_stands = true;
  stood_for_ = state_.switch_number();
  bounds_.Stand(cut_, 0, stood_for_);
}

absl::Status GenerationFollower::Drain() {
  TM_ASSIGN_OR_RETURN(const std::string owed, StillOwed(*runtime_, state_.switch_number(), cut_));
  const int64_t now = runtime_->clock->MonotonicUs();
  if (!owed.empty() && now - told_us_ >= kTellUs) {
    LOG(INFO) << "generation " << plan_.application.generation
              << " stays until nothing is owed for the switch: " << owed;
    told_us_ = now;
  }
  if (!owed.empty()) return absl::OkStatus();
  switch_number_.store(state_.switch_number(), std::memory_order_release);
  drained_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace tidemark
