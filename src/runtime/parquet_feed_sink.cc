#include "src/runtime/parquet_feed_sink.h"

#include <algorithm>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/status.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// Positions that only passed watermarks are committed this often.
constexpr int64_t kTellUs = 10 * kSecond;

}  // namespace

ParquetFeedSink::ParquetFeedSink(const Runtime& runtime, int sink)
    : ParquetFeedSink(runtime, sink, [this] { return OpenLake(std::get<ParquetSinkSpec>(plan_.spec).path); }) {}

ParquetFeedSink::ParquetFeedSink(const Runtime& runtime, int sink, LakeOpener open_lake)
    : runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      edge_(FeedOf(*runtime.plan, sink)),
      open_lake_(std::move(open_lake)) {}

ParquetFeedSink::~ParquetFeedSink() = default;

absl::Status ParquetFeedSink::NewProducer() {
  producer_.reset();
  ProducerOptions options;
  options.transactional_id = absl::StrCat(runtime_.plan->name, ".", plan_.name, "-", runtime_.options.instance_id);
  options.client_id = options.transactional_id;
  options.written_topics = {ManifestTopic(*runtime_.plan, plan_)};
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Producer> producer, runtime_.kafka->NewProducer(options));
  TM_RETURN_IF_ERROR(producer->InitTransactions());
  producer_ = std::move(producer);
  return absl::OkStatus();
}

// init_transactions comes first, so that nothing this id has begun is undecided; then the group's offsets; then the
// manifests, up to the high watermark: the same order as for a task's changelog.
absl::StatusOr<std::map<int32_t, Offset>> ParquetFeedSink::Assigned(const std::vector<int32_t>& partitions,
                                                                    Consumer* consumer,
                                                                    std::shared_ptr<const GroupMetadata> group) {
  parts_.clear();
  unpublished_.clear();
  group_ = std::move(group);
  if (lake_ == nullptr) {
    TM_ASSIGN_OR_RETURN(lake_, open_lake_());
  }
  TM_RETURN_IF_ERROR(NewProducer());
  std::vector<TopicPartition> feed;
  for (const int32_t partition : partitions) feed.push_back({edge_.topic, partition});
  TM_ASSIGN_OR_RETURN(const auto committed, consumer->Committed(feed));
  TM_ASSIGN_OR_RETURN(const auto manifests, ReadManifests(partitions));
  std::map<int32_t, Offset> starts;
  for (const int32_t partition : partitions) {
    const auto manifest = manifests.find(partition);
    TM_RETURN_IF_ERROR(Open(partition, manifest == manifests.end() ? nullptr : &manifest->second));
    Part& part = parts_[partition];
    part.committed = committed.at({edge_.topic, partition}).offset;
    // Groups expire after seven idle days; the manifest doesn't.
    if (part.committed < 0 && manifest != manifests.end()) part.committed = manifest->second.next_offset();
    part.reached = part.committed;
    starts[partition] = part.committed;
  }
  return starts;
}

absl::StatusOr<std::map<int32_t, packed::Manifest>> ParquetFeedSink::ReadManifests(
    const std::vector<int32_t>& partitions) {
  std::map<int32_t, packed::Manifest> newest;
  std::map<TopicPartition, Offset> targets;
  std::vector<std::pair<TopicPartition, Offset>> positions;
  for (const int32_t partition : partitions) {
    const TopicPartition log{ManifestTopic(*runtime_.plan, plan_), partition};
    TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log, Isolation::kReadUncommitted));
    TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log));
    if (start >= end) continue;
    targets[log] = end;
    positions.emplace_back(log, start);
  }
  if (targets.empty()) return newest;
  TM_ASSIGN_OR_RETURN(const auto reader, runtime_.kafka->NewConsumer({.client_id = plan_.name + "-manifests"}));
  TM_RETURN_IF_ERROR(reader->Assign(positions));
  const int64_t deadline = runtime_.clock->MonotonicUs() + 20 * kSecond;
  while (!targets.empty()) {
    if (runtime_.clock->MonotonicUs() > deadline) return absl::UnavailableError("reading manifests takes too long");
    TM_ASSIGN_OR_RETURN(const PollResult polled, reader->Poll(kSecond / 10, 1000));
    const auto reached = [&](const TopicPartition& log, Offset position) {
      const auto it = targets.find(log);
      if (it != targets.end() && position >= it->second) targets.erase(it);
    };
    for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
      for (const RecordView& record : fetch->records()) {
        packed::Manifest manifest;
        if (!manifest.ParseFromArray(record.value.value_or("").data(),
                                     static_cast<int>(record.value.value_or("").size()))) {
          return absl::DataLossError(absl::StrCat(ToString(fetch->source()), "@", record.offset, ": not a manifest"));
        }
        newest[fetch->source().partition] = std::move(manifest);
        reached(fetch->source(), record.offset + 1);
      }
    }
    for (const auto& [log, end] : polled.ends) reached(log, end);
  }
  TM_RETURN_IF_ERROR(reader->Close(false));
  return newest;
}

absl::Status ParquetFeedSink::Open(int32_t partition, const packed::Manifest* manifest) {
  Part& part = parts_[partition];
  part.identity = manifest != nullptr ? manifest->identity() : runtime_.new_identity();
  ParquetSinkOptions options;
  options.spec = std::get<ParquetSinkSpec>(plan_.spec);
  options.sink = plan_.name;
  options.schema = plan_.schema;
  options.mode = plan_.mode;
  options.identity = part.identity;
  options.partition = partition;
  const std::string attempt = runtime_.new_identity();
  std::memcpy(&options.attempt, attempt.data(), sizeof options.attempt);
  TM_ASSIGN_OR_RETURN(part.sink, ParquetSink::Open(std::move(options), lake_.get()));
  return part.sink->Recover(manifest);
}

absl::Status ParquetFeedSink::Write(const FeedRows& rows) {
  TM_RETURN_IF_ERROR(PublishAll());
  const auto it = parts_.find(rows.partition);
  if (it == parts_.end()) return absl::InternalError("rows of a partition that isn't owned");
  Part& part = it->second;
  Offset first = rows.first;
  for (size_t i = 0; i < rows.batches.size(); ++i) {
    // The batches of one piece share its offsets: the last one closes the range.
    const Offset next = i + 1 == rows.batches.size() ? rows.next : first;
    TM_RETURN_IF_ERROR(part.sink->Add(rows.batches[i], first, next, runtime_.clock->WallUs(), &part.refused));
    part.rows += rows.batches[i]->num_rows();
    first = next;
  }
  part.reached = rows.next;
  return part.sink->ShouldCut(runtime_.clock->WallUs()) ? Cut() : absl::OkStatus();
}

absl::Status ParquetFeedSink::Tick(const std::map<int32_t, Offset>& positions, bool flush) {
  TM_RETURN_IF_ERROR(PublishAll());
  const int64_t now = runtime_.clock->WallUs();
  bool due = false, owed = false;
  for (auto& [partition, part] : parts_) {
    const auto position = positions.find(partition);
    if (position != positions.end()) part.reached = std::max(part.reached, position->second);
    due |= part.sink->ShouldCut(now);
    owed |= part.reached > part.committed;
  }
  const int64_t monotonic = runtime_.clock->MonotonicUs();
  bool rows = false;
  for (const auto& [partition, part] : parts_) rows |= part.rows > 0;
  if (owed && !rows && monotonic - told_at_us_ >= (runtime_.control->until_end ? 0 : kTellUs)) due = true;
  return due || (flush && owed) ? Cut() : absl::OkStatus();
}

absl::Status ParquetFeedSink::Cut() {
  told_at_us_ = runtime_.clock->MonotonicUs();
  std::map<int32_t, packed::Manifest> manifests;
  for (auto& [partition, part] : parts_) {
    if (part.rows == 0) continue;
    TM_ASSIGN_OR_RETURN(manifests[partition], part.sink->Cut());
  }
  TM_RETURN_IF_ERROR(Failpoint("sink_parquet.before_decision"));
  const absl::Status decided = Decide(manifests);
  if (!decided.ok()) {
    // Whether it was decided or not, the next Assigned reads it from the log.
    return Recoverable(decided) ? absl::AbortedError(decided.message()) : decided;
  }
  unpublished_ = std::move(manifests);
  TM_RETURN_IF_ERROR(Failpoint("sink_parquet.after_decision"));
  return PublishAll();
}

absl::Status ParquetFeedSink::Decide(const std::map<int32_t, packed::Manifest>& manifests) {
  Transaction transaction(producer_.get(), runtime_.options.commit_bytes);
  const absl::Status produced = ProduceDecision(manifests, &transaction);
  if (!produced.ok()) {
    if (transaction.open()) (void)producer_->Abort();
    return produced;
  }
  std::string error;
  switch (producer_->Commit(&error)) {
    case CommitOutcome::kCommitted: break;
    case CommitOutcome::kAborted:
      (void)producer_->Abort();
      return absl::AbortedError("commit: " + error);
    case CommitOutcome::kUnknown: return absl::UnknownError("commit: " + error);
    case CommitOutcome::kFenced: return absl::CancelledError("commit: " + error);
  }
  for (auto& [partition, part] : parts_) {
    part.committed = part.reached;
    refused_ += static_cast<int64_t>(part.refused.size());
    rows_ += part.rows - static_cast<int64_t>(part.refused.size());
    part.rows = 0;
    part.refused.clear();
    const auto written = producer_->Written({ManifestTopic(*runtime_.plan, plan_), partition});
    if (written) part.manifest_offset = written->first;
  }
  return absl::OkStatus();
}

absl::Status ParquetFeedSink::ProduceDecision(const std::map<int32_t, packed::Manifest>& manifests,
                                              Transaction* transaction) {
  for (const auto& [partition, manifest] : manifests) {
    const std::string value = manifest.SerializeAsString();
    TM_RETURN_IF_ERROR(
        transaction->Produce(ManifestTopic(*runtime_.plan, plan_), {{partition, std::nullopt, value, nullptr}}));
  }
  const std::string& dead = runtime_.plan->dead_letter_topic;
  std::vector<OffsetToCommit> offsets;
  for (const auto& [partition, part] : parts_) {
    DeadLetters letters(dead, runtime_.partitions.at(dead), partition, transaction);
    for (const SinkRowFailure& failure : part.refused) {
      TM_RETURN_IF_ERROR(letters.Text(plan_.name, {edge_.topic, partition}, failure.row_json, failure.reason));
    }
    if (part.reached >= 0) offsets.push_back({{edge_.topic, partition}, part.reached, ""});
  }
  TM_RETURN_IF_ERROR(transaction->BeginIfClosed());
  TM_RETURN_IF_ERROR(producer_->Flush());
  return producer_->SendOffsets(offsets, *group_);
}

absl::Status ParquetFeedSink::PublishAll() {
  while (!unpublished_.empty()) {
    const auto it = unpublished_.begin();
    TM_RETURN_IF_ERROR(parts_.at(it->first).sink->Publish(it->second));
    unpublished_.erase(it);
  }
  return absl::OkStatus();
}

absl::Status ParquetFeedSink::Dropped(bool lost) {
  absl::Status status;
  const bool owed = std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.second.rows > 0; });
  if (!lost && owed) status = Cut();
  for (auto& [partition, part] : parts_) part.sink->Abandon();
  parts_.clear();
  unpublished_.clear();  // whoever opens the partition next moves them
  return status;
}

std::map<TopicPartition, Offset> ParquetFeedSink::Trims() const {
  std::map<TopicPartition, Offset> trims;
  for (const auto& [partition, part] : parts_) {
    if (part.committed > 0) trims[{edge_.topic, partition}] = part.committed;
    if (part.manifest_offset > 0) trims[{ManifestTopic(*runtime_.plan, plan_), partition}] = part.manifest_offset;
  }
  return trims;
}

}  // namespace tidemark
