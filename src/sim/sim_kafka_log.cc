#include "src/sim/sim_kafka_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/kafka/record_too_large.h"

namespace tidemark::sim {

// ---- One partition -------------------------------------------------------------------------------------------------

Offset SimPartition::last_stable() const {
  Offset stable = end;
  for (const auto& [producer, first] : open) stable = std::min(stable, first);
  return stable;
}

void SimPartition::Append(SimRecord record) {
  record.offset = end++;
  records.push_back(std::move(record));
}

void SimPartition::Trim(Offset before) {
  while (start < before && !records.empty()) {
    records.pop_front();
    ++start;
  }
}

// ---- Topics --------------------------------------------------------------------------------------------------------

void SimLog::CreateTopic(const std::string& topic, int32_t partitions) {
  if (topics_.contains(topic)) return;
  topics_[topic].resize(static_cast<size_t>(partitions));
  ++made_[topic];
}

void SimLog::RemakeTopic(const std::string& topic, int32_t partitions) {
  topics_.erase(topic);
  for (auto& [group, offsets] : offsets_) {
    std::erase_if(offsets, [&](const auto& entry) { return entry.first.topic == topic; });
  }
  CreateTopic(topic, partitions);
}

void SimLog::AddPartitions(const std::string& topic, int32_t partitions) {
  std::vector<SimPartition>& all = topics_.at(topic);
  all.resize(std::max(all.size(), static_cast<size_t>(partitions)));
}

std::string SimLog::TopicId(const std::string& topic) const {
  return topics_.contains(topic) ? absl::StrCat(topic, "#", made_.at(topic)) : "";
}

int32_t SimLog::PartitionCount(const std::string& topic) const {
  const auto found = topics_.find(topic);
  return found == topics_.end() ? 0 : static_cast<int32_t>(found->second.size());
}

SimPartition* SimLog::Find(const TopicPartition& tp) {
  const auto found = topics_.find(tp.topic);
  if (found == topics_.end() || tp.partition < 0 || static_cast<size_t>(tp.partition) >= found->second.size()) {
    return nullptr;
  }
  return &found->second[static_cast<size_t>(tp.partition)];
}

// ---- Transactions --------------------------------------------------------------------------------------------------

void SimLog::Tick(int64_t now_us) {
  for (auto& [id, txn] : transactions_) {
    if (txn.ongoing && now_us - txn.started_us >= transaction_timeout_us_) {
      ++txn.session.epoch;  // whoever wrote it is fenced
      ++transactions_timed_out_;
      Decide(&txn, false, now_us);
    }
    Mark(&txn, now_us);
  }
}

ProducerSession SimLog::InitProducer(const std::string& transactional_id, int64_t now_us) {
  Transaction& txn = transactions_[transactional_id];
  if (txn.session.id < 0) txn.session.id = next_producer_id_++;
  ++txn.session.epoch;
  if (txn.ongoing) Decide(&txn, false, now_us);
  Mark(&txn, std::numeric_limits<int64_t>::max());  // a real coordinator answers when all is done
  return txn.session;
}

absl::Status SimLog::CheckSession(const std::string& transactional_id, ProducerSession session) const {
  const auto found = transactions_.find(transactional_id);
  if (found == transactions_.end() || found->second.session.id != session.id ||
      found->second.session.epoch != session.epoch) {
    return absl::CancelledError(
        absl::StrCat("producer '", transactional_id, "' is fenced: its epoch ", session.epoch, " is over"));
  }
  return absl::OkStatus();
}

void SimLog::Start(Transaction* txn, int64_t now_us) {
  if (txn->ongoing) return;
  Mark(txn, std::numeric_limits<int64_t>::max());  // the next transaction waits for the markers of the last
  txn->ongoing = true;
  txn->started_us = now_us;
}

absl::StatusOr<Offset> SimLog::Append(const std::string& transactional_id, ProducerSession session,
                                      const TopicPartition& tp, SimRecord record, int64_t now_us) {
  SimPartition* partition = Find(tp);
  if (partition == nullptr) return absl::InvalidArgumentError(absl::StrCat("writing to unknown ", ToString(tp)));
  const size_t bytes = (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
  if (bytes > max_record_bytes_) {
    return RecordTooLarge(
        tp.topic, absl::StrCat("writing a record of ", bytes, " bytes to ", ToString(tp), ": message size too large"));
  }
  TM_RETURN_IF_ERROR(CheckSession(transactional_id, session));
  Transaction& txn = transactions_[transactional_id];
  Start(&txn, now_us);
  if (txn.partitions.insert(tp).second) partition->open[session.id] = partition->end;
  record.producer_id = session.id;
  const Offset offset = partition->end;
  partition->Append(std::move(record));
  return offset;
}

absl::Status SimLog::AddOffsets(const std::string& transactional_id, ProducerSession session, const std::string& group,
                                const std::vector<OffsetToCommit>& offsets, int64_t now_us) {
  TM_RETURN_IF_ERROR(CheckSession(transactional_id, session));
  Transaction& txn = transactions_[transactional_id];
  Start(&txn, now_us);
  for (const OffsetToCommit& o : offsets) {
    txn.offsets[group][o.partition] = {CommittedOffset{o.offset, o.metadata}, ++offsets_appended_};
  }
  return absl::OkStatus();
}

absl::Status SimLog::EndTransaction(const std::string& transactional_id, ProducerSession session, bool commit,
                                    int64_t now_us) {
  TM_RETURN_IF_ERROR(CheckSession(transactional_id, session));
  Transaction& txn = transactions_[transactional_id];
  if (!txn.ongoing) return absl::OkStatus();  // it wrote nothing
  Decide(&txn, commit, now_us);
  Mark(&txn, now_us);
  return absl::OkStatus();
}

void SimLog::Decide(Transaction* txn, bool commit, int64_t now_us) {
  const auto due = [&] {
    return now_us + (marker_delay_us_ > 0 ? static_cast<int64_t>(random_->Below(marker_delay_us_)) : 0);
  };
  txn->ongoing = false;
  txn->decision = commit;
  for (const TopicPartition& tp : txn->partitions) txn->partitions_due_us[tp] = due();
  txn->partitions.clear();
  txn->offsets_due_us = due();
}

void SimLog::Mark(Transaction* txn, int64_t now_us) {
  if (!txn->decision.has_value()) return;
  for (auto it = txn->partitions_due_us.begin(); it != txn->partitions_due_us.end();) {
    if (it->second > now_us) {
      ++it;
      continue;
    }
    MarkPartition(*txn, it->first, it->second);
    it = txn->partitions_due_us.erase(it);
  }
  if (txn->offsets_due_us <= now_us) {
    if (*txn->decision) {
      for (auto& [group, offsets] : txn->offsets) {
        for (const auto& [tp, offset] : offsets) {
          AppendedOffset& newest = offsets_[group][tp];
          if (newest.appended < offset.appended) newest = offset;
        }
      }
    }
    txn->offsets.clear();
  }
  if (txn->partitions_due_us.empty() && txn->offsets.empty()) txn->decision.reset();
}

void SimLog::MarkPartition(const Transaction& txn, const TopicPartition& tp, int64_t now_us) {
  SimPartition* partition = Find(tp);
  if (partition == nullptr) return;
  const auto first = partition->open.find(txn.session.id);
  if (first == partition->open.end()) return;  // the topic was made again since
  if (!*txn.decision) {
    for (Offset o = std::max(first->second, partition->start); o < partition->end; ++o) {
      SimRecord& record = partition->records[static_cast<size_t>(o - partition->start)];
      if (record.producer_id == txn.session.id) record.aborted = true;
    }
  }
  partition->open.erase(first);
  SimRecord marker;
  marker.kind = *txn.decision ? SimRecord::Kind::kCommitMarker : SimRecord::Kind::kAbortMarker;
  marker.producer_id = txn.session.id;
  marker.timestamp_ms = now_us / 1'000;
  partition->Append(std::move(marker));
}

// ---- Committed offsets ---------------------------------------------------------------------------------------------

void SimLog::CommitOffsets(const std::string& group, const std::vector<OffsetToCommit>& offsets) {
  for (const OffsetToCommit& o : offsets) {
    offsets_[group][o.partition] = {CommittedOffset{o.offset, o.metadata}, ++offsets_appended_};
  }
}

absl::StatusOr<std::map<TopicPartition, CommittedOffset>> SimLog::Offsets(
    const std::string& group, const std::vector<TopicPartition>& partitions) const {
  for (const auto& [id, txn] : transactions_) {
    const auto pending = txn.offsets.find(group);
    if (pending == txn.offsets.end()) continue;
    for (const TopicPartition& tp : partitions) {
      if (pending->second.contains(tp)) {
        return absl::UnavailableError(absl::StrCat("committed offsets of group '", group, "': a transaction of '", id,
                                                   "' is still pending for ", ToString(tp)));
      }
    }
  }
  std::map<TopicPartition, CommittedOffset> result;
  for (const TopicPartition& tp : partitions) result[tp] = StableOffset(group, tp);
  return result;
}

CommittedOffset SimLog::StableOffset(const std::string& group, const TopicPartition& tp) const {
  const auto offsets = offsets_.find(group);
  if (offsets == offsets_.end()) return CommittedOffset();
  const auto found = offsets->second.find(tp);
  return found == offsets->second.end() ? CommittedOffset() : found->second.committed;
}

}  // namespace tidemark::sim
