// ResetClient over librdkafka. Each call waits for its answer, and a deletion until no broker tells of the topic any
// more; nothing is tried again here: who resets begins it anew.
#include "src/kafka/reset_client.h"

#include <map>
#include <string_view>

#include <absl/cleanup/cleanup.h>
#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/kafka/rdkafka_handle.h"

namespace tidemark {
namespace rdkafka {
namespace {

constexpr int kRequestTimeoutMs = 10'000;
constexpr int kDeleteTimeoutMs = 30'000;

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

class RdResetClient final : public ResetClient {
 public:
  RdResetClient(KafkaSettings settings, KafkaLog log) : settings_(std::move(settings)), log_(std::move(log)) {}

  absl::Status Connect() {
    TM_ASSIGN_OR_RETURN(handle_, Handle(""));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> IsEmpty(const std::string& group) override {
    const std::string what = absl::StrCat("members of group '", group, "'");
    const struct rd_kafka_group_list* list = nullptr;
    const rd_kafka_resp_err_t code = rd_kafka_list_groups(handle_->rk(), group.c_str(), &list, kRequestTimeoutMs);
    const auto destroy = absl::MakeCleanup([&list] {
      if (list != nullptr) rd_kafka_group_list_destroy(list);
    });
    for (int i = 0; list != nullptr && i < list->group_cnt; ++i) {
      const rd_kafka_group_info& info = list->groups[i];
      if (info.group == nullptr || group != info.group) continue;
      if (info.err != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(info.err, what);
      return info.member_cnt == 0;
    }
    // Some brokers haven't answered, and one of them may have the group: that is no answer either.
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
    return true;
  }

  // Without member and generation, as whoever isn't in the group commits: the coordinator takes that of an empty group
  // alone. One request, which it writes as one batch.
  absl::Status CommitForEmptyGroup(const std::string& group, const std::vector<OffsetToCommit>& offsets) override {
    if (offsets.empty()) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const std::shared_ptr<RdHandle> handle, Handle(group));
    TM_ASSIGN_OR_RETURN(const PartitionList list, NewOffsetList(offsets));
    rd_kafka_resp_err_t code = rd_kafka_commit(handle->rk(), list.get(), 0);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
        code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS) {
      return absl::FailedPreconditionError(
          absl::StrCat("group ", group,
                       " has members: a worker runs, or has just stopped and keeps its membership for some seconds"));
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? absl::OkStatus()
                                              : FromError(code, absl::StrCat("committing for group '", group, "'"));
  }

  absl::Status DeleteGroup(const std::string& group) override {
    const std::string what = absl::StrCat("deleting group '", group, "'");
    rd_kafka_DeleteGroup_t* request = rd_kafka_DeleteGroup_new(group.c_str());
    const auto destroy = absl::MakeCleanup([request] { rd_kafka_DeleteGroup_destroy(request); });
    const auto send = [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
      rd_kafka_DeleteGroups(handle_->rk(), &request, 1, options, queue);
    };
    TM_ASSIGN_OR_RETURN(const Event answer, Ask(RD_KAFKA_ADMIN_OP_DELETEGROUPS, what, send));
    rd_kafka_resp_err_t code = rd_kafka_event_error(answer.get());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      size_t count = 0;
      const auto* results =
          rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(answer.get()), &count);
      const rd_kafka_error_t* const error = count > 0 ? rd_kafka_group_result_error(results[0]) : nullptr;
      if (error != nullptr) code = rd_kafka_error_code(error);
    }
    if (code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP) {
      return absl::FailedPreconditionError(absl::StrCat("group ", group, " has members"));
    }
    const bool gone = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
    return gone ? absl::OkStatus() : FromError(code, what);
  }

  absl::Status DeleteTopic(const std::string& topic) override {
    const std::string what = absl::StrCat("deleting topic '", topic, "'");
    rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new(topic.c_str());
    const auto destroy = absl::MakeCleanup([request] { rd_kafka_DeleteTopic_destroy(request); });
    const auto send = [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
      rd_kafka_DeleteTopics(handle_->rk(), &request, 1, options, queue);
    };
    TM_ASSIGN_OR_RETURN(const Event answer, Ask(RD_KAFKA_ADMIN_OP_DELETETOPICS, what, send));
    rd_kafka_resp_err_t code = rd_kafka_event_error(answer.get());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      size_t count = 0;
      const auto* results =
          rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(answer.get()), &count);
      if (count > 0) code = rd_kafka_topic_result_error(results[0]);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
      return FromError(code, what);
    }
    return AwaitGone(topic, what);
  }

 private:
  using Send = absl::FunctionRef<void(const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue)>;

  // A deletion of one thing. The answer may be that it was refused. Unavailable: there was none.
  absl::StatusOr<Event> Ask(rd_kafka_admin_op_t deletion, const std::string& what, Send send) {
    const std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>> options(
        rd_kafka_AdminOptions_new(handle_->rk(), deletion));
    char text[256];
    rd_kafka_AdminOptions_set_request_timeout(options.get(), kDeleteTimeoutMs, text, sizeof text);
    const Queue queue(rd_kafka_queue_new(handle_->rk()));
    send(options.get(), queue.get());
    Event answer(rd_kafka_queue_poll(queue.get(), kDeleteTimeoutMs + kRequestTimeoutMs));
    if (answer == nullptr) return absl::UnavailableError(what + ": no answer");
    return answer;
  }

  // The controller has answered; brokers learn of it a moment later.
  absl::Status AwaitGone(const std::string& topic, const std::string& what) {
    const int64_t deadline = NowUs() + int64_t{kDeleteTimeoutMs} * 1'000;
    while (true) {
      const Topic handle(rd_kafka_topic_new(handle_->rk(), topic.c_str(), nullptr));
      const rd_kafka_metadata_t* metadata = nullptr;
      const rd_kafka_resp_err_t code = rd_kafka_metadata(handle_->rk(), 0, handle.get(), &metadata, kRequestTimeoutMs);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
      const bool gone = metadata->topic_cnt == 0 || metadata->topics[0].partition_cnt == 0;
      rd_kafka_metadata_destroy(metadata);
      if (gone) return absl::OkStatus();
      if (NowUs() >= deadline) return absl::UnavailableError(what + ": it is still there");
      rd_kafka_poll(handle_->rk(), 50);
    }
  }

  absl::StatusOr<std::shared_ptr<RdHandle>> Handle(const std::string& group) {
    std::vector<Property> properties = {{"client.id", "tidemark-reset"}, {"allow.auto.create.topics", "false"}};
    if (!group.empty()) properties.emplace_back("group.id", group);
    return RdHandle::New(RD_KAFKA_CONSUMER, settings_, properties, log_, HandleEvents());
  }

  const KafkaSettings settings_;
  const KafkaLog log_;
  std::shared_ptr<RdHandle> handle_;
};

}  // namespace
}  // namespace rdkafka

absl::StatusOr<std::unique_ptr<ResetClient>> NewRdResetClient(const KafkaSettings& settings, KafkaLog log) {
  auto client = std::make_unique<rdkafka::RdResetClient>(settings, std::move(log));
  TM_RETURN_IF_ERROR(client->Connect());
  return std::unique_ptr<ResetClient>(std::move(client));
}

}  // namespace tidemark
