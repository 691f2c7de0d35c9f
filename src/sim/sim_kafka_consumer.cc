#include "src/sim/sim_kafka_consumer.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark::sim {
namespace {

// heartbeat.interval.ms, so that a session may end up to this much before the process has been dead for its length.
constexpr int64_t kHeartbeatUs = 3'000'000;
// How long the real client waits for pending offsets before it gives up.
constexpr int64_t kCommittedWaitUs = 100'000;
constexpr size_t kMostOnTheirWay = 64;  // records, when a partition is held

Bytes View(const std::optional<std::string>& text) {
  if (!text.has_value()) return std::nullopt;
  return std::string_view(*text);
}

class SimFetch : public Fetch {
 public:
  SimFetch(TopicPartition source, std::vector<SimRecord> records)
      : source_(std::move(source)), held_(std::move(records)) {
    for (const SimRecord& r : held_) views_.push_back({r.offset, r.timestamp_ms, View(r.key), View(r.value)});
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t i) const override { return held_[i].headers; }

 private:
  const TopicPartition source_;
  const std::vector<SimRecord> held_;
  std::vector<RecordView> views_;
};

}  // namespace

std::string SimGroupMetadata::ToString() const {
  return absl::StrCat("group '", who_.group, "' generation ", who_.generation, " member '", who_.member_id, "'");
}

SimConsumer::SimConsumer(SimCluster* cluster, std::shared_ptr<SimCluster::Process> process,
                         const ConsumerOptions& options)
    : cluster_(cluster),
      process_(std::move(process)),
      options_(options),
      beat_(cluster->AddBeat([this](int64_t now_us) {
        if (membership_ == Membership::kNone || !process_->beats() || now_us - last_beat_us_ < kHeartbeatUs) return;
        last_beat_us_ = now_us;
        cluster_->groups().Heartbeat(who_, now_us);
      })) {
  who_.group = options.group;
  who_.instance_id = options.instance_id;
}

SimConsumer::~SimConsumer() { cluster_->RemoveBeat(beat_); }

absl::Status SimConsumer::Subscribe(const std::vector<std::string>& topics) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kSubscribe, false));
  if (options_.group.empty()) return absl::InternalError("Subscribe on a consumer without a group");
  topics_ = topics;
  membership_ = Membership::kJoining;
  return process_->Leave(SimCall::kSubscribe, false);
}

// ---- The group -----------------------------------------------------------------------------------------------------

Rebalance SimConsumer::GiveUp(Rebalance::Kind kind) {
  if (kind == Rebalance::Kind::kLost) {
    who_.member_id.clear();
    who_.generation = -1;
  }
  membership_ = Membership::kRevoked;
  return Rebalance{kind, assignment_};
}

// An answer to a revocation: joins the rebalance.
void SimConsumer::Answered() {
  assignment_.clear();
  membership_ = Membership::kJoining;
  who_.member_id = cluster_->groups().Join(who_, topics_, cluster_->clock().MonotonicUs());
  cluster_->Tick();
}

absl::StatusOr<std::optional<Rebalance>> SimConsumer::PollGroup() {
  if (membership_ == Membership::kNone || membership_ == Membership::kAssigned || membership_ == Membership::kRevoked) {
    return std::nullopt;
  }
  SimGroups& groups = cluster_->groups();
  const bool joined = !who_.member_id.empty();
  const SimGroups::Standing standing = groups.StandingOf(who_);
  if (joined && standing == SimGroups::Standing::kFenced) return groups.CheckCommit(who_);
  if (membership_ == Membership::kJoining) {
    if (!joined || standing == SimGroups::Standing::kUnknown) {
      who_.member_id.clear();
      Answered();
    } else if (groups.Awaits(who_)) {
      Answered();
    }
    if (!groups.Assignment(&who_, &assignment_)) return std::nullopt;
    membership_ = Membership::kAssigned;
    return Rebalance{Rebalance::Kind::kAssigned, assignment_};
  }
  if (standing == SimGroups::Standing::kUnknown) return GiveUp(Rebalance::Kind::kLost);
  // The next heartbeat tells, which isn't yet.
  if (standing == SimGroups::Standing::kRebalancing && cluster_->random().Chance(0.5)) {
    return GiveUp(Rebalance::Kind::kRevoked);
  }
  return std::nullopt;
}

std::shared_ptr<const GroupMetadata> SimConsumer::Group() { return std::make_shared<SimGroupMetadata>(who_); }

absl::StatusOr<std::map<TopicPartition, CommittedOffset>> SimConsumer::Committed(
    const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kCommitted, true));
  auto offsets = cluster_->log().Offsets(options_.group, partitions);
  if (!offsets.ok()) {
    cluster_->Wait(kCommittedWaitUs);
    offsets = cluster_->log().Offsets(options_.group, partitions);
  }
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kCommitted, true));
  return offsets;
}

absl::Status SimConsumer::CommitOffsets(const std::vector<OffsetToCommit>& offsets) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kCommitOffsets, true));
  if (membership_ != Membership::kNone) TM_RETURN_IF_ERROR(cluster_->groups().CheckCommit(who_));
  cluster_->log().CommitOffsets(options_.group, offsets);
  return process_->Leave(SimCall::kCommitOffsets, true);
}

absl::Status SimConsumer::Close(bool leave_group) {
  if (std::exchange(closed_, true)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kClose, false));
  parts_.clear();
  // A static member stays one until its session ends.
  if (membership_ != Membership::kNone && (leave_group || options_.instance_id.empty())) {
    cluster_->groups().Leave(who_, cluster_->clock().MonotonicUs());
  }
  membership_ = Membership::kNone;
  return process_->Leave(SimCall::kClose, false);
}

// ---- Assignment ----------------------------------------------------------------------------------------------------

void SimConsumer::SetPosition(const TopicPartition& tp, Part* part, Offset offset) {
  const SimPartition* partition = cluster_->log().Find(tp);
  part->position = part->client = offset == -2 && partition != nullptr ? partition->start : offset;
  part->failed = false;
  part->end_told.reset();
  if (part->held_at) part->held_at = part->position;
}

absl::Status SimConsumer::Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kAssign, false));
  parts_.clear();
  for (const auto& [tp, offset] : positions) {
    if (offset < 0 && offset != -2) {
      return absl::InternalError(absl::StrCat("assigning ", ToString(tp), " at offset ", offset));
    }
    SetPosition(tp, &parts_[tp], offset);
  }
  if (membership_ == Membership::kAssigned) membership_ = Membership::kStable;
  return process_->Leave(SimCall::kAssign, false);
}

absl::Status SimConsumer::AssignPaused(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kAssign, false));
  parts_.clear();
  for (const TopicPartition& tp : partitions) parts_[tp].paused = true;
  if (membership_ == Membership::kAssigned) membership_ = Membership::kStable;
  return process_->Leave(SimCall::kAssign, false);
}

absl::Status SimConsumer::Unassign() {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kUnassign, false));
  parts_.clear();
  if (membership_ == Membership::kRevoked) Answered();
  return process_->Leave(SimCall::kUnassign, false);
}

absl::Status SimConsumer::Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kSeek, false));
  for (const auto& [tp, offset] : positions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("seek in unassigned ", ToString(tp)));
    SetPosition(tp, &part->second, offset);
  }
  return process_->Leave(SimCall::kSeek, false);
}

absl::Status SimConsumer::SetPaused(const std::vector<TopicPartition>& partitions, bool paused) {
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("pause or resume of unassigned ", ToString(tp)));
    if (!paused && part->second.position == -1) {
      return absl::InternalError(absl::StrCat("resume of ", ToString(tp), " without a position"));
    }
    if (std::exchange(part->second.paused, paused) == paused || paused) continue;
    const bool seek = !MutationActive(Mutation::kResumeWithoutSeek);
    SetPosition(tp, &part->second, seek ? part->second.position : part->second.client);
  }
  return absl::OkStatus();
}

absl::Status SimConsumer::Pause(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kPause, false));
  TM_RETURN_IF_ERROR(SetPaused(partitions, true));
  return process_->Leave(SimCall::kPause, false);
}

absl::Status SimConsumer::Resume(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kResume, false));
  TM_RETURN_IF_ERROR(SetPaused(partitions, false));
  return process_->Leave(SimCall::kResume, false);
}

absl::Status SimConsumer::Hold(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kPause, false));
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("hold of unassigned ", ToString(tp)));
    if (part->second.held_at) continue;
    const SimPartition* const partition = cluster_->log().Find(tp);
    const auto some = static_cast<Offset>(cluster_->random().Below(kMostOnTheirWay));
    const Offset position = part->second.position;
    const Offset end = partition == nullptr ? position : std::max(partition->End(options_.isolation), position);
    part->second.held_at = std::min(end, position + some);
  }
  return process_->Leave(SimCall::kPause, false);
}

// Where it has told its end, it has told it.
absl::Status SimConsumer::Release(const std::vector<TopicPartition>& partitions) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kResume, false));
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("release of unassigned ", ToString(tp)));
    part->second.held_at.reset();
  }
  return process_->Leave(SimCall::kResume, false);
}

// ---- Reading -------------------------------------------------------------------------------------------------------

absl::StatusOr<PollResult> SimConsumer::Poll(int64_t max_wait_us, size_t max_records) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kPoll, true));
  if (cluster_->random().Chance(cluster_->faults().refused)) {
    return absl::InvalidArgumentError("reading: not authorized (simulated)");
  }
  PollResult result;
  for (bool waited = false;; waited = true) {
    TM_ASSIGN_OR_RETURN(result.rebalance, PollGroup());
    if (result.rebalance.has_value()) break;
    TM_RETURN_IF_ERROR(Read(max_records, &result));
    if (!result.fetches.empty() || !result.ends.empty() || waited || max_wait_us <= 0) break;
    cluster_->Wait(max_wait_us);
    if (!process_->alive()) return process_->Dead();
  }
  // What was taken from the log is in the process now: only its death loses it.
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kPoll, false));
  return result;
}

absl::Status SimConsumer::Read(size_t max_records, PollResult* result) {
  if (membership_ == Membership::kRevoked || parts_.empty()) return absl::OkStatus();
  // A fetch brings more or less, so that batches end anywhere.
  size_t left = 1 + cluster_->random().Below(std::max<size_t>(max_records, 1));
  for (size_t i = 0; i < parts_.size() && left > 0; ++i) {
    auto it = parts_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(next_part_++ % parts_.size()));
    const double waits = cluster_->faults().fetch_waits;
    if (waits > 0 && cluster_->random().Chance(waits)) continue;
    const size_t before = result->fetches.size();
    TM_RETURN_IF_ERROR(ReadPartition(it->first, &it->second, left, result));
    if (result->fetches.size() > before) left -= std::min(left, result->fetches.back()->records().size());
  }
  return absl::OkStatus();
}

Offset SimConsumer::KnownEnd(const TopicPartition& tp) const {
  const auto part = parts_.find(tp);
  return part == parts_.end() ? -1 : part->second.end_seen;
}

absl::Status SimConsumer::ReadPartition(const TopicPartition& tp, Part* part, size_t max_records, PollResult* result) {
  if (part->paused || part->failed || part->position == -1) return absl::OkStatus();
  if (part->held_at && part->position >= *part->held_at) return absl::OkStatus();
  const SimPartition* partition = cluster_->log().Find(tp);
  if (partition == nullptr) return absl::UnavailableError(absl::StrCat("reading topic '", tp.topic, "': unknown"));
  if (part->position < partition->start || part->position > partition->end) {
    // What other partitions gave is told first.
    if (!result->fetches.empty() || !result->ends.empty()) return absl::OkStatus();
    part->failed = true;
    return absl::OutOfRangeError(absl::StrCat("reading ", ToString(tp), " at offset ", part->position, ": the log has ",
                                              partition->start, " to ", partition->end));
  }
  const Offset end = partition->End(options_.isolation);
  part->end_seen = partition->end;
  const Offset to = std::min(end, part->held_at.value_or(end));
  std::vector<SimRecord> records;
  while (part->position < to && records.size() < max_records) {
    const SimRecord& record = partition->At(part->position++);
    const bool visible = options_.isolation == Isolation::kReadUncommitted || !record.aborted;
    if (record.kind == SimRecord::Kind::kData && visible) records.push_back(record);
  }
  if (!records.empty()) {
    part->client = records.back().offset + 1;
    result->fetches.push_back(std::make_unique<SimFetch>(tp, std::move(records)));
  }
  if (part->position == end && part->end_told != end) {
    part->end_told = end;
    part->client = end + 1;
    result->ends.emplace_back(tp, end);
  }
  return absl::OkStatus();
}

}  // namespace tidemark::sim
