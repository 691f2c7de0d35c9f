#include "src/runtime/housekeeping.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <glog/logging.h>

namespace tidemark {
namespace {

constexpr int64_t kEveryUs = 5 * kSecond;
constexpr int64_t kEndsEveryUs = 2 * kSecond;
constexpr auto kWait = std::chrono::milliseconds(50);

}  // namespace

absl::Status Housekeeping::Step() {
  const int64_t begin_us = runtime_.clock->MonotonicUs();
  if (begin_us < std::min(next_us_, next_ends_us_)) {
    std::this_thread::sleep_for(kWait);
    return absl::OkStatus();
  }
  const WorkerStatus now = look_();
  if (begin_us >= next_us_) Tidy(now);
  FindEnds(now);
  next_ends_us_ = runtime_.clock->MonotonicUs() + kEndsEveryUs;
  return absl::OkStatus();
}

void Housekeeping::Tidy(const WorkerStatus& now) {
  // First, as a trim that is late may cut off a new owner of the partition, who restores from it.
  Trim(now);
  if (const auto in_use = StoresInUse(now)) runtime_.state->CloseAllBut(*in_use);
  for (const ThreadStatus& thread : now.threads) {
    if (!TopicsMadeAgain(runtime_.kafka->admin(), thread.topic_ids)) continue;
    ++runtime_.control->topics_changed;
    break;
  }
  next_us_ = runtime_.clock->MonotonicUs() + kEveryUs;
}

void Housekeeping::Trim(const WorkerStatus& now) {
  std::map<TopicPartition, Offset> trims;
  for (const ThreadStatus& thread : now.threads) trims.insert(thread.trims.begin(), thread.trims.end());
  for (const SinkStatus& sink : now.sinks) trims.insert(sink.trims.begin(), sink.trims.end());
  for (const IntakeMemberStatus& intake : now.intakes) {
    for (const IntakeStatus& split : intake.splits) {
      if (split.trim_before > 0) trims[split.positions] = split.trim_before;
    }
  }
  for (const ViewStatus& view : now.views) {
    if (!view.trim) continue;
    trims.insert(*view.trim);
    // Another topic of the name counts from 0 again.
    std::string& id = view_topics_[view.trim->first];
    if (std::exchange(id, view.topic_id) != view.topic_id) trimmed_.erase(view.trim->first);
  }
  Trims fresh;
  for (const auto& [partition, offset] : trims) {
    if (trimmed_[partition] < offset) fresh.emplace_back(partition, offset);
  }
  LeaveOutFormerViews(now, &fresh);
  if (fresh.empty()) return;
  const absl::Status trimmed = runtime_.kafka->admin().DeleteRecords(fresh);
  if (trimmed.ok()) {
    for (const auto& [partition, offset] : fresh) trimmed_[partition] = offset;
  } else {
    LOG_EVERY_N(WARNING, 20) << "trimming internal topics: " << trimmed;
  }
}

// A worker that was frozen while a view's topic was deleted and made again knows only of the one before, and must
// delete no rows of the new one. Tasks and sinks lose what they have where that happens, views' readers belong to no
// group.
void Housekeeping::LeaveOutFormerViews(const WorkerStatus& now, Trims* trims) {
  std::map<std::string, std::string> ids;
  for (const ViewStatus& view : now.views) {
    const auto of_view = [&](const auto& trim) { return view.trim && trim.first == view.trim->first; };
    if (std::any_of(trims->begin(), trims->end(), of_view)) ids[view.trim->first.topic] = view.topic_id;
  }
  if (ids.empty()) return;
  std::vector<std::string> topics;
  for (const auto& [topic, id] : ids) topics.push_back(topic);
  const auto found = runtime_.kafka->admin().Describe(topics);
  std::erase_if(*trims, [&](const auto& trim) {
    const auto id = ids.find(trim.first.topic);
    if (id == ids.end()) return false;
    if (!found.ok()) return true;
    const auto topic = found->find(id->first);
    if (topic == found->end()) return true;
    const bool told = !topic->second.id.empty() && !id->second.empty();  // brokers before 2.8 tell none
    return told && topic->second.id != id->second;
  });
}

void Housekeeping::FindEnds(const WorkerStatus& now) {
  std::set<TopicPartition> read;
  for (const ThreadStatus& thread : now.threads) {
    for (const TaskStatus& task : thread.tasks) {
      for (const auto& [partition, position] : task.positions) read.insert(partition);
    }
  }
  for (const SinkStatus& sink : now.sinks) {
    for (const auto& [partition, position] : sink.positions) read.insert(partition);
  }
  if (runtime_.control->stop) return;
  absl::StatusOr<std::map<TopicPartition, Offset>> asked =
      runtime_.kafka->admin().LogEnds({read.begin(), read.end()}, Isolation::kReadCommitted);
  std::map<TopicPartition, Offset> ends;
  if (asked.ok()) {
    ends = *std::move(asked);
    // A partition whose leader is away stalls without a word of the client's.
    const auto untold = std::find_if(read.begin(), read.end(), [&](const auto& each) { return ends.count(each) == 0; });
    if (untold != read.end()) {
      LOG_EVERY_N(WARNING, 12) << "nobody tells the end of " << ToString(*untold) << ": has it a leader?";
    }
  }
  const absl::MutexLock lock(&mutex_);
  // What is known of a partition that couldn't be asked about stands: lag mustn't vanish while brokers are away.
  for (const auto& [partition, end] : ends_) {
    if (read.count(partition) > 0) ends.try_emplace(partition, end);
  }
  ends_ = std::move(ends);
}

std::map<TopicPartition, Offset> Housekeeping::ends() const {
  const absl::MutexLock lock(&mutex_);
  return ends_;
}

}  // namespace tidemark
