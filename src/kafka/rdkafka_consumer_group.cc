// The consumer's dealings with its group: identity, committed offsets, and how a member ends.
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_consumer.h"
#include "src/kafka/rdkafka_fetch.h"

namespace tidemark::rdkafka {
namespace {

constexpr int kRequestTimeoutMs = 5'000;
constexpr int64_t kLeaveTimeoutUs = 3'000'000;  // a worker has 4.5 s to stop in

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

}  // namespace

std::shared_ptr<const GroupMetadata> RdConsumer::Group() {
  return std::make_shared<RdGroupMetadata>(rd_kafka_consumer_group_metadata(handle_->rk()));
}

absl::StatusOr<std::map<TopicPartition, CommittedOffset>> RdConsumer::Committed(
    const std::vector<TopicPartition>& partitions) {
  std::map<TopicPartition, CommittedOffset> committed;
  if (partitions.empty()) return committed;
  const PartitionList list = NewPartitionList(partitions);
  const std::string what = What("reading committed offsets");
  const rd_kafka_resp_err_t code = rd_kafka_committed(handle_->rk(), list.get(), kRequestTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& p = list->elems[i];
    if (p.err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT) {
      return absl::UnavailableError(
          absl::StrCat(what, ": a transaction is still pending for ", p.topic, "-", p.partition));
    }
    if (p.err != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(p.err, what);
    CommittedOffset& c = committed[ToTopicPartition(p)];
    c.offset = p.offset >= 0 ? p.offset : -1;
    if (p.metadata != nullptr) c.metadata.assign(static_cast<const char*>(p.metadata), p.metadata_size);
  }
  return committed;
}

Offset RdConsumer::KnownEnd(const TopicPartition& partition) const {
  int64_t start = 0, end = 0;
  const rd_kafka_resp_err_t code =
      rd_kafka_get_watermark_offsets(handle_->rk(), partition.topic.c_str(), partition.partition, &start, &end);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR && end >= 0 ? end : -1;
}

absl::Status RdConsumer::CommitOffsets(const std::vector<OffsetToCommit>& offsets) {
  if (offsets.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const PartitionList list, NewOffsetList(offsets));
  const std::string what = What("committing offsets");
  if (auto code = rd_kafka_commit(handle_->rk(), list.get(), 0); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return FromFatal(handle_->rk(), code, rd_kafka_err2str(code), what);
  }
  for (int i = 0; i < list->cnt; ++i) {
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(list->elems[i].err, what);
  }
  return absl::OkStatus();
}

// A static member that closes stays a member until its session ends, which is what a rolling restart wants. To give the
// membership up, it unsubscribes first: librdkafka then leaves the group, which shows by its member id going away.
absl::Status RdConsumer::LeaveGroup() {
  TM_RETURN_IF_ERROR(FromError(rd_kafka_unsubscribe(handle_->rk()), What("leaving")));
  const int64_t deadline = NowUs() + kLeaveTimeoutUs;
  while (RdGroupMetadata(rd_kafka_consumer_group_metadata(handle_->rk())).valid()) {
    if (NowUs() >= deadline) return absl::UnavailableError(What("leaving: no answer"));
    if (rd_kafka_message_t* m = rd_kafka_consumer_poll(handle_->rk(), 5)) rd_kafka_message_destroy(m);
  }
  return absl::OkStatus();
}

absl::Status RdConsumer::Close(bool leave_group) {
  if (std::exchange(closed_, true) || handle_ == nullptr) return absl::OkStatus();
  closing_ = true;
  absl::Status status;
  // librdkafka leaves a group only behind the answer to a rebalance, whether its caller has seen that or not.
  if (unanswered_ != RD_KAFKA_RESP_ERR_NO_ERROR || !parts_.empty()) TM_RETURN_IF_ERROR(Unassign());
  rebalance_.reset();
  if (leave_group && !options_.group.empty() && fatal_.ok()) status = LeaveGroup();
  const rd_kafka_resp_err_t code = rd_kafka_consumer_close(handle_->rk());
  if (status.ok() && code != RD_KAFKA_RESP_ERR__FATAL) status = FromError(code, What("closing"));
  return status;
}

}  // namespace tidemark::rdkafka
