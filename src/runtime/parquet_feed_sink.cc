#include "src/runtime/parquet_feed_sink.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <arrow/io/interfaces.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/kept_format.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/heard.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/topics.h"
#include "src/storage/interruptible_store.h"

namespace tidemark {
namespace {

// Positions that only passed watermarks and refused rows are committed this often.
constexpr int64_t kTellUs = 10 * kSecond;
// So much of refused rows makes a cut due: they go into one transaction.
constexpr int64_t kRefusedBytes = 4 << 20;
// Rows that are kept beside those in files: while files can't be moved, and on their way.
constexpr int64_t kTakenBytes = 8 << 20;
// What its time goes to, behind FeedSink's own.
enum : size_t { kGathers = FeedSink::kOwn, kCloses, kDecides, kMoves };
const char* const kActivities[] = {"writing rows to Parquet files", "closing Parquet files, which uploads them",
                                   "Kafka's commit of a cut", "moving files to their places"};
// What stands beside the group's offset: which manifest was written in the same transaction, and, unless an earlier
// version wrote it, that the lake bears the sink's mark.
constexpr char kMetadata[] = "tidemark:manifest:";
constexpr char kMarked[] = " marked";

std::string MetadataOf(uint64_t number) { return absl::StrCat(kMetadata, number, kMarked); }

bool IsMarked(const std::string& metadata) {
  return absl::StartsWith(metadata, kMetadata) && absl::EndsWith(metadata, kMarked);
}

// Of the manifest; none where an earlier version moved the offset alone.
std::optional<uint64_t> NumberIn(const std::string& metadata) {
  uint64_t number = 0;
  if (!absl::StartsWith(metadata, kMetadata)) return std::nullopt;
  const auto text = absl::StripSuffix(absl::StripPrefix(metadata, kMetadata), kMarked);
  return absl::SimpleAtoi(text, &number) ? std::optional(number) : std::nullopt;
}

// A lake that was open once is waited for, whatever it says: a user who takes rights or room away can give them back,
// and stopping would stop all other sinks of the process. What contradicts what was decided stays an error.
absl::Status OfLake(const absl::Status& status) {
  if (status.ok() || absl::IsFailedPrecondition(status) || absl::IsInternal(status)) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace

ParquetFeedSink::ParquetFeedSink(const Runtime& runtime, int sink)
    : ParquetFeedSink(runtime, sink, [this] { return OpenObjectStore(std::get<ParquetSinkSpec>(plan_.spec).path); }) {}

ParquetFeedSink::ParquetFeedSink(const Runtime& runtime, int sink, LakeOpener open_lake)
    : FeedSink(runtime.clock, {std::begin(kActivities), std::end(kActivities)}),
      runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      edge_(FeedOf(*runtime.plan, sink)),
      manifest_topic_(runtime.plan->application.ManifestTopic(plan_.kept_as())),
      mark_(absl::StrCat("_", runtime.plan->application.SinkGroup(plan_.kept_as()), ".mark")),
      buffer_bytes_(std::clamp<int64_t>(runtime.plan->memory_bytes / 32, int64_t{8} << 20, int64_t{64} << 20)),
      open_lake_(std::move(open_lake)) {}

ParquetFeedSink::~ParquetFeedSink() = default;

absl::Status ParquetFeedSink::Open() {
  if (lake_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<ObjectStore>> lake = open_lake_();
  if (!lake.ok()) {
    const absl::Status status = Annotate(lake.status(), absl::StrCat("sink ", plan_.name));
    return absl::IsInvalidArgument(status) ? status : OfLake(status);
  }
  lake_ = std::make_unique<InterruptibleObjectStore>(*std::move(lake), &interrupted_);
  return absl::OkStatus();
}

absl::Status ParquetFeedSink::NewProducer() {
  producer_.reset();
  ProducerOptions options;
  options.transactional_id =
      runtime_.plan->application.SinkTransactionalId(plan_.kept_as(), runtime_.options.instance_id);
  options.client_id = options.transactional_id;
  limits_version_ = LimitsVersion(runtime_);
  options.batch_bytes = ProducerBatchBytes(runtime_);
  options.give_up = runtime_.GiveUpAtStop();
  options.written_topics = {manifest_topic_};
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Producer> producer, runtime_.kafka->NewProducer(options));
  TM_RETURN_IF_ERROR(producer->InitTransactions());
  producer_ = std::move(producer);
  return absl::OkStatus();
}

// init_transactions comes first, so that nothing this id has begun is undecided; then the group's offsets; then the
// manifests, up to the high watermark: the same order as for a task's changelog.
absl::StatusOr<std::map<int32_t, FeedPosition>> ParquetFeedSink::Assigned(const std::vector<int32_t>& partitions,
                                                                          Consumer* consumer,
                                                                          std::shared_ptr<const GroupMetadata> group) {
  Drop();
  group_ = std::move(group);
  TM_RETURN_IF_ERROR(Open());
  TM_RETURN_IF_ERROR(NewProducer());
  std::vector<TopicPartition> feed;  // all of it: whoever was the first has left the mark
  for (int32_t p = 0; p < runtime_.partitions.at(edge_.topic); ++p) feed.push_back({edge_.topic, p});
  TM_ASSIGN_OR_RETURN(const auto committed, consumer->Committed(feed));
  TM_ASSIGN_OR_RETURN(const Manifests manifests, ReadManifests(partitions));
  const bool marked = std::any_of(committed.begin(), committed.end(), [](const auto& partition_and_offset) {
    return IsMarked(partition_and_offset.second.metadata);
  });
  TM_RETURN_IF_ERROR(OfLake(marked ? LookForMark() : LeaveMark(manifests)));
  for (const int32_t partition : partitions) {
    const auto found = manifests.find(partition);
    const packed::Manifest* manifest = found == manifests.end() ? nullptr : &found->second;
    const CommittedOffset& of_group = committed.at({edge_.topic, partition});
    TM_RETURN_IF_ERROR(CheckAgainstGroup(partition, manifest, of_group));
    TM_RETURN_IF_ERROR(OpenPart(partition, manifest, of_group));
  }
  // What of a manifest wasn't found was taken away since, if this is the lake still.
  TM_RETURN_IF_ERROR(OfLake(LookForMark()));
  TM_RETURN_IF_ERROR(WriteFirstManifests());
  state_ = State::kGathering;
  settled_ = true;
  std::map<int32_t, FeedPosition> starts;
  for (const auto& [partition, part] : parts_) starts[partition] = part.committed;
  return starts;
}

absl::StatusOr<ParquetFeedSink::Manifests> ParquetFeedSink::ReadManifests(const std::vector<int32_t>& partitions) {
  Manifests newest;
  std::map<TopicPartition, Offset> targets;
  std::vector<std::pair<TopicPartition, Offset>> positions;
  for (const int32_t partition : partitions) {
    const TopicPartition log{manifest_topic_, partition};
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
    if (interrupted_) return absl::UnavailableError("interrupted");
    if (runtime_.clock->MonotonicUs() > deadline) return absl::UnavailableError("reading manifests takes too long");
    const absl::StatusOr<PollResult> polled = reader->Poll(kSecond / 10, 1000);
    // The former owner may trim what a newer manifest has replaced, while it is read here.
    if (absl::IsOutOfRange(polled.status())) return absl::UnavailableError(polled.status().message());
    if (!polled.ok()) return polled.status();
    const auto reached = [&](const TopicPartition& log, Offset position) {
      const auto it = targets.find(log);
      if (it != targets.end() && position >= it->second) targets.erase(it);
    };
    for (const std::unique_ptr<Fetch>& fetch : polled->fetches) {
      for (const RecordView& record : fetch->records()) {
        const std::string place = absl::StrCat(ToString(fetch->source()), "@", record.offset);
        const std::string_view value = record.value.value_or("");
        packed::Manifest manifest;
        if (!manifest.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          return absl::DataLossError(absl::StrCat(place, ": not a manifest"));
        }
        TM_RETURN_IF_ERROR(CheckKeptFormat(manifest.needs_format(), place));
        const auto before = newest.find(fetch->source().partition);
        if (before != newest.end() && before->second.number() != 0 && manifest.number() != 0 &&
            manifest.number() != before->second.number() + 1) {
          return absl::FailedPreconditionError(absl::StrCat(place, ": manifest ", manifest.number(),
                                                            " stands behind manifest ", before->second.number(),
                                                            "; what lies between was lost or written twice"));
        }
        newest[fetch->source().partition] = std::move(manifest);
        reached(fetch->source(), record.offset + 1);
      }
    }
    for (const auto& [log, end] : polled->ends) reached(log, end);
  }
  TM_RETURN_IF_ERROR(reader->Close(false));
  return newest;
}

// Group and manifest are written in one transaction. Groups expire, and an earlier version moved the offset alone.
absl::Status ParquetFeedSink::CheckAgainstGroup(int32_t partition, const packed::Manifest* manifest,
                                                const CommittedOffset& committed) const {
  if (committed.offset < 0) return absl::OkStatus();
  const uint64_t number = manifest == nullptr ? 0 : manifest->number();
  const Offset next = manifest == nullptr ? -1 : manifest->next_offset();
  const std::optional<uint64_t> expected = NumberIn(committed.metadata);
  const bool fits = expected      ? number == *expected && next == committed.offset
                    : number == 0 ? committed.offset >= next
                                  : committed.offset == next;
  if (fits) return absl::OkStatus();
  const TopicPartition feed{edge_.topic, partition}, log{manifest_topic_, partition};
  return absl::FailedPreconditionError(absl::StrCat(
      "the consumer group ", runtime_.plan->application.SinkGroup(plan_.kept_as()), " stands at offset ",
      committed.offset, " of ", ToString(feed), " with metadata '", committed.metadata, "', but ",
      manifest == nullptr
          ? absl::StrCat(ToString(log), " has no manifest")
          : absl::StrCat("the newest manifest in ", ToString(log), " is number ", number, ", up to offset ", next),
      ". Both come from the same transaction: was the group reset by hand, or the manifests' topic deleted? ",
      next >= 0 ? absl::StrCat("Set the group back to offset ", next, ", or give")
                : "To write the whole feed again, if it wasn't trimmed yet, delete the group; to start over, give",
      " the sink a new name"));
}

absl::Status ParquetFeedSink::OpenPart(int32_t partition, const packed::Manifest* manifest,
                                       const CommittedOffset& committed) {
  const TopicPartition feed{edge_.topic, partition};
  Part& part = parts_[partition];
  part.identity = manifest != nullptr ? manifest->identity() : runtime_.new_identity();
  part.committed.next = committed.offset;
  if (manifest != nullptr) {
    part.number = manifest->number();
    part.committed.next = std::max<Offset>(committed.offset, manifest->next_offset());
    part.committed.heard = manifest->heard();
  }
  if (part.committed.next < 0) {
    TM_ASSIGN_OR_RETURN(part.committed.next, runtime_.kafka->admin().LogStart(feed));
    part.committed.heard = Heard().ToText();  // what was trimmed of a feed that nobody has read is missed
  }
  part.reached = part.committed;
  ParquetSinkOptions options;
  options.spec = std::get<ParquetSinkSpec>(plan_.spec);
  options.sink = plan_.kept_as();
  options.schema = plan_.schema;
  options.mode = plan_.mode;
  options.identity = part.identity;
  options.partition = partition;
  const std::string attempt = runtime_.new_identity();
  std::memcpy(&options.attempt, attempt.data(), sizeof options.attempt);
  TM_ASSIGN_OR_RETURN(part.sink, ParquetSink::Open(std::move(options), lake_.get()));
  const std::string metadata = part.number > 0 ? MetadataOf(part.number) : committed.metadata;
  absl::Status owned;
  const absl::Status recovered = part.sink->Recover(manifest, [&] {
    owned = ConfirmOwner({feed, part.committed.next, metadata});
    return owned;
  });
  return owned.ok() ? OfLake(recovered) : owned;
}

// A lake that an earlier version has written, or whose group has expired, is known by its files.
absl::Status ParquetFeedSink::LookForFiles(const Manifests& manifests) {
  bool named = false;
  for (const auto& [partition, manifest] : manifests) {
    for (const packed::ManifestFile& file : manifest.files()) {
      named = true;
      for (const std::string& name : {file.final(), file.staged()}) {
        TM_ASSIGN_OR_RETURN(const bool there, lake_->Exists(name));
        if (there) return absl::OkStatus();
      }
    }
  }
  return named ? NotTheLake() : absl::OkStatus();
}

absl::Status ParquetFeedSink::NotTheLake() const {
  return absl::UnavailableError(absl::StrCat("sink ", plan_.name, ": ", std::string(lake_->path()),
                                             " isn't the lake that its files went to: it has no ", mark_,
                                             ". Is it mounted? If its files were taken away on purpose, make an empty "
                                             "file of that name there"));
}

// Only the name counts, so one whose writing has failed is as good; but it must be there after a crash.
absl::Status ParquetFeedSink::LeaveMark(const Manifests& manifests) {
  TM_ASSIGN_OR_RETURN(const bool there, lake_->Exists(mark_));
  if (!there) {
    if (!MutationActive(Mutation::kLakeMarkNotLookedFor)) TM_RETURN_IF_ERROR(LookForFiles(manifests));
    TM_ASSIGN_OR_RETURN(const auto file, lake_->Create(mark_));
    const std::string text = absl::StrCat("Files of the sink ", plan_.name, " of ", runtime_.plan->application.name,
                                          " are here. Where this one is missing, it writes none.\n");
    TM_RETURN_IF_ERROR(FromArrow(file->Write(text), "marking the lake"));
    TM_RETURN_IF_ERROR(FromArrow(file->Close(), "marking the lake"));
  }
  return lake_->Sync(mark_);
}

absl::Status ParquetFeedSink::LookForMark() {
  TM_ASSIGN_OR_RETURN(const bool there, lake_->Exists(mark_));
  return there || MutationActive(Mutation::kLakeMarkNotLookedFor) ? absl::OkStatus() : NotTheLake();
}

// The group takes offsets from the generation of this assignment as long as there is no later one: so the offset that
// stands there is sent once more.
absl::Status ParquetFeedSink::ConfirmOwner(const OffsetToCommit& offset) {
  Transaction transaction(producer_.get(), runtime_.options.commit_bytes);
  absl::Status sent = transaction.BeginIfClosed();
  if (sent.ok()) sent = producer_->SendOffsets({offset}, *group_);
  if (sent.ok()) return Commit();
  GiveUpProducer(transaction.open());
  return sent;
}

absl::Status ParquetFeedSink::WriteFirstManifests() {
  Manifests manifests;
  for (const auto& [partition, part] : parts_) {
    if (part.number == 0) manifests[partition] = NewManifest(partition, part);
  }
  return manifests.empty() ? absl::OkStatus() : Decide(manifests);
}

void ParquetFeedSink::Take(FeedRows rows) {
  for (const Batch& batch : rows.batches) taken_bytes_ += BatchBytes(*batch);
  taken_.push_back(std::move(rows));
}

bool ParquetFeedSink::Full() const { return taken_bytes_ >= kTakenBytes; }

bool ParquetFeedSink::Holds() const {
  return !taken_.empty() || !unpublished_.empty() ||
         std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.second.rows > 0; });
}

absl::Status ParquetFeedSink::Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) {
  if (state_ == State::kNothing) return absl::AbortedError("what was held has been dropped");
  TM_RETURN_IF_ERROR(Gather());
  for (auto& [partition, part] : parts_) {
    const auto position = positions.find(partition);
    if (position != positions.end() && position->second.next > part.reached.next) part.reached = position->second;
  }
  if (!CutIsDue(flush)) return absl::OkStatus();
  if (const absl::Status cut = Cut(); !cut.ok()) return Failed(cut);
  return absl::OkStatus();
}

// Brings all that was taken into files, cutting where one is due.
absl::Status ParquetFeedSink::Gather() {
  absl::Status status = PublishAll();
  while (status.ok() && !taken_.empty()) {
    const FeedRows rows = std::move(taken_.front());
    taken_.pop_front();
    for (const Batch& batch : rows.batches) taken_bytes_ -= BatchBytes(*batch);
    status = GatherRows(rows);
    if (status.ok() && CutIsDue(/*flush=*/false)) status = Cut();
  }
  return status.ok() ? status : Failed(status);
}

absl::Status ParquetFeedSink::GatherRows(const FeedRows& rows) {
  const auto it = parts_.find(rows.partition);
  if (it == parts_.end()) return absl::InternalError("rows of a partition that isn't owned");
  Part& part = it->second;
  Offset first = rows.first;
  for (size_t i = 0; i < rows.batches.size(); ++i) {
    // The batches of one piece share its offsets: the last one closes the range.
    const Offset next = i + 1 == rows.batches.size() ? rows.next : first;
    const size_t refused = part.refused.size();
    TM_RETURN_IF_ERROR(OfLake(part.sink->Add(rows.batches[i], first, next, runtime_.clock->WallUs(), &part.refused)));
    for (size_t r = refused; r < part.refused.size(); ++r) {
      part.refused_bytes += static_cast<int64_t>(part.refused[r].row_json.size() + part.refused[r].reason.size());
    }
    part.rows += rows.batches[i]->num_rows();
    first = next;
    TM_RETURN_IF_ERROR(SpillOver());
  }
  part.reached = {rows.next, rows.heard};
  return absl::OkStatus();
}

// Memory is bounded over all partitions: the largest buffer becomes a row group of its file.
absl::Status ParquetFeedSink::SpillOver() {
  while (true) {
    int64_t bytes = 0;
    Part* largest = nullptr;
    for (auto& [partition, part] : parts_) {
      bytes += part.sink->buffered_bytes();
      if (largest == nullptr || part.sink->buffered_bytes() > largest->sink->buffered_bytes()) largest = &part;
    }
    if (bytes <= buffer_bytes_) return absl::OkStatus();
    TM_RETURN_IF_ERROR(OfLake(largest->sink->Spill()));
  }
}

bool ParquetFeedSink::CutIsDue(bool flush) const {
  bool due = false, owed = false, rows = false;
  size_t open_files = 0;
  for (const auto& [partition, part] : parts_) {
    due |= part.sink->ShouldCut(runtime_.clock->WallUs()) || part.refused_bytes >= kRefusedBytes;
    owed |= part.owes();
    rows |= part.sink->rows() > 0;  // only these make a cut due by themselves
    open_files += part.sink->open_files();
  }
  if (due || (flush && owed) || open_files >= lake_->max_open_files()) return true;
  const int64_t patience = runtime_.control->until_end ? 0 : kTellUs;
  return owed && !rows && runtime_.clock->MonotonicUs() - decided_at_us_ >= patience;
}

absl::Status ParquetFeedSink::Cut() {
  decided_at_us_ = runtime_.clock->MonotonicUs();
  Manifests manifests;
  absl::Status failed;
  for (auto& [partition, part] : parts_) {
    if (!part.owes()) continue;
    packed::Manifest manifest = NewManifest(partition, part);
    if (part.rows > 0) {
      const TimeSpent::Doing doing(&spent(), kCloses);
      absl::StatusOr<StagedCut> staged = ParquetSink::Cut(std::move(part.sink));
      if (!staged.ok() && !MutationActive(Mutation::kManifestDroppedAfterOneFailure)) return OfLake(staged.status());
      if (!staged.ok()) {
        for (auto& [other, dropped] : manifests) dropped.clear_files();
        failed = OfLake(staged.status());
        continue;
      }
      part.sink = std::move(staged->sink);
      manifest.set_first_offset(staged->manifest.first_offset());
      *manifest.mutable_files() = staged->manifest.files();
    }
    manifests[partition] = std::move(manifest);
  }
  if (manifests.empty()) return failed;  // with that mutation alone, which needs others to lose
  TM_RETURN_IF_ERROR(OfLake(LookForMark()));
  TM_RETURN_IF_ERROR(Failpoint("sink_parquet.before_decision"));
  settled_ = false;
  TM_RETURN_IF_ERROR(Decide(manifests));
  if (!failed.ok()) return failed;
  state_ = State::kPublishing;
  unpublished_ = std::move(manifests);
  TM_RETURN_IF_ERROR(Failpoint("sink_parquet.after_decision"));
  return PublishAll();
}

packed::Manifest ParquetFeedSink::NewManifest(int32_t partition, const Part& part) const {
  packed::Manifest manifest;
  manifest.set_sink(plan_.kept_as());
  manifest.set_identity(part.identity);
  manifest.set_partition(partition);
  manifest.set_first_offset(part.committed.next);
  manifest.set_next_offset(part.reached.next);
  manifest.set_number(part.number + 1);
  manifest.set_heard(part.reached.heard);
  return manifest;
}

absl::Status ParquetFeedSink::Decide(const Manifests& manifests) {
  const TimeSpent::Doing doing(&spent(), kDecides);
  Transaction transaction(producer_.get(), runtime_.options.commit_bytes);
  const absl::Status produced = ProduceDecision(manifests, &transaction);
  if (!produced.ok()) {
    GiveUpProducer(transaction.open());
    return ExplainRefusal(runtime_, produced, limits_version_);
  }
  TM_RETURN_IF_ERROR(Commit());
  ++decisions_;
  for (const auto& [partition, manifest] : manifests) {
    Part& part = parts_.at(partition);
    part.committed = part.reached;
    part.number = manifest.number();
    refused_ += static_cast<int64_t>(part.refused.size());
    rows_ += part.rows - static_cast<int64_t>(part.refused.size());
    part.rows = part.refused_bytes = 0;
    part.refused.clear();
    const auto written = producer_->Written({manifest_topic_, partition});
    if (written) part.manifest_offset = written->first;
  }
  return absl::OkStatus();
}

absl::Status ParquetFeedSink::Commit() {
  std::string error;
  switch (producer_->Commit(&error)) {
    case CommitOutcome::kCommitted:
      break;
    case CommitOutcome::kAborted:
      GiveUpProducer(/*may_abort=*/true);
      return absl::AbortedError("commit: " + error);
    case CommitOutcome::kUnknown:
      GiveUpProducer(/*may_abort=*/false);
      return absl::UnknownError("commit: " + error);
    case CommitOutcome::kFenced:
      GiveUpProducer(/*may_abort=*/false);
      return absl::CancelledError("commit: " + error);
  }
  return absl::OkStatus();
}

// An abort is for those who wait behind the transaction: they needn't wait until it times out. It may fail, so after
// any error nothing is ever written by this producer again.
void ParquetFeedSink::GiveUpProducer(bool may_abort) {
  if (may_abort) (void)producer_->Abort();
  producer_.reset();
}

absl::Status ParquetFeedSink::ProduceDecision(const Manifests& manifests, Transaction* transaction) {
  const std::string& dead = runtime_.plan->dead_letter_topic;
  std::vector<OffsetToCommit> offsets;
  for (const auto& [partition, manifest] : manifests) {
    const std::string value = manifest.SerializeAsString();
    TM_RETURN_IF_ERROR(transaction->Produce(manifest_topic_, {{partition, std::nullopt, value, nullptr}}));
    DeadLetters letters(dead, runtime_.partitions.at(dead), partition, transaction, DeadLetterBytes(runtime_));
    for (const SinkRowFailure& failure : parts_.at(partition).refused) {
      TM_RETURN_IF_ERROR(letters.Text(plan_.name, {edge_.topic, partition}, failure.row_json, failure.reason));
    }
    offsets.push_back({{edge_.topic, partition}, manifest.next_offset(), MetadataOf(manifest.number())});
  }
  TM_RETURN_IF_ERROR(producer_->Flush());
  return producer_->SendOffsets(offsets, *group_);
}

absl::Status ParquetFeedSink::PublishAll() {
  const TimeSpent::Doing doing(&spent(), kMoves);
  while (!unpublished_.empty()) {
    const auto it = unpublished_.begin();
    const absl::Status published = parts_.at(it->first).sink->Publish(it->second);
    // What isn't found may only be not found here.
    if (absl::IsFailedPrecondition(published)) TM_RETURN_IF_ERROR(OfLake(LookForMark()));
    TM_RETURN_IF_ERROR(OfLake(published));
    unpublished_.erase(it);
  }
  if (state_ == State::kPublishing) state_ = State::kGathering;
  settled_ = true;
  return absl::OkStatus();
}

// Before the decision nothing that was held can be trusted any more: all of it goes, whatever the error, and what was
// decided after all the next Assigned reads from the log. After it, there is nothing to do but to go on moving files.
absl::Status ParquetFeedSink::Failed(const absl::Status& status) {
  if (state_ == State::kPublishing) return status;
  Drop();
  return ActionFor(status) == Action::kRetry ? absl::AbortedError(status.message()) : status;
}

void ParquetFeedSink::Drop() {
  state_ = State::kNothing;
  settled_ = false;
  parts_.clear();
  taken_.clear();
  taken_bytes_ = 0;
  unpublished_.clear();  // whoever opens the partition next moves them
}

absl::Status ParquetFeedSink::Dropped(bool lost) {
  absl::Status status;
  if (!lost && state_ != State::kNothing) {
    status = Gather();
    if (status.ok() && Holds()) {
      status = Cut();
      if (!status.ok()) status = Failed(status);
    }
  }
  Drop();
  return status;
}

std::map<TopicPartition, Offset> ParquetFeedSink::Trims() const {
  std::map<TopicPartition, Offset> trims;
  for (const auto& [partition, part] : parts_) {
    if (part.committed.next > 0) trims[{edge_.topic, partition}] = part.committed.next;
    if (part.manifest_offset > 0) trims[{manifest_topic_, partition}] = part.manifest_offset;
  }
  return trims;
}

}  // namespace tidemark
