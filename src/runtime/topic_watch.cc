#include "src/runtime/topic_watch.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/time.h"
#include "src/plan/topic_patterns.h"

namespace tidemark {
namespace {

constexpr int64_t kQuietUs = 5 * kSecond;
// What was found is looked at once more, so that topics which are made one after the other make one new run.
constexpr int64_t kAgainUs = kSecond;

}  // namespace

TopicWatch::TopicWatch(const Runtime& runtime) : runtime_(runtime) {
  const absl::MutexLock lock(&mutex_);
  for (const TopicPatternPlan& pattern : runtime.plan->patterns) unread_[pattern.source];
}

absl::Status TopicWatch::Step() {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (runtime_.clock->MonotonicUs() >= next_us_) Look();
  return absl::OkStatus();
}

void TopicWatch::Look() {
  next_us_ = runtime_.clock->MonotonicUs() + kQuietUs;
  const Plan& plan = *runtime_.plan;
  const auto topics = runtime_.kafka->admin().List("");
  if (!topics.ok()) return;
  std::vector<std::string> names;
  for (const auto& [name, info] : *topics) names.push_back(name);
  std::map<std::string, int64_t> unread;
  for (const TopicPatternPlan& pattern : plan.patterns) unread[pattern.source];
  std::vector<std::string> fitting;
  bool all_fit = true;
  for (const UnreadTopic& found : UnreadTopics(plan, names)) {
    ++unread[found.source];
    const auto sibling = std::find_if(plan.sources.begin(), plan.sources.end(),
                                      [&](const SourcePlan& source) { return source.declared() == found.source; });
    const int32_t partitions = topics->at(found.topic).partitions, others = runtime_.partitions.at(sibling->topic);
    if (partitions == others) {
      fitting.push_back(found.topic);
      continue;
    }
    all_fit = false;
    const std::string why = absl::StrCat("it has ", partitions, " partitions, and ", sibling->topic, " has ", others);
    if (std::exchange(told_[found.topic], why) == why) continue;
    LOG(ERROR)
        << "source " << found.source << ": topic " << found.topic << " matches '"
        << PatternOf(plan, found.source)->pattern << "' and isn't read: " << why
        << ", and topics of one pattern are read together. While that is so no worker starts, and no further "
           "topic is read: give it as many partitions, or delete it, or let the pattern not match it and make it "
           "a source of its own";
  }
  if (all_fit && !fitting.empty() && fitting == fitting_) {
    LOG(INFO) << "topics have come that the topology reads: " << absl::StrJoin(fitting, ", ")
              << ": this worker begins anew with them";
    found_ = true;
  }
  if (!fitting.empty()) next_us_ = runtime_.clock->MonotonicUs() + kAgainUs;
  fitting_ = std::move(fitting);
  const absl::MutexLock lock(&mutex_);
  unread_ = std::move(unread);
}

std::map<std::string, int64_t> TopicWatch::unread() const {
  const absl::MutexLock lock(&mutex_);
  return unread_;
}

}  // namespace tidemark
