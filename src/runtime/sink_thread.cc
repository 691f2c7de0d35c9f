#include "src/runtime/sink_thread.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"
#include "src/codec/packed_rows.h"

namespace tidemark {

const Edge& FeedOf(const Plan& plan, int sink) {
  return *std::find_if(plan.edges.begin(), plan.edges.end(), [&](const Edge& edge) { return edge.to_sink == sink; });
}

SinkThread::SinkThread(const Runtime& runtime, int sink, std::unique_ptr<FeedSink> feed_sink)
    : runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      edge_(FeedOf(*runtime.plan, sink)),
      schema_(BatchSchema(edge_.schema, edge_.hidden)),
      feed_sink_(std::move(feed_sink)) {
  Publish();
}

absl::Status SinkThread::Start() {
  ConsumerOptions options;
  options.group = absl::StrCat(runtime_.plan->name, ".", plan_.name);
  options.instance_id = runtime_.options.instance_id;
  options.client_id = absl::StrCat(options.group, "-", runtime_.options.instance_id);
  TM_ASSIGN_OR_RETURN(consumer_, runtime_.kafka->NewConsumer(options));
  TM_RETURN_IF_ERROR(consumer_->Subscribe({edge_.topic}));
  Publish();
  return absl::OkStatus();
}

// Gives the membership up and takes another: the group assigns anew.
absl::Status SinkThread::Rejoin() {
  LOG(INFO) << "sink " << plan_.name << ": leaves the group to join it again";
  TM_RETURN_IF_ERROR(OnRebalance({Rebalance::Kind::kRevoked, assigned_}));
  const absl::Status closed = consumer_->Close(/*leave_group=*/true);
  if (!closed.ok()) LOG(WARNING) << "sink " << plan_.name << ": leaving the group: " << closed;
  return Start();
}

absl::Status SinkThread::Step(int64_t max_wait_us) {
  if (rejoin_.exchange(false, std::memory_order_relaxed)) TM_RETURN_IF_ERROR(Rejoin());
  const int64_t now = runtime_.clock->MonotonicUs();
  const int64_t wait = retry_at_us_ > now ? std::min(max_wait_us, retry_at_us_ - now) : max_wait_us;
  absl::StatusOr<PollResult> polled = consumer_->Poll(wait, runtime_.options.poll_records);
  absl::Status status;
  if (!polled.ok()) {
    status = ActionFor(polled.status()) == Action::kRetry ? absl::OkStatus() : polled.status();
  } else if (polled->rebalance) {
    status = OnRebalance(*polled->rebalance);
  } else if (!running_) {
    if (!assigned_.empty() && runtime_.clock->MonotonicUs() >= retry_at_us_) status = TakeOver();
  } else {
    for (const std::unique_ptr<Fetch>& fetch : polled->fetches) {
      status = Take(*fetch);
      if (!status.ok()) break;
    }
    for (const auto& [partition, end] : polled->ends) {
      Offset& position = positions_[partition.partition];
      position = std::max(position, end);
    }
    if (status.ok()) status = WritePending();
    if (status.ok() && pending_.empty()) {
      status = feed_sink_->Tick(positions_, runtime_.control->flush_sinks.load(std::memory_order_relaxed));
    }
  }
  status = Handle(status);
  Publish();
  return status;
}

absl::Status SinkThread::OnRebalance(const Rebalance& rebalance) {
  pending_.clear();
  paused_ = false;
  positions_.clear();
  absl::Status status;
  if (running_) status = feed_sink_->Dropped(rebalance.kind == Rebalance::Kind::kLost);
  if (!status.ok()) LOG(WARNING) << "sink " << plan_.name << ": giving up partitions: " << status;
  running_ = false;
  assigned_.clear();
  group_.reset();
  if (rebalance.kind != Rebalance::Kind::kAssigned) return consumer_->Unassign();
  group_ = consumer_->Group();
  if (!group_->valid()) return consumer_->Unassign();
  assigned_ = rebalance.partitions;
  return consumer_->AssignPaused(assigned_);
}

absl::Status SinkThread::TakeOver() {
  std::vector<int32_t> partitions;
  for (const TopicPartition& partition : assigned_) partitions.push_back(partition.partition);
  TM_ASSIGN_OR_RETURN(const auto starts, feed_sink_->Assigned(partitions, consumer_.get(), group_));
  std::vector<std::pair<TopicPartition, Offset>> positions;
  positions_.clear();
  for (const auto& [partition, start] : starts) {
    const TopicPartition feed{edge_.topic, partition};
    Offset position = start;
    if (position < 0) {
      TM_ASSIGN_OR_RETURN(position, runtime_.kafka->admin().LogStart(feed));
    }
    positions.emplace_back(feed, position);
    positions_[partition] = position;
  }
  TM_RETURN_IF_ERROR(consumer_->Assign(positions));
  pending_.clear();
  paused_ = false;
  running_ = true;
  last_success_us_ = runtime_.clock->MonotonicUs();
  last_error_.clear();
  failures_ = 0;
  return absl::OkStatus();
}

absl::Status SinkThread::Take(const Fetch& fetch) {
  if (fetch.records().empty()) return absl::OkStatus();
  FeedRows rows;
  rows.partition = fetch.source().partition;
  rows.first = positions_[rows.partition];
  rows.next = fetch.records().back().offset + 1;
  for (const RecordView& record : fetch.records()) {
    absl::StatusOr<UnpackedRows> unpacked = UnpackRows(record.value.value_or(""), schema_);
    if (!unpacked.ok()) {
      return Annotate(unpacked.status(), absl::StrCat(ToString(fetch.source()), "@", record.offset));
    }
    if (unpacked->rows != nullptr && unpacked->rows->num_rows() > 0) rows.batches.push_back(std::move(unpacked->rows));
  }
  positions_[rows.partition] = rows.next;
  pending_.push_back(std::move(rows));
  return absl::OkStatus();
}

absl::Status SinkThread::WritePending() {
  if (runtime_.clock->MonotonicUs() < retry_at_us_) return absl::OkStatus();
  while (!pending_.empty()) {
    TM_RETURN_IF_ERROR(feed_sink_->Write(pending_.front()));
    pending_.erase(pending_.begin());
    last_success_us_ = runtime_.clock->MonotonicUs();
    last_error_.clear();
    failures_ = 0;
  }
  if (paused_) {
    paused_ = false;
    return consumer_->Resume(assigned_);
  }
  return absl::OkStatus();
}

// The same again after a pause, which grows (meanwhile nothing more is fetched, and the group goes on being polled), or
// take over anew, or the end: as the table of errors has it (src/base/action.h).
absl::Status SinkThread::Handle(const absl::Status& status) {
  if (status.ok()) return status;
  if (!Recoverable(status)) return status;
  const bool anew = ActionFor(status) != Action::kRetry;
  ++failures_;
  retry_at_us_ = runtime_.clock->MonotonicUs() +
                 std::min<int64_t>(5 * kSecond, 20 * kMillisecond << std::min(failures_, 10));
  if (last_error_ != status.message())
    LOG(WARNING) << "sink " << plan_.name << ": " << status.message() << "; trying again";
  last_error_ = std::string(status.message());
  if (anew && running_) {
    running_ = false;
    pending_.clear();
    return consumer_->AssignPaused(assigned_);
  }
  if (running_ && !paused_) {
    paused_ = true;
    return consumer_->Pause(assigned_);
  }
  return absl::OkStatus();
}

absl::Status SinkThread::Stop(bool leave_group) {
  absl::Status status;
  if (running_) status = feed_sink_->Dropped(false);
  if (consumer_ != nullptr) {
    const absl::Status closed = consumer_->Close(leave_group);
    if (status.ok()) status = closed;
  }
  return status;
}

void SinkThread::Publish() {
  const absl::MutexLock lock(&mutex_);
  status_.sink = plan_.name;
  // A member that got no partition has nothing to wait for.
  status_.assigned = running_ || (group_ != nullptr && assigned_.empty());
  status_.rows = feed_sink_->rows_written();
  status_.refused = feed_sink_->rows_refused();
  status_.last_success_us = last_success_us_;
  status_.last_step_us = runtime_.clock->MonotonicUs();
  status_.last_error = last_error_;
  status_.positions.clear();
  for (const auto& [partition, position] : positions_) status_.positions[{edge_.topic, partition}] = position;
  status_.trims = feed_sink_->Trims();
}

SinkStatus SinkThread::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
