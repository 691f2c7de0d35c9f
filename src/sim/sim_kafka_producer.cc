#include "src/sim/sim_kafka_producer.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/sim/sim_kafka_consumer.h"

namespace tidemark::sim {
namespace {

std::optional<std::string> Copy(const Bytes& bytes) {
  if (!bytes.has_value()) return std::nullopt;
  return std::string(*bytes);
}

}  // namespace

absl::Status SimProducer::Expect(State state, const char* call) const {
  if (state_ == state) return absl::OkStatus();
  const std::string what = absl::StrCat(call, " on producer '", options_.transactional_id, "'");
  if (state_ == State::kBroken) return absl::AbortedError(absl::StrCat(what, ": its transaction must be aborted"));
  if (state_ == State::kDead) return absl::CancelledError(absl::StrCat(what, ": it must be replaced"));
  return absl::InternalError(absl::StrCat(what, ": in the wrong state"));
}

absl::Status SimProducer::Failed(absl::Status status) {
  if (status.ok()) return status;
  const bool dead = absl::IsCancelled(status) || absl::IsPermissionDenied(status);  // fenced, or its process is dead
  state_ = dead ? State::kDead : State::kBroken;
  return status;
}

absl::Status SimProducer::InitTransactions() {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kInitTransactions, true));
  TM_RETURN_IF_ERROR(Expect(State::kNew, "InitTransactions"));
  session_ = cluster_->log().InitProducer(options_.transactional_id, cluster_->clock().MonotonicUs());
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kInitTransactions, true));
  state_ = State::kReady;
  return absl::OkStatus();
}

absl::Status SimProducer::Begin() {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kBegin, false));
  TM_RETURN_IF_ERROR(Expect(State::kReady, "Begin"));
  written_.clear();
  state_ = State::kOpen;
  return process_->Leave(SimCall::kBegin, false);
}

absl::Status SimProducer::Produce(const std::string& topic, const std::vector<OutRecord>& records) {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kProduce, false));
  TM_RETURN_IF_ERROR(Expect(State::kOpen, "Produce"));
  const int32_t partitions = cluster_->log().PartitionCount(topic);
  for (const OutRecord& r : records) {
    if (r.partition < 0 || r.partition >= partitions) {
      return Failed(absl::InvalidArgumentError(
          absl::StrCat("writing to ", topic, "-", r.partition, ": the topic has ", partitions, " partitions")));
    }
    SimRecord record;
    record.key = Copy(r.key);
    record.value = Copy(r.value);
    if (r.headers != nullptr) record.headers = *r.headers;
    record.timestamp_ms = cluster_->clock().WallUs() / 1'000;
    queue_.emplace_back(TopicPartition{topic, r.partition}, std::move(record));
  }
  TM_RETURN_IF_ERROR(Send(cluster_->random().Below(queue_.size() + 1)));
  return process_->Leave(SimCall::kProduce, false);
}

absl::Status SimProducer::Send(size_t records) {
  for (; records > 0; --records) {
    auto [tp, record] = std::move(queue_.front());
    queue_.pop_front();
    if (const auto repeat = repeats_.find(tp); repeat != repeats_.end() && repeat->second > 0) {
      --repeat->second;
      continue;  // acknowledged, and not written
    }
    const auto offset = cluster_->log().Append(options_.transactional_id, session_, tp, std::move(record),
                                               cluster_->clock().MonotonicUs());
    if (!offset.ok()) return Failed(offset.status());
    const auto [it, first] = written_.try_emplace(tp, *offset, *offset + 1);
    if (!first) it->second.second = *offset + 1;
  }
  return absl::OkStatus();
}

absl::Status SimProducer::Flush() {
  if (auto status = process_->Enter(SimCall::kFlush, true); !status.ok()) return Failed(status);
  TM_RETURN_IF_ERROR(Expect(State::kOpen, "Flush"));
  TM_RETURN_IF_ERROR(Send(queue_.size()));
  return Failed(process_->Leave(SimCall::kFlush, true));
}

std::optional<std::pair<Offset, Offset>> SimProducer::Written(const TopicPartition& partition) const {
  const auto& topics = options_.written_topics;
  if (std::find(topics.begin(), topics.end(), partition.topic) == topics.end()) return std::nullopt;
  const auto found = written_.find(partition);
  if (found == written_.end()) return std::nullopt;
  return found->second;
}

absl::Status SimProducer::SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) {
  if (auto status = process_->Enter(SimCall::kSendOffsets, true); !status.ok()) return Failed(status);
  TM_RETURN_IF_ERROR(Expect(State::kOpen, "SendOffsets"));
  for (const OffsetToCommit& o : offsets) {
    if (o.offset < 0)
      return Failed(absl::InternalError(absl::StrCat("sending a negative offset of ", ToString(o.partition))));
  }
  const auto* metadata = dynamic_cast<const SimGroupMetadata*>(&group);
  if (metadata == nullptr || (!metadata->valid() && !MutationActive(Mutation::kGroupMetadataFetchedFresh))) {
    return Failed(absl::AbortedError(absl::StrCat("sending offsets: the assignment is lost, ", group.ToString())));
  }
  if (auto status = cluster_->groups().CheckCommit(metadata->who()); !status.ok()) {
    state_ = State::kBroken;  // the member is fenced, not the producer
    return status;
  }
  if (auto status = cluster_->log().AddOffsets(options_.transactional_id, session_, metadata->who().group, offsets,
                                               cluster_->clock().MonotonicUs());
      !status.ok()) {
    return Failed(status);
  }
  return Failed(process_->Leave(SimCall::kSendOffsets, true));
}

CommitOutcome SimProducer::Commit(std::string* error) {
  const auto say = [error](CommitOutcome outcome, const absl::Status& status) {
    if (error != nullptr) *error = std::string(status.message());
    return outcome;
  };
  // Whatever hides the outcome, this producer can't go on.
  const auto unknown = [&](const absl::Status& status) {
    state_ = State::kDead;
    return say(CommitOutcome::kUnknown, status);
  };
  if (auto status = process_->Enter(SimCall::kCommit, true); !status.ok()) return unknown(status);
  if (auto status = Expect(State::kOpen, "Commit"); !status.ok()) {
    return say(state_ == State::kDead ? CommitOutcome::kFenced : CommitOutcome::kAborted, status);
  }
  const SimFaults& faults = cluster_->faults();
  if (cluster_->random().Chance(faults.commit_aborted)) {
    state_ = State::kBroken;
    return say(CommitOutcome::kAborted, absl::AbortedError("committing: injected, must be aborted"));
  }
  const bool hidden = cluster_->random().Chance(faults.commit_unknown);
  if (hidden && cluster_->random().Chance(0.5)) return unknown(absl::UnknownError("committing: timed out"));
  absl::Status status = Send(queue_.size());
  if (status.ok()) {
    status = cluster_->log().EndTransaction(options_.transactional_id, session_, true, cluster_->clock().MonotonicUs());
  }
  if (!status.ok()) {
    Failed(status).IgnoreError();
    return say(state_ == State::kDead ? CommitOutcome::kFenced : CommitOutcome::kAborted, status);
  }
  if (hidden) return unknown(absl::UnknownError("committing: timed out"));
  if (auto left = process_->Leave(SimCall::kCommit, true); !left.ok()) return unknown(left);
  state_ = State::kReady;
  return CommitOutcome::kCommitted;
}

// As RdProducer, which says why: of no more use where records aren't acknowledged. The mutation is librdkafka's own
// abort, which such a producer outlives.
absl::Status SimProducer::Abort() {
  TM_RETURN_IF_ERROR(process_->Enter(SimCall::kAbort, true));
  if (state_ != State::kBroken) TM_RETURN_IF_ERROR(Expect(State::kOpen, "Abort"));
  if (!queue_.empty() && MutationActive(Mutation::kAbortedProducerUsedAgain)) TM_RETURN_IF_ERROR(GiveNumbersAgain());
  if (MutationActive(Mutation::kStopCommitsAfterAbort)) queue_.clear();  // a thread that goes on all the same
  spent_ = spent_ || !queue_.empty();
  if (spent_) {
    state_ = State::kBroken;  // whoever begins another transaction with it is told so
    return absl::UnavailableError("records that aren't acknowledged may be written or not: a new producer is needed");
  }
  const absl::Status status =
      cluster_->log().EndTransaction(options_.transactional_id, session_, false, cluster_->clock().MonotonicUs());
  if (!status.ok()) return Failed(status);
  TM_RETURN_IF_ERROR(process_->Leave(SimCall::kAbort, true));
  state_ = State::kReady;
  return absl::OkStatus();
}

// What waits was written before its connection was lost. As many records that come next are taken for repeats of it.
absl::Status SimProducer::GiveNumbersAgain() {
  std::map<TopicPartition, size_t> written;
  for (const auto& [tp, record] : queue_) ++written[tp];
  TM_RETURN_IF_ERROR(Send(queue_.size()));
  for (const auto& [tp, count] : written) repeats_[tp] += count;
  return absl::OkStatus();
}

}  // namespace tidemark::sim
