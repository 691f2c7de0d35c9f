#include "src/runtime/visible_waits.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "proto/http.pb.h"
#include "proto/intake.pb.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/runtime/log_range.h"

namespace tidemark {
namespace {

constexpr int64_t kTickUs = 50 * kMillisecond;
// A position is one record and a marker; behind the newest there may be transactions that were aborted.
constexpr Offset kFirstLook = 16;

}  // namespace

VisibleWaits::VisibleWaits(const Runtime& runtime, FreshnessWatch::ViewPosition view_position,
                           FreshnessWatch::SinkFails sink_fails)
    : runtime_(runtime), watch_(runtime, std::move(view_position), std::move(sink_fails), FreshnessWatch::Of::kPosts) {
  for (const SourcePlan& source : runtime.plan->sources) {
    if (source.http) topics_[source.name] = source.topic;
  }
}

void VisibleWaits::Add(Posted posted) {
  {
    const absl::MutexLock lock(&mutex_);
    if (!closed_) {
      waiting_.push_back({std::move(posted)});
      return;
    }
  }
  posted.done(false);
}

void VisibleWaits::Close() {
  std::vector<Waiting> left;
  {
    const absl::MutexLock lock(&mutex_);
    closed_ = true;
    left = std::exchange(waiting_, {});
  }
  for (const Waiting& waiting : left) waiting.posted.done(false);
}

absl::Status VisibleWaits::Step() {
  std::this_thread::sleep_for(std::chrono::microseconds(kTickUs));
  {
    const absl::MutexLock lock(&mutex_);
    if (waiting_.empty()) return absl::OkStatus();
  }
  const absl::Status looked = Look();
  if (!looked.ok()) {
    LOG_EVERY_T(WARNING, 30) << "whether what was posted shows isn't known for now: " << looked.message();
  }
  for (const Posted& posted : Expired(runtime_.clock->MonotonicUs())) posted.done(false);
  return absl::OkStatus();
}

std::vector<VisibleWaits::Posted> VisibleWaits::Expired(int64_t now_us) {
  std::vector<Posted> expired;
  const absl::MutexLock lock(&mutex_);
  std::erase_if(waiting_, [&](Waiting& waiting) {
    if (waiting.posted.until_us > now_us) return false;
    expired.push_back(std::move(waiting.posted));
    return true;
  });
  return expired;
}

absl::Status VisibleWaits::Look() {
  std::set<SplitOf> asked;
  {
    const absl::MutexLock lock(&mutex_);
    for (const Waiting& waiting : waiting_) {
      if (waiting.in_us == 0) asked.insert({waiting.posted.source, waiting.posted.partition});
    }
  }
  std::map<SplitOf, Offset> read_to;
  for (const SplitOf& split : asked) {
    TM_ASSIGN_OR_RETURN(read_to[split], ReadTo(split));
  }
  const int64_t now = runtime_.clock->MonotonicUs();
  {
    const absl::MutexLock lock(&mutex_);
    for (Waiting& waiting : waiting_) {
      const auto found = read_to.find({waiting.posted.source, waiting.posted.partition});
      if (waiting.in_us == 0 && found != read_to.end() && found->second > waiting.posted.offset) waiting.in_us = now;
    }
  }
  TM_RETURN_IF_ERROR(watch_.Look());
  std::vector<Posted> visible;
  {
    const absl::MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&](Waiting& waiting) {
      if (waiting.in_us == 0 || watch_.ThroughUs(topics_.at(waiting.posted.source)) < waiting.in_us) return false;
      visible.push_back(std::move(waiting.posted));
      return true;
    });
  }
  for (const Posted& posted : visible) posted.done(true);
  return absl::OkStatus();
}

// By the newest position that is committed. Up to the last stable offset: nobody waits here for a transaction of an
// owner that has died.
absl::StatusOr<Offset> VisibleWaits::ReadTo(const SplitOf& split) {
  const TopicPartition log{IntakeNames{runtime_.plan->application, split.first}.PositionsTopic(), split.second};
  Split& known = splits_[split];
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log, Isolation::kReadCommitted));
  if (end == known.looked_at) return known.next;
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log));
  bool found = false;
  for (Offset look = kFirstLook; !found; look *= 16) {
    const Offset from = std::max(start, end - look);
    const auto take = [&](const RecordView& record) -> absl::Status {
      packed::IntakePosition position;
      packed::RequestPosition requests;
      const std::string_view value = record.value.value_or("");
      if (!position.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
          !requests.ParseFromString(position.position())) {
        return absl::FailedPreconditionError(absl::StrCat(ToString(log), ": not a position of requests"));
      }
      known.next = requests.next();
      found = true;
      return absl::OkStatus();
    };
    TM_RETURN_IF_ERROR(ReadLogRange(runtime_, split.first + "-waits", log, from, end, take));
    if (from == start) break;
  }
  known.looked_at = end;
  return known.next;
}

}  // namespace tidemark
