// The Parquet sink on its feed. All files of a cut are staged and synced first; then ONE Kafka transaction with the
// feed's offsets and a manifest record for each partition is the decision; then the files move to their final names.
// Manifests live in "<application>.<sink>.changelog", whose newest record of a partition is what a new owner publishes
// again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operators/lake.h"
#include "operators/sink_parquet.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/transaction.h"

namespace tidemark {

class ParquetFeedSink final : public FeedSink {
 public:
  // Opens the lake; called again where that failed.
  using LakeOpener = std::function<absl::StatusOr<std::unique_ptr<Lake>>()>;

  ParquetFeedSink(const Runtime& runtime, int sink);
  // The same over another lake: the simulator, tests.
  ParquetFeedSink(const Runtime& runtime, int sink, LakeOpener open_lake);
  ~ParquetFeedSink() override;

  absl::StatusOr<std::map<int32_t, Offset>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                     std::shared_ptr<const GroupMetadata> group) override;
  absl::Status Dropped(bool lost) override;
  absl::Status Write(const FeedRows& rows) override;
  absl::Status Tick(const std::map<int32_t, Offset>& positions, bool flush) override;
  std::map<TopicPartition, Offset> Trims() const override;
  int64_t rows_written() const override { return rows_; }
  int64_t rows_refused() const override { return refused_; }

 private:
  // One partition of the feed.
  struct Part {
    std::unique_ptr<ParquetSink> sink;
    std::string identity;
    Offset committed = -1;        // in Kafka
    Offset reached = -1;          // rows given to `sink`, or positions past control records
    Offset manifest_offset = -1;  // of the newest manifest; older ones may be trimmed
    std::vector<SinkRowFailure> refused;  // since the last cut
    int64_t rows = 0;                     // since the last cut
  };

  absl::Status NewProducer();
  absl::StatusOr<std::map<int32_t, packed::Manifest>> ReadManifests(const std::vector<int32_t>& partitions);
  absl::Status Open(int32_t partition, const packed::Manifest* manifest);
  absl::Status Cut();
  absl::Status Decide(const std::map<int32_t, packed::Manifest>& manifests);
  absl::Status ProduceDecision(const std::map<int32_t, packed::Manifest>& manifests, Transaction* transaction);
  absl::Status PublishAll();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  const LakeOpener open_lake_;
  std::unique_ptr<Lake> lake_;
  std::unique_ptr<Producer> producer_;
  std::shared_ptr<const GroupMetadata> group_;
  std::map<int32_t, Part> parts_;
  std::map<int32_t, packed::Manifest> unpublished_;  // decided, files not all moved yet
  int64_t told_at_us_ = 0;
  int64_t rows_ = 0, refused_ = 0;
};

}  // namespace tidemark
