#include "src/runtime/status_reader.h"

#include <algorithm>
#include <cstdlib>

#include "src/base/status.h"
#include "src/base/status_topic.h"

namespace tidemark {
namespace {

// Records in front of the end that a reader begins with: of as many workers that is the last word.
constexpr Offset kBehindEnd = 256;
constexpr int64_t kQueueBytes = 1 << 20;
// More than this no topology has; others are left out.
constexpr size_t kMostWorkers = 1'000;
// A command waits so long for the next report, and takes one for new that is younger than so.
constexpr int64_t kListenUs = 5 * kSecond;
constexpr int64_t kFreshMs = 3'000;

}  // namespace

StatusReader::StatusReader(const Plan& plan, KafkaClient* kafka, Clock* clock)
    : kafka_(*kafka), clock_(*clock), log_{StatusTopic(plan.application), 0} {}

absl::Status StatusReader::Begin() {
  TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(log_));
  TM_ASSIGN_OR_RETURN(end_, kafka_.admin().LogEnd(log_, Isolation::kReadUncommitted));
  ConsumerOptions options;
  options.isolation = Isolation::kReadUncommitted;
  options.client_id = log_.topic;
  options.queue_bytes = kQueueBytes;
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Consumer> consumer, kafka_.NewConsumer(options));
  TM_RETURN_IF_ERROR(consumer->Assign({{log_, std::max(start, end_ - kBehindEnd)}}));
  consumer_ = std::move(consumer);
  at_end_ = end_ <= start;
  return absl::OkStatus();
}

absl::Status StatusReader::Step(int64_t max_wait_us) {
  if (consumer_ == nullptr) TM_RETURN_IF_ERROR(Begin());
  absl::StatusOr<PollResult> polled = consumer_->Poll(max_wait_us, 1'000);
  if (!polled.ok()) {
    consumer_.reset();
    return polled.status();
  }
  for (const std::unique_ptr<Fetch>& fetch : polled->fetches) {
    for (const RecordView& record : fetch->records()) {
      Take(record);
      at_end_ = at_end_ || record.offset + 1 >= end_;
    }
  }
  at_end_ = at_end_ || !polled->ends.empty();
  return absl::OkStatus();
}

void StatusReader::Take(const RecordView& record) {
  live::WorkerReport report;
  const std::string_view value = record.value.value_or("");
  if (!report.ParseFromArray(value.data(), static_cast<int>(value.size()))) return;  // another version's, or nobody's
  ++records_;
  newest_ms_ = std::max(newest_ms_, record.timestamp_ms);
  newest_heard_us_ = clock_.MonotonicUs();
  if (report.stops()) {
    const auto heard = heard_.find(report.worker());
    if (heard != heard_.end() && heard->second.report.process() == report.process()) heard_.erase(heard);
    return;
  }
  if (heard_.size() >= kMostWorkers && !heard_.contains(report.worker())) return;
  const std::string worker = report.worker();
  heard_[worker] = {std::move(report), record.timestamp_ms};
  std::erase_if(heard_,
                [&](const auto& each) { return newest_ms_ - each.second.appended_ms > kGoneUs / kMillisecond; });
}

std::vector<HeardReport> StatusReader::reports() const {
  std::vector<HeardReport> there;
  for (const auto& [worker, heard] : heard_) {
    const int64_t age_us = (newest_ms_ - heard.appended_ms) * kMillisecond + clock_.MonotonicUs() - newest_heard_us_;
    if (age_us <= kGoneUs) there.push_back({heard.report, static_cast<double>(age_us) / kSecond});
  }
  return there;
}

absl::StatusOr<std::vector<HeardReport>> ListenToWorkers(const Plan& plan, KafkaClient* kafka, Clock* clock) {
  TM_ASSIGN_OR_RETURN(const auto topics, kafka->admin().Describe({StatusTopic(plan.application)}));
  if (topics.empty()) return std::vector<HeardReport>();
  StatusReader reader(plan, kafka, clock);
  const int64_t until = clock->MonotonicUs() + kListenUs;
  std::optional<int64_t> before;  // records that were there when it began
  while (clock->MonotonicUs() < until) {
    TM_RETURN_IF_ERROR(reader.Step(kSecond / 10));
    if (!reader.at_end()) continue;
    if (!before) before = reader.records();
    const bool fresh = std::llabs(clock->WallUs() / kMillisecond - reader.newest_ms()) < kFreshMs;
    if (fresh || reader.records() > *before) return reader.reports();
  }
  return std::vector<HeardReport>();
}

}  // namespace tidemark
