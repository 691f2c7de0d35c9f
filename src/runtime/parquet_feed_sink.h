// The Parquet sink on its feed. All files of a cut are staged and synced first; then ONE Kafka transaction with the
// feed's offsets and a manifest record for each partition is the decision; then the files move to their final names.
//
// Manifests live in "<application>.<sink>.changelog". The newest of a partition is its position (the group's offset is
// the same, and is checked against it) and what a new owner publishes again; one without files moves the position
// alone. They are numbered by partition, so that one that is missing shows. A partition's first manifest is written
// before its first file, so that the identity in the names of its stages is known to whoever has to delete them.
//
// A folder whose disk isn't mounted is an empty folder that takes what is written to it. So the sink leaves its mark in
// the lake before its first manifest, what stands beside the group's offsets says so, and from then on a lake without
// the mark is one that is away: nothing is moved there, and nothing decided.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operators/sinks/parquet/sink.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/transaction.h"
#include "src/storage/object_store.h"

namespace tidemark {

class ParquetFeedSink final : public FeedSink {
 public:
  // Opens the lake; called again where that failed.
  using LakeOpener = std::function<absl::StatusOr<std::unique_ptr<ObjectStore>>()>;

  ParquetFeedSink(const Runtime& runtime, int sink);
  // The same over another lake: the simulator, tests.
  ParquetFeedSink(const Runtime& runtime, int sink, LakeOpener open_lake);
  ~ParquetFeedSink() override;

  absl::Status Open() override;
  absl::StatusOr<std::map<int32_t, FeedPosition>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                           std::shared_ptr<const GroupMetadata> group) override;
  absl::Status Dropped(bool lost) override;
  void Take(FeedRows rows) override;
  bool Full() const override;
  absl::Status Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) override;
  bool Holds() const override;
  bool Settled() const override { return settled_; }
  void Interrupt() override { interrupted_ = true; }
  std::map<TopicPartition, Offset> Trims() const override;
  int64_t decisions() const override { return decisions_; }
  int64_t rows_written() const override { return rows_; }
  int64_t rows_refused() const override { return refused_; }

 private:
  //            Assigned                  decided                   all files moved
  //   kNothing --------> kGathering ------------------> kPublishing --------------> kGathering
  //      ^                   |                              |
  //      |    any failure    |     partitions go            |  a failure: tried again, for as long as it takes
  //      +-------------------+------------------------------+
  enum class State {
    kNothing,     // nothing is held: no partitions, or what was held was dropped after a failure
    kGathering,   // rows go into files; nothing of them is decided
    kPublishing,  // a cut is decided and its files aren't all moved: rows are taken, but no file is written
  };
  // One partition of the feed.
  struct Part {
    std::unique_ptr<ParquetSink> sink;
    std::string identity;
    uint64_t number = 0;                  // of the newest manifest; 0: none, or an earlier version's
    FeedPosition committed;               // decided
    FeedPosition reached;                 // rows given to `sink`, or positions past control records
    Offset manifest_offset = -1;          // of the newest manifest; older ones may be trimmed
    std::vector<SinkRowFailure> refused;  // since the last cut
    int64_t refused_bytes = 0;            // of them
    int64_t rows = 0;                     // since the last cut, refused ones included

    bool owes() const { return reached.next > committed.next; }
  };
  using Manifests = std::map<int32_t, packed::Manifest>;

  absl::Status NewProducer();
  absl::StatusOr<Manifests> ReadManifests(const std::vector<int32_t>& partitions);
  absl::Status CheckAgainstGroup(int32_t partition, const packed::Manifest* manifest,
                                 const CommittedOffset& committed) const;
  absl::Status OpenPart(int32_t partition, const packed::Manifest* manifest, const CommittedOffset& committed);
  absl::Status LeaveMark(const Manifests& manifests);
  absl::Status LookForMark();
  absl::Status LookForFiles(const Manifests& manifests);
  absl::Status NotTheLake() const;
  absl::Status ConfirmOwner(const OffsetToCommit& offset);
  absl::Status WriteFirstManifests();
  absl::Status Gather();
  absl::Status GatherRows(const FeedRows& rows);
  absl::Status SpillOver();
  bool CutIsDue(bool flush) const;
  absl::Status Cut();
  packed::Manifest NewManifest(int32_t partition, const Part& part) const;
  absl::Status Decide(const Manifests& manifests);
  absl::Status ProduceDecision(const Manifests& manifests, Transaction* transaction);
  absl::Status Commit();
  void GiveUpProducer(bool may_abort);
  absl::Status PublishAll();
  absl::Status Failed(const absl::Status& status);
  void Drop();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  const std::string manifest_topic_;
  const std::string mark_;      // its name in the lake
  const int64_t buffer_bytes_;  // of all partitions
  std::atomic<bool> interrupted_{false};
  const LakeOpener open_lake_;
  std::unique_ptr<ObjectStore> lake_;
  std::unique_ptr<Producer> producer_;  // null: its transaction has failed, and the next Assigned makes another
  int64_t limits_version_ = 0;          // that it keeps to
  std::shared_ptr<const GroupMetadata> group_;

  State state_ = State::kNothing;
  // False from before a decision until its files are moved: whoever sees the decision in Kafka sees this too.
  std::atomic<bool> settled_{false};
  std::map<int32_t, Part> parts_;
  std::deque<FeedRows> taken_;  // not gathered yet
  int64_t taken_bytes_ = 0;
  Manifests unpublished_;      // decided, files not all moved yet
  int64_t decided_at_us_ = 0;  // of the last decision, or its attempt
  int64_t decisions_ = 0, rows_ = 0, refused_ = 0;
};

}  // namespace tidemark
