#include "src/runtime/postgres_feed_sink.h"

#include <algorithm>
#include <iterator>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/whole_commits.h"

namespace tidemark {
namespace {

constexpr int64_t kTakenBytes = 8 << 20;

// What its time goes to, behind FeedSink's own.
enum : size_t { kStatements = FeedSink::kOwn, kCommit };
const char* const kActivities[] = {"running statements in PostgreSQL", "PostgreSQL COMMIT"};

}  // namespace

PostgresFeedSink::PostgresFeedSink(const Runtime& runtime, int sink)
    : PostgresFeedSink(runtime, sink, [this] {
        return PostgresSink::Open(std::get<PostgresSinkSpec>(plan_.spec), runtime_.plan->application.Key(),
                                  plan_.kept_as(), plan_.schema, plan_.mode, &interrupted_);
      }) {}

PostgresFeedSink::PostgresFeedSink(const Runtime& runtime, int sink, Connector connect)
    : FeedSink(runtime.clock, {std::begin(kActivities), std::end(kActivities)}),
      runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      edge_(FeedOf(*runtime.plan, sink)),
      whole_(ShowsBatchesWhole(*runtime.plan, sink) && !ShowsTransactionsWhole(*runtime.plan, sink)),
      connect_(std::move(connect)),
      letters_(runtime, plan_, edge_.topic) {}

absl::Status PostgresFeedSink::Open() {
  if (sink_ != nullptr) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(sink_, connect_());
  if (whole_) sink_->RefuseWhole();
  sink_->Measure(&spent(), kCommit);
  return absl::OkStatus();
}

absl::StatusOr<std::map<int32_t, FeedPosition>> PostgresFeedSink::Assigned(const std::vector<int32_t>& partitions,
                                                                           Consumer* consumer,
                                                                           std::shared_ptr<const GroupMetadata>) {
  Drop();
  consumer_ = consumer;
  TM_RETURN_IF_ERROR(Open());
  std::map<int32_t, FeedPosition> starts;
  for (const int32_t partition : partitions) {
    TM_ASSIGN_OR_RETURN(const PostgresFence fence, sink_->Acquire(partition));
    next_[partition] = fence.next_offset;
    starts[partition] = {fence.next_offset, fence.heard};
  }
  return starts;
}

void PostgresFeedSink::Drop() {
  settled_ = false;
  taken_.clear();
  taken_bytes_ = 0;
  if (sink_ != nullptr) {
    for (const auto& [partition, next] : next_) sink_->Release(partition);
  }
  next_.clear();
  written_.clear();
  committed_.clear();
}

absl::Status PostgresFeedSink::Dropped(bool lost) {
  absl::Status status;
  if (!lost) {
    status = Tell(written_);
  }
  Drop();
  return status;
}

void PostgresFeedSink::Take(FeedRows rows) {
  if (rows.batches.empty()) return;
  for (const Batch& batch : rows.batches) taken_bytes_ += BatchBytes(*batch);
  taken_.push_back(std::move(rows));
}

bool PostgresFeedSink::Full() const { return taken_bytes_ >= kTakenBytes; }

absl::Status PostgresFeedSink::Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) {
  while (!taken_.empty()) {
    TM_RETURN_IF_ERROR(Write(taken_.front()));
    for (const Batch& batch : taken_.front().batches) taken_bytes_ -= BatchBytes(*batch);
    taken_.pop_front();
  }
  settled_ = std::all_of(positions.begin(), positions.end(), [](const auto& p) { return p.second.ended; });
  const int64_t now = runtime_.clock->MonotonicUs();
  if (!flush && !runtime_.control->until_end && now - told_at_us_ < kSecond) return absl::OkStatus();
  std::map<int32_t, Offset> reached;
  for (const auto& [partition, position] : positions) {
    if (position.read) reached[partition] = position.next;
  }
  return Tell(reached);
}

absl::Status PostgresFeedSink::Write(const FeedRows& rows) {
  const auto next = next_.find(rows.partition);
  if (next == next_.end()) return absl::InternalError("rows of a partition that isn't owned");
  int64_t refused = 0;
  const auto failures = [&](const std::vector<SinkRowFailure>& failed) {
    refused += static_cast<int64_t>(failed.size());
    return letters_.Send(rows.partition, failed);
  };
  TM_RETURN_IF_ERROR(sink_->Write(rows.partition, next->second, rows.next, rows.heard, rows.batches, failures));
  next->second = written_[rows.partition] = rows.next;
  ++decisions_;
  for (const Batch& batch : rows.batches) rows_ += batch->num_rows();
  rows_ -= refused;
  refused_ += refused;
  return absl::OkStatus();
}

absl::Status PostgresFeedSink::Tell(const std::map<int32_t, Offset>& positions) {
  std::vector<OffsetToCommit> offsets;
  for (const auto& [partition, position] : positions) {
    const Offset told = committed_.try_emplace(partition, -1).first->second;
    if (position >= 0 && told < position) offsets.push_back({{edge_.topic, partition}, position, ""});
  }
  told_at_us_ = runtime_.clock->MonotonicUs();
  if (offsets.empty()) return absl::OkStatus();
  const absl::Status told = consumer_->CommitOffsets(offsets);
  // A member that was cut off for longer than its session is called fenced here, by the echo of its former self.
  // Whether it is, the next poll tells; the offsets are a hint for others, and the row in the database is where it
  // stands.
  if (absl::IsPermissionDenied(told)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(told);
  for (const OffsetToCommit& offset : offsets) committed_[offset.partition.partition] = offset.offset;
  return absl::OkStatus();
}

std::map<TopicPartition, Offset> PostgresFeedSink::Trims() const {
  std::map<TopicPartition, Offset> trims;
  for (const auto& [partition, next] : next_) {
    if (next > 0) trims[{edge_.topic, partition}] = next;
  }
  return trims;
}

}  // namespace tidemark
