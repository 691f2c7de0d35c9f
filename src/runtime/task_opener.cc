#include "src/runtime/task_opener.h"

#include <algorithm>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/runtime/generations/fence_mark.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/topics.h"

namespace tidemark {
TaskOpener::TaskOpener(const Runtime& runtime, int stage, int32_t partition,
                       const std::map<TopicPartition, CommittedOffset>& committed, const InputLogs& logs,
                       Transaction* transaction)
    : runtime_(runtime),
      stage_(stage),
      partition_(partition),
      committed_([&] {
        std::map<TopicPartition, CommittedOffset> mine;
        for (const std::string& topic : InputTopics(*runtime.plan, runtime.plan->stages[static_cast<size_t>(stage)])) {
          const TopicPartition input{topic, partition};
          const auto it = committed.find(input);
          mine[input] = it == committed.end() ? CommittedOffset{} : it->second;
        }
        return mine;
      }()),
      logs_([&] {
        InputLogs mine;
        for (const auto& [input, unused] : committed_) {
          if (const auto it = logs.find(input); it != logs.end()) mine.insert(*it);
        }
        return mine;
      }()),
      transaction_(transaction) {}

TaskId TaskOpener::id() const {
  return {runtime_.plan->application.Key(), runtime_.plan->stages[static_cast<size_t>(stage_)].name, partition_};
}

TopicPartition TaskOpener::changelog() const {
  return {runtime_.plan->application.ChangelogTopic(runtime_.plan->stages[static_cast<size_t>(stage_)].name),
          partition_};
}

absl::StatusOr<std::unique_ptr<Task>> TaskOpener::Step() {
  absl::StatusOr<std::unique_ptr<Task>> task = StepOnce();
  // What is damaged on disk stands whole in the changelog. Once: what is damaged there too stays an error.
  if (!absl::IsDataLoss(task.status()) || !forgetting_helps_) return task;
  LOG(WARNING) << id().ToString() << ": the local state is damaged (" << task.status().message()
               << "): deleting it, and restoring from the changelog";
  distrusted_ = true;
  state_.reset();
  reader_.reset();
  phase_ = Phase::kBegin;
  return std::unique_ptr<Task>();
}

absl::StatusOr<std::unique_ptr<Task>> TaskOpener::StepOnce() {
  switch (phase_) {
    case Phase::kBegin:
      TM_RETURN_IF_ERROR(Annotate(Begin(), id().ToString()));
      break;
    case Phase::kReplay: {
      absl::StatusOr<PollResult> polled = reader_->Poll(kSecond / 20, 1'000);
      // DataLoss is of the disk, and is restored from here.
      if (absl::IsDataLoss(polled.status())) return absl::FailedPreconditionError(polled.status().message());
      absl::Status replayed = polled.ok() ? Replay(*polled) : polled.status();
      // Local state that turns out not to be a prefix of the log (another identity, a gap) is given up for the log,
      // once. A log that has been trimmed past the reader (its former owner was about to when it lost the task) begins
      // where a restore can begin.
      const bool no_prefix = polled.ok() && absl::IsFailedPrecondition(replayed) && from_local_;
      if (no_prefix || absl::IsOutOfRange(replayed)) replayed = StartOver(replayed);
      TM_RETURN_IF_ERROR(Annotate(replayed, id().ToString()));
      break;
    }
    case Phase::kFinish:
      return Finish();
  }
  return std::unique_ptr<Task>();
}

absl::Status TaskOpener::Begin() {
  if (distrusted_) {
    TM_RETURN_IF_ERROR(runtime_.state->Forget(id()));
    distrusted_ = false;
    forgetting_helps_ = false;
  }
  if (state_ == nullptr) {
    TM_ASSIGN_OR_RETURN(state_, runtime_.state->Take(id()));
    if (const packed::CommitRecord* on_disk = state_->committed()) {
      TM_RETURN_IF_ERROR(CheckKeptFormat(on_disk->needs_format(), id().ToString()));
    }
  }
  TM_ASSIGN_OR_RETURN(target_, runtime_.kafka->admin().LogEnd(changelog(), Isolation::kReadUncommitted));
  if (StoreIsCurrent()) {
    TM_RETURN_IF_ERROR(CheckLogReachesStore());
    position_ = target_;
    phase_ = Phase::kFinish;
    return absl::OkStatus();
  }
  TM_RETURN_IF_ERROR(ChooseStart());
  if (position_ >= target_) {
    phase_ = Phase::kFinish;
    return absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(reader_, runtime_.kafka->NewConsumer({.client_id = id().ToString() + "-restore"}));
  TM_RETURN_IF_ERROR(reader_->Assign({{changelog(), position_}}));
  phase_ = Phase::kReplay;
  return absl::OkStatus();
}

// True if the store stands at the very commit that the group knows for every input.
bool TaskOpener::StoreIsCurrent() const {
  const packed::CommitRecord* record = state_->committed();
  if (record == nullptr) return false;
  return std::all_of(committed_.begin(), committed_.end(), [&](const auto& entry) {
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(entry.second.metadata);
    return entry.second.offset >= 0 && metadata && metadata->commit == record->commit() &&
           metadata->identity == record->identity();
  });
}

// Every commit sends the offsets of all inputs. So what the group has from an earlier one of the same state, of a
// source that the record doesn't name, is where a former topology had come to before another took the source out.
bool TaskOpener::WasLeft(const TopicPartition& input) const {
  const packed::CommitRecord* record = state_->committed();
  const CommittedOffset& committed = committed_.at(input);
  const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(committed.metadata);
  if (record == nullptr || committed.offset < 0 || !metadata || metadata->identity != record->identity()) return false;
  const auto& sources = runtime_.plan->sources;
  return metadata->commit < record->commit() &&
         std::any_of(
             sources.begin(), sources.end(), [&](const auto& each) { return each.topic == input.topic; }) &&
         std::none_of(
             record->inputs().begin(), record->inputs().end(),
             [&](const auto& each) { return each.topic() == input.topic; });
}

// The group and the disk agree, and the log between them is gone: what is written to another one from now on would be
// all that a restore finds.
absl::Status TaskOpener::CheckLogReachesStore() const {
  if (state_->changelog_next() <= target_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the changelog ", ToString(changelog()), " ends at offset ", target_, ", before offset ",
      state_->changelog_next(), " that the state on disk stands at: was the topic deleted, or cut off? Without it the ",
      "state can't be restored. To start over, give the topology a new name, or delete its group and all of its ",
      "internal topics"));
}

// The store goes on where it stands if it is a prefix of the log; else it is cleared.
absl::Status TaskOpener::ChooseStart() {
  TM_ASSIGN_OR_RETURN(const Offset log_start, runtime_.kafka->admin().LogStart(changelog()));
  const packed::CommitRecord* record = state_->committed();
  bool usable = record != nullptr && log_start <= state_->changelog_next() && state_->changelog_next() <= target_;
  for (const auto& [input, committed] : committed_) {
    if (committed.metadata == kStartHere) usable = false;  // what the disk has is from before the reset
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(committed.metadata);
    if (usable && metadata && metadata->identity != record->identity()) usable = false;
    // A store ahead of the group can't be a prefix of what was committed.
    if (usable && metadata && metadata->commit < record->commit() && !WasLeft(input)) usable = false;
  }
  from_local_ = usable;
  if (usable) {
    position_ = state_->changelog_next();
    return absl::OkStatus();
  }
  if (record != nullptr) {
    LOG(WARNING) << id().ToString() << ": the local state (commit " << record->commit() << ", changelog offset "
                 << state_->changelog_next() << ") is not part of the changelog [" << log_start << ", " << target_
                 << "): restoring from the changelog";
  }
  TM_RETURN_IF_ERROR(state_->Clear());
  position_ = log_start;
  return absl::OkStatus();
}

absl::Status TaskOpener::StartOver(const absl::Status& why) {
  LOG(WARNING) << id().ToString() << ": the restore can't go on (" << why.message()
               << "): restoring from the changelog's beginning";
  from_local_ = false;
  replayed_ = 0;
  TM_RETURN_IF_ERROR(state_->Clear());
  TM_ASSIGN_OR_RETURN(position_, runtime_.kafka->admin().LogStart(changelog()));
  return reader_->Assign({{changelog(), position_}});
}

absl::Status TaskOpener::Replay(const PollResult& polled) {
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    for (const RecordView& record : fetch->records()) {
      TM_RETURN_IF_ERROR(Annotate(state_->Replay(record.offset, record.value.value_or("")),
                                  absl::StrCat(ToString(changelog()), "@", record.offset)));
      position_ = record.offset + 1;
      ++replayed_;
    }
  }
  for (const auto& [partition, end] : polled.ends) position_ = std::max(position_, end);
  if (position_ < target_) return absl::OkStatus();
  TM_RETURN_IF_ERROR(state_->FinishReplay(position_));
  LOG(INFO) << id().ToString() << ": restored " << replayed_ << " changelog records up to offset " << position_;
  TM_RETURN_IF_ERROR(reader_->Close(false));
  reader_.reset();
  phase_ = Phase::kFinish;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Task>> TaskOpener::Finish() {
  TM_RETURN_IF_ERROR(Annotate(CheckAgainstGroup(), id().ToString()));
  std::map<std::string, Offset> left;
  for (const auto& [input, committed] : committed_) {
    if (WasLeft(input) || committed.metadata == kStartHere) left[input.topic] = committed.offset;
  }
  auto task = std::make_unique<Task>(runtime_, stage_, partition_, std::move(state_), transaction_);
  TM_RETURN_IF_ERROR(task->Open());
  bool at_rest = runtime_.control->clock_stands.load(std::memory_order_relaxed);
  for (const auto& [input, committed] : committed_) {
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(committed.metadata);
    if (metadata && metadata->busy) task->OweCommit();
    at_rest = at_rest && metadata && !metadata->busy;
  }
  if (at_rest) task->ResumeAtRest();
  for (const Node& node : runtime_.plan->stages[static_cast<size_t>(stage_)].nodes) {
    if (node.kind == Node::Kind::kSource) {
      TM_RETURN_IF_ERROR(PlaceSource(runtime_.plan->sources[static_cast<size_t>(node.source)], left, task.get()));
    } else if (node.kind == Node::Kind::kInternal) {
      TM_RETURN_IF_ERROR(PlaceInternal(runtime_.plan->edges[static_cast<size_t>(node.edge)].topic, task.get()));
    }
  }
  return task;
}

absl::Status TaskOpener::PlaceSource(const SourcePlan& source, const std::map<std::string, Offset>& left,
                                     Task* task) const {
  const InputLog& log = logs_.at({source.topic, partition_});
  if (task->position(source.topic) < 0) {
    const auto found = left.find(source.topic);
    if (found == left.end()) {
      TM_ASSIGN_OR_RETURN(const Offset start, ResolveStart(source));
      task->SetStart(source.topic, start, log.topic_id);
      return absl::OkStatus();
    }
    task->SetStart(source.topic, found->second, "");  // the group keeps no ids
  }
  const Offset position = task->position(source.topic);
  TM_ASSIGN_OR_RETURN(const ContinueAt next,
                      ContinueSource(source, partition_, position, task->topic_id(source.topic), log));
  task->SetTopicId(source.topic, log.topic_id);
  if (next.what.empty()) return absl::OkStatus();
  LOG(WARNING) << "source " << source.name << ": " << next.what << "; goes on at " << next.position
               << " as on_data_loss says";
  task->SetStart(source.topic, next.position, log.topic_id);
  if (runtime_.losses != nullptr) runtime_.losses->Add(source.name, partition_, position, next.lost);
  return absl::OkStatus();
}

absl::Status TaskOpener::PlaceInternal(const std::string& topic, Task* task) const {
  const InputLog& log = logs_.at({topic, partition_});
  const Offset position = task->position(topic);
  if (position < 0) {
    TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart({topic, partition_}));
    task->SetStart(topic, start, log.topic_id);
    return absl::OkStatus();
  }
  TM_RETURN_IF_ERROR(CheckInternalLog({topic, partition_}, position, task->topic_id(topic), log));
  task->SetTopicId(topic, log.topic_id);
  return absl::OkStatus();
}

absl::Status TaskOpener::CheckAgainstGroup() const {
  const packed::CommitRecord* record = state_->committed();
  for (const auto& [input, committed] : committed_) {
    if (committed.offset < 0) continue;  // groups expire; the record's own offsets are used then
    TM_RETURN_IF_ERROR(CheckMetadataFormat(committed.metadata, input));
    if (committed.metadata == kResetBegun) return absl::FailedPreconditionError(kResetUnderWay);
    if (committed.metadata.rfind(kMoved, 0) == 0) return absl::FailedPreconditionError(kMovedAway);
    if (committed.metadata == kStartHere && record == nullptr) continue;
    const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(committed.metadata);
    if (record != nullptr && metadata && metadata->commit == record->commit() &&
        metadata->identity == record->identity()) {
      continue;
    }
    if (WasLeft(input)) continue;
    if (record == nullptr) {
      return absl::FailedPreconditionError(
          ReadWithoutState(runtime_.plan->application, id().stage, input, committed.offset));
    }
    const std::string in_log = absl::StrCat("commit ", record->commit(), " of state ",
                                            absl::BytesToHexString(record->identity()).substr(0, 8));
    return absl::FailedPreconditionError(absl::StrCat(
        "the consumer group ", runtime_.plan->application.Group(), " stands at offset ", committed.offset, " of ",
        ToString(input), " with metadata '", committed.metadata, "', but the changelog ", ToString(changelog()),
        " ends with ", in_log,
        ". Offsets and state must come from the same commit: was the group reset by hand, or the changelog deleted? ",
        "To start over, give the topology a new name, or delete both the group and its internal topics"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Offset> TaskOpener::ResolveStart(const SourcePlan& source) const {
  const TopicPartition partition{source.topic, partition_};
  switch (source.start.at) {
    case StartPosition::At::kEarliest:
      return runtime_.kafka->admin().LogStart(partition);
    case StartPosition::At::kLatest:
      return runtime_.kafka->admin().LogEnd(partition, Isolation::kReadCommitted);
    case StartPosition::At::kTimestamp:
      return runtime_.kafka->admin().OffsetForTime(partition, source.start.timestamp_ms);
  }
  return absl::InternalError("unknown start position");
}

}  // namespace tidemark
