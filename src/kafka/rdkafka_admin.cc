#include "src/kafka/rdkafka_admin.h"

#include <algorithm>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kafka/group_protocol.h"
#include "src/kafka/rdkafka_newer.h"

namespace tidemark::rdkafka {
namespace {

constexpr int kConnectTimeoutMs = 10'000;
constexpr int kRequestTimeoutMs = 10'000;
constexpr int kCreateTimeoutMs = 30'000;
constexpr int kMembersTimeoutMs = 2'000;  // asked every few seconds, and a stop waits for it
constexpr int kListTimeoutMs = 3'000;
// How an id is written that a broker older than 2.8 doesn't have.
constexpr std::string_view kNoId = "AAAAAAAAAAAAAAAAAAAAAA";

std::vector<Property> Properties(Isolation isolation) {
  return {
      {"client.id", "tidemark-admin"},
      {"allow.auto.create.topics", "false"},
      {"isolation.level", isolation == Isolation::kReadCommitted ? "read_committed" : "read_uncommitted"},
      {"reconnect.backoff.max.ms", "1000"},
      {"socket.nagle.disable", "true"},
      // A connection to each broker, not only where one is needed: while a request waits for a controller and no broker
      // is there, librdkafka (2.10) otherwise tries the next connection without any pause, and takes a whole processor.
      {"enable.sparse.connections", "false"},
  };
}

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;

AdminOptions NewOptions(rd_kafka_t* rk, rd_kafka_admin_op_t operation, int timeout_ms) {
  AdminOptions options(rd_kafka_AdminOptions_new(rk, operation));
  char text[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, text, sizeof text);
  return options;
}

struct Described {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  int32_t partitions = 0;
  bool all_have_leaders = true;
};

// One topic by an own request: asking for all topics of a cluster would be simpler, and slow where there are many.
absl::StatusOr<Described> DescribeOne(rd_kafka_t* rk, const std::string& topic) {
  const Topic handle(rd_kafka_topic_new(rk, topic.c_str(), nullptr));
  const std::string what = absl::StrCat("describing topic '", topic, "'");
  if (handle == nullptr) return FromError(rd_kafka_last_error(), what);
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle.get(), &metadata, kRequestTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
  const auto destroy = absl::MakeCleanup([metadata] { rd_kafka_metadata_destroy(metadata); });
  Described described;
  if (metadata->topic_cnt == 0) return described;
  const rd_kafka_metadata_topic_t& t = metadata->topics[0];
  described.error = t.err;
  described.partitions = t.partition_cnt;
  for (int i = 0; i < t.partition_cnt; ++i) {
    if (t.partitions[i].leader < 0) described.all_have_leaders = false;
  }
  return described;
}

// Whoever was asked isn't the leader any more, or not by the epoch that was named.
bool IsOfAnotherLeader(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
         code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RdAdmin>> RdAdmin::New(const KafkaSettings& settings, KafkaLog log) {
  std::unique_ptr<RdAdmin> admin(new RdAdmin());
  admin->settings_ = settings;
  admin->log_ = log;
  auto last_error = std::make_shared<std::pair<rd_kafka_resp_err_t, std::string>>();
  HandleEvents events;
  events.on_error = [last_error](rd_kafka_resp_err_t code, const std::string& text) {
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || last_error->second.empty()) *last_error = {code, text};
  };
  TM_ASSIGN_OR_RETURN(admin->committed_, RdHandle::New(RD_KAFKA_CONSUMER, settings,
                                                       Properties(Isolation::kReadCommitted), log, std::move(events)));
  TM_ASSIGN_OR_RETURN(admin->uncommitted_, RdHandle::New(RD_KAFKA_CONSUMER, settings,
                                                         Properties(Isolation::kReadUncommitted), log, HandleEvents()));
  rd_kafka_t* rk = admin->committed_->rk();
  const int64_t deadline = NowUs() + int64_t{kConnectTimeoutMs} * 1'000;
  while (true) {
    const rd_kafka_metadata_t* metadata = nullptr;
    const rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, nullptr, &metadata, 1'000);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      admin->committed_->Detach();
      return admin;
    }
    rd_kafka_poll(rk, 10);  // brings the errors
    if (last_error->first == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
      return FromError(last_error->first, last_error->second, absl::StrCat("connecting to '", settings.brokers, "'"));
    }
    if (NowUs() >= deadline) {
      return absl::UnavailableError(absl::StrCat(
          "no broker of '", settings.brokers,
          "' answers: ", last_error->second.empty() ? rd_kafka_err2str(code) : last_error->second.c_str()));
    }
  }
}

absl::StatusOr<std::map<std::string, TopicInfo>> RdAdmin::Describe(const std::vector<std::string>& topics) {
  std::map<std::string, TopicInfo> infos;
  if (topics.empty()) return infos;
  rd_kafka_t* client = rk(Isolation::kReadCommitted);
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  rd_kafka_TopicCollection_t* asked = rd_kafka_TopicCollection_of_topic_names(names.data(), names.size());
  const auto destroy = absl::MakeCleanup([asked] { rd_kafka_TopicCollection_destroy(asked); });
  const AdminOptions options =
      NewOptions(client, static_cast<rd_kafka_admin_op_t>(kAdminOpDescribeTopics), kListTimeoutMs);
  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_DescribeTopics(client, asked, options.get(), queue.get());
  TM_ASSIGN_OR_RETURN(const Event event, Answer(queue.get(), "describing topics"));
  size_t count = 0;
  const auto* results =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const std::string topic = rd_kafka_TopicDescription_name(results[i]);
    const rd_kafka_resp_err_t code = rd_kafka_error_code(rd_kafka_TopicDescription_error(results[i]));
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
      return FromError(code, absl::StrCat("describing topic '", topic, "'"));
    }
    size_t partitions = 0;
    rd_kafka_TopicDescription_partitions(results[i], &partitions);
    const std::string_view id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(results[i]));
    infos[topic] = {static_cast<int32_t>(partitions), id.starts_with(kNoId) ? "" : std::string(id)};
  }
  return infos;
}

absl::StatusOr<std::map<std::string, TopicInfo>> RdAdmin::List(const std::string& prefix) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t code =
      rd_kafka_metadata(rk(Isolation::kReadCommitted), 1, nullptr, &metadata, kRequestTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, "listing topics");
  const auto destroy = absl::MakeCleanup([metadata] { rd_kafka_metadata_destroy(metadata); });
  std::map<std::string, TopicInfo> infos;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& t = metadata->topics[i];
    const std::string name = t.topic;
    if (!name.starts_with(prefix)) continue;
    if (t.err == RD_KAFKA_RESP_ERR_NO_ERROR || t.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
      infos[name].partitions = t.partition_cnt;
    }
  }
  return infos;
}

absl::StatusOr<Event> RdAdmin::Answer(rd_kafka_queue_t* queue, const std::string& what) {
  Event event(rd_kafka_queue_poll(queue, kCreateTimeoutMs + kRequestTimeoutMs));
  if (event == nullptr) return absl::UnavailableError(absl::StrCat(what, ": no answer"));
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, rd_kafka_event_error_string(event.get()), what);
  return event;
}

absl::Status RdAdmin::CreateTopics(const std::vector<TopicToCreate>& topics) {
  if (topics.empty()) return absl::OkStatus();
  rd_kafka_t* client = rk(Isolation::kReadCommitted);
  std::vector<rd_kafka_NewTopic_t*> requests;
  const auto destroy = absl::MakeCleanup([&requests] {
    for (rd_kafka_NewTopic_t* r : requests) rd_kafka_NewTopic_destroy(r);
  });
  for (const TopicToCreate& t : topics) {
    char text[512];
    rd_kafka_NewTopic_t* request =
        rd_kafka_NewTopic_new(t.topic.c_str(), t.partitions, t.replication_factor, text, sizeof text);
    if (request == nullptr) return absl::InvalidArgumentError(absl::StrCat("creating topic '", t.topic, "': ", text));
    requests.push_back(request);
    for (const auto& [name, value] : t.config) {
      TM_RETURN_IF_ERROR(FromError(rd_kafka_NewTopic_set_config(request, name.c_str(), value.c_str()),
                                   absl::StrCat("creating topic '", t.topic, "', ", name)));
    }
  }
  const AdminOptions options = NewOptions(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, kCreateTimeoutMs);
  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_CreateTopics(client, requests.data(), requests.size(), options.get(), queue.get());
  TM_ASSIGN_OR_RETURN(const Event event, Answer(queue.get(), "creating topics"));
  size_t count = 0;
  const auto* results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
    const char* text = rd_kafka_topic_result_error_string(results[i]);
    return FromError(code, text != nullptr ? text : rd_kafka_err2str(code),
                     absl::StrCat("creating topic '", rd_kafka_topic_result_name(results[i]), "'"));
  }
  return WaitForLeaders(topics);
}

absl::Status RdAdmin::WaitForLeaders(const std::vector<TopicToCreate>& topics) {
  const int64_t deadline = NowUs() + int64_t{kCreateTimeoutMs} * 1'000;
  for (const TopicToCreate& t : topics) {
    while (true) {
      TM_ASSIGN_OR_RETURN(const Described described, DescribeOne(rk(Isolation::kReadCommitted), t.topic));
      if (described.error == RD_KAFKA_RESP_ERR_NO_ERROR && described.partitions > 0 && described.all_have_leaders) {
        break;
      }
      if (NowUs() >= deadline) {
        return absl::UnavailableError(
            absl::StrCat("topic '", t.topic, "' was created but has partitions without leader"));
      }
      rd_kafka_poll(rk(Isolation::kReadCommitted), 20);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<Offset, Offset>> RdAdmin::Range(const TopicPartition& partition, Isolation isolation) {
  std::pair<Offset, Offset> range(-1, -1);
  const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
      rk(isolation), partition.topic.c_str(), partition.partition, &range.first, &range.second, kRequestTimeoutMs);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return range;
  const absl::Status status = FromError(code, absl::StrCat("log range of ", ToString(partition)));
  if (!absl::IsInvalidArgument(status)) return status;
  // A partition counts as unknown also while nobody leads it, as when its only broker has just started. Ask the
  // brokers.
  TM_ASSIGN_OR_RETURN(const Described described, DescribeOne(rk(isolation), partition.topic));
  return described.partitions > partition.partition ? absl::UnavailableError(status.message()) : status;
}

absl::StatusOr<Offset> RdAdmin::LogStart(const TopicPartition& partition) {
  TM_ASSIGN_OR_RETURN(const auto range, Range(partition, Isolation::kReadUncommitted));
  return range.first;
}

absl::StatusOr<Offset> RdAdmin::LogEnd(const TopicPartition& partition, Isolation isolation) {
  TM_ASSIGN_OR_RETURN(const auto range, Range(partition, isolation));
  return range.second;
}

absl::StatusOr<std::map<TopicPartition, Offset>> RdAdmin::ListOffsets(const std::vector<TopicPartition>& partitions,
                                                                      int64_t spec, Isolation isolation,
                                                                      const std::string& what) {
  std::map<TopicPartition, Offset> offsets;
  if (partitions.empty()) return offsets;
  rd_kafka_t* client = rk(isolation);
  const PartitionList list = NewPartitionList(partitions);
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = spec;
  const AdminOptions options =
      NewOptions(client, static_cast<rd_kafka_admin_op_t>(kAdminOpListOffsets), kListTimeoutMs);
  const Error refused(rd_kafka_AdminOptions_set_isolation_level(
      options.get(), isolation == Isolation::kReadCommitted ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                                            : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
  if (refused != nullptr) return FromError(rd_kafka_error_code(refused.get()), what);
  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_ListOffsets(client, list.get(), options.get(), queue.get());
  TM_ASSIGN_OR_RETURN(const Event event, Answer(queue.get(), what));
  size_t count = 0;
  rd_kafka_resp_err_t failed = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::vector<TopicPartition> moved;
  const auto* results = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_topic_partition_t& p = *rd_kafka_ListOffsetsResultInfo_topic_partition(results[i]);
    if (IsOfAnotherLeader(p.err)) {
      moved.push_back(ToTopicPartition(p));
    } else if (p.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failed = p.err;
    } else if (p.offset >= 0) {
      offsets[ToTopicPartition(p)] = p.offset;
    }
  }
  // The list is asked of the leaders that librdkafka remembers, with their epochs, and a refusal doesn't make it look
  // again: after a restart of the broker it would be refused for ever. The query of a single partition does look.
  for (const TopicPartition& partition : moved) {
    TM_ASSIGN_OR_RETURN(offsets[partition],
                        spec == kOffsetSpecEarliest ? LogStart(partition) : LogEnd(partition, isolation));
  }
  if (offsets.empty()) {
    return absl::UnavailableError(absl::StrCat(what, ": ", rd_kafka_err2str(failed), " (all ", count, " partitions)"));
  }
  return offsets;
}

absl::StatusOr<std::map<TopicPartition, Offset>> RdAdmin::LogStarts(const std::vector<TopicPartition>& partitions) {
  return ListOffsets(partitions, kOffsetSpecEarliest, Isolation::kReadUncommitted, "log starts");
}

absl::StatusOr<std::map<TopicPartition, Offset>> RdAdmin::LogEnds(const std::vector<TopicPartition>& partitions,
                                                                  Isolation isolation) {
  return ListOffsets(partitions, kOffsetSpecLatest, isolation, "log ends");
}

absl::StatusOr<Offset> RdAdmin::OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) {
  const PartitionList list = NewPartitionList({partition});
  list->elems[0].offset = timestamp_ms;
  const std::string what = absl::StrCat("offset for a time in ", ToString(partition));
  const rd_kafka_resp_err_t code =
      rd_kafka_offsets_for_times(rk(Isolation::kReadCommitted), list.get(), kRequestTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
  if (list->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(list->elems[0].err, what);
  if (list->elems[0].offset >= 0) return list->elems[0].offset;
  return LogEnd(partition, Isolation::kReadCommitted);
}

absl::Status RdAdmin::DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>& before) {
  if (before.empty()) return absl::OkStatus();
  rd_kafka_t* client = rk(Isolation::kReadCommitted);
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(before.size())));
  for (const auto& [tp, offset] : before) {
    rd_kafka_topic_partition_list_add(list.get(), tp.topic.c_str(), tp.partition)->offset = offset;
  }
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list.get());
  const auto destroy = absl::MakeCleanup([request] { rd_kafka_DeleteRecords_destroy(request); });
  const AdminOptions options = NewOptions(client, RD_KAFKA_ADMIN_OP_DELETERECORDS, kRequestTimeoutMs);
  const Queue queue(rd_kafka_queue_new(client));
  rd_kafka_DeleteRecords(client, &request, 1, options.get(), queue.get());
  TM_ASSIGN_OR_RETURN(const Event event, Answer(queue.get(), "trimming logs"));
  const auto* results = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  for (int i = 0; i < results->cnt; ++i) {
    const rd_kafka_topic_partition_t& p = results->elems[i];
    if (p.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return FromError(p.err, absl::StrCat("trimming ", p.topic, "-", p.partition));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<RdHandle>> RdAdmin::GroupHandle(const std::string& group) {
  const absl::MutexLock lock(&mutex_);
  std::shared_ptr<RdHandle>& handle = groups_[group];
  if (handle != nullptr) {
    rd_kafka_poll(handle->rk(), 0);
    return handle;
  }
  std::vector<Property> properties = Properties(Isolation::kReadCommitted);
  std::erase_if(properties, [](const Property& property) { return property.first == "group.id"; });
  properties.emplace_back("group.id", group);
  TM_ASSIGN_OR_RETURN(handle, RdHandle::New(RD_KAFKA_CONSUMER, settings_, properties, log_, HandleEvents()));
  return handle;
}

// Not by ListConsumerGroupOffsets: librdkafka 2.0.2 follows a null pointer where the coordinator is moving, as it is
// when a broker makes its offsets topic for the first time.
absl::StatusOr<std::map<TopicPartition, CommittedOffset>> RdAdmin::GroupOffsets(
    const std::string& group, const std::vector<TopicPartition>& partitions) {
  std::map<TopicPartition, CommittedOffset> offsets;
  if (partitions.empty()) return offsets;
  const std::string what = absl::StrCat("committed offsets of group '", group, "'");
  TM_ASSIGN_OR_RETURN(const std::shared_ptr<RdHandle> handle, GroupHandle(group));
  const PartitionList list = NewPartitionList(partitions);
  const rd_kafka_resp_err_t code = rd_kafka_committed(handle->rk(), list.get(), kRequestTimeoutMs);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& p = list->elems[i];
    if (p.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return FromError(p.err, absl::StrCat(what, " for ", p.topic, "-", p.partition));
    }
    CommittedOffset& c = offsets[ToTopicPartition(p)];
    c.offset = p.offset >= 0 ? p.offset : -1;
    if (p.metadata != nullptr) c.metadata.assign(static_cast<const char*>(p.metadata), p.metadata_size);
  }
  return offsets;
}

namespace {

absl::StatusOr<GroupMembers::Member> ToMember(const rd_kafka_group_member_info& info) {
  GroupMembers::Member member;
  // The broker makes the id of a static member: its group.instance.id, a dash and 36 characters.
  const std::string id = info.member_id;
  member.name = id.size() > 37 ? id.substr(0, id.size() - 37) : id;
  const auto view = [](const void* bytes, int size) {
    return std::string_view(static_cast<const char*>(bytes), bytes == nullptr ? 0 : static_cast<size_t>(size));
  };
  TM_ASSIGN_OR_RETURN(member.topics, ParseSubscription(view(info.member_metadata, info.member_metadata_size)));
  TM_ASSIGN_OR_RETURN(member.partitions, ParseAssignment(view(info.member_assignment, info.member_assignment_size)));
  std::sort(member.topics.begin(), member.topics.end());
  return member;
}

}  // namespace

// Not by DescribeConsumerGroups: it doesn't tell subscriptions, and it asks for the coordinator as
// ListConsumerGroupOffsets does (above).
absl::StatusOr<GroupMembers> RdAdmin::GroupAssignments(const std::string& group) {
  const std::string what = absl::StrCat("members of group '", group, "'");
  const struct rd_kafka_group_list* list = nullptr;
  const rd_kafka_resp_err_t code =
      rd_kafka_list_groups(rk(Isolation::kReadCommitted), group.c_str(), &list, kMembersTimeoutMs);
  const auto destroy = absl::MakeCleanup([&list] {
    if (list != nullptr) rd_kafka_group_list_destroy(list);
  });
  // Some brokers haven't answered: whether one of them has the group shows.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__PARTIAL) return FromError(code, what);
  GroupMembers members;
  for (int i = 0; list != nullptr && i < list->group_cnt; ++i) {
    const rd_kafka_group_info& info = list->groups[i];
    if (info.group == nullptr || group != info.group) continue;
    if (info.err != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(info.err, what);
    if (info.state == nullptr || std::string_view(info.state) != "Stable") continue;
    members.stable = info.member_cnt > 0;
    for (int m = 0; m < info.member_cnt; ++m) {
      TM_ASSIGN_OR_RETURN(members.members.emplace_back(), ToMember(info.members[m]));
    }
  }
  std::sort(members.members.begin(), members.members.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return members;
}

}  // namespace tidemark::rdkafka
