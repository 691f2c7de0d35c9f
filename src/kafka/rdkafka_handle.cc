#include "src/kafka/rdkafka_handle.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "src/base/suggest.h"
#include "src/plan/kafka_properties.h"

namespace tidemark::rdkafka {
namespace {

using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;

bool IsSecret(std::string_view name) {
  for (std::string_view part : {"password", "secret", "pem", "jaas", "sasl.oauthbearer.config"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return false;
}

// All that librdkafka knows: the first column of the table that it prints of itself.
std::vector<std::string> PropertyNames() {
  std::vector<std::string> names;
  char* table = nullptr;
  size_t size = 0;
  std::FILE* const file = open_memstream(&table, &size);
  if (file == nullptr) return names;
  rd_kafka_conf_properties_show(file);
  std::fclose(file);
  std::istringstream lines(std::string(table, size));
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find_first_of(" |"));
    const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_';
    });
    if (is_name) names.push_back(name);
  }
  std::free(table);
  return names;
}

absl::Status Set(rd_kafka_conf_t* conf, const Property& property) {
  char text[512];
  const rd_kafka_conf_res_t result =
      rd_kafka_conf_set(conf, property.first.c_str(), property.second.c_str(), text, sizeof text);
  if (result == RD_KAFKA_CONF_OK) return absl::OkStatus();
  if (result == RD_KAFKA_CONF_UNKNOWN) {
    return absl::InvalidArgumentError(absl::StrCat("kafka property '", property.first,
                                                   "': librdkafka has none of this name",
                                                   DidYouMean(property.first, PropertyNames())));
  }
  std::string reason = text;
  if (IsSecret(property.first) && !property.second.empty()) {
    reason = absl::StrReplaceAll(reason, {{property.second, "***"}});
  }
  return absl::InvalidArgumentError(absl::StrCat("kafka property '", property.first, "': ", reason));
}

absl::Status SetUsers(rd_kafka_conf_t* conf, const KafkaSettings& settings) {
  for (const Property& property : settings.properties) {
    if (const std::string why = WhyOwnProperty(property.first); !why.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("kafka property '", property.first, "': ", why));
    }
    if (auto status = Set(conf, property); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// librdkafka warns about consumer properties given to producers and the reverse; ours are given to all on purpose.
bool IsNoise(const char* facility, std::string_view text) {
  return std::string_view(facility) == "CONFWARN" && text.find("and will be ignored") != std::string_view::npos;
}

}  // namespace

PartitionList NewPartitionList(const std::vector<TopicPartition>& partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const TopicPartition& p : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), p.topic.c_str(), p.partition);
  }
  return list;
}

absl::StatusOr<PartitionList> NewOffsetList(const std::vector<OffsetToCommit>& offsets) {
  PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const OffsetToCommit& o : offsets) {
    if (o.offset < 0) {
      return absl::InternalError(absl::StrCat("committing offset ", o.offset, " of ", ToString(o.partition)));
    }
    auto* p = rd_kafka_topic_partition_list_add(list.get(), o.partition.topic.c_str(), o.partition.partition);
    p->offset = o.offset;
    p->metadata = std::malloc(o.metadata.size() + 1);  // owned by the list, which frees it
    std::memcpy(p->metadata, o.metadata.c_str(), o.metadata.size() + 1);
    p->metadata_size = o.metadata.size();
  }
  return list;
}

TopicPartition ToTopicPartition(const rd_kafka_topic_partition_t& partition) {
  return TopicPartition{partition.topic, partition.partition};
}

void RdHandle::SetCallbacks(rd_kafka_conf_t* conf, rd_kafka_type_t type) {
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t* rk, int level, const char* facility, const char* text) {
    auto* self = static_cast<RdHandle*>(rd_kafka_opaque(rk));
    if (self == nullptr || !self->log_ || IsNoise(facility, text)) return;
    // Waiting for a predecessor's transaction to end is how every restart begins.
    if (std::string_view(facility) == "GETPID") level = std::max(level, 6);
    self->log_(level, absl::StrCat("kafka ", facility, " ", text));
  });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int code, const char* text, void* opaque) {
    auto* self = static_cast<RdHandle*>(opaque);
    if (self->events_.on_error) self->events_.on_error(static_cast<rd_kafka_resp_err_t>(code), text);
  });
  if (type == RD_KAFKA_CONSUMER) {
    rd_kafka_conf_set_rebalance_cb(
        conf, [](rd_kafka_t* rk, rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t* partitions, void* opaque) {
          auto* self = static_cast<RdHandle*>(opaque);
          if (self->events_.on_rebalance) {
            self->events_.on_rebalance(kind, partitions);
          } else {
            rd_kafka_assign(rk, nullptr);
          }
        });
  } else if (events_.configure) {
    events_.configure(conf);
  } else {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
      auto* self = static_cast<RdHandle*>(opaque);
      if (self->events_.on_delivery) self->events_.on_delivery(*message);
    });
  }
}

absl::StatusOr<std::shared_ptr<RdHandle>> RdHandle::New(rd_kafka_type_t type, const KafkaSettings& settings,
                                                        const std::vector<Property>& ours, KafkaLog log,
                                                        HandleEvents events) {
  std::shared_ptr<RdHandle> handle(new RdHandle(std::move(log), std::move(events), settings.brokers));
  Conf conf(rd_kafka_conf_new());
  if (auto status = Set(conf.get(), {"bootstrap.servers", settings.brokers}); !status.ok()) return status;
  // The user's come second, so that they may change what is only a default of ours ("linger.ms"); what must not be
  // changed has been refused.
  for (const Property& property : ours) {
    if (auto status = Set(conf.get(), property); !status.ok()) return status;
  }
  if (auto status = SetUsers(conf.get(), settings); !status.ok()) return status;
  handle->SetCallbacks(conf.get(), type);
  char text[512];
  handle->rk_ = rd_kafka_new(type, conf.get(), text, sizeof text);
  if (handle->rk_ == nullptr) return absl::InvalidArgumentError(absl::StrCat("kafka client: ", text));
  (void)conf.release();  // owned by the instance now
  return handle;
}

RdHandle::~RdHandle() {
  Detach();
  if (rk_ != nullptr) rd_kafka_destroy_flags(rk_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

absl::Status CheckProperties(const KafkaSettings& settings) {
  Conf conf(rd_kafka_conf_new());
  return SetUsers(conf.get(), settings);
}

absl::Status FromError(rd_kafka_resp_err_t code, const std::string& text, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", text, " (", rd_kafka_err2name(code), ")");
  switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return absl::OkStatus();
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      return absl::PermissionDeniedError(message);
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      return absl::CancelledError(message);
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return absl::OutOfRangeError(message);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return absl::InvalidArgumentError(message);
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return absl::DeadlineExceededError(message);
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return absl::AbortedError(message);
    case RD_KAFKA_RESP_ERR__STATE:
    case RD_KAFKA_RESP_ERR__CONFLICT:
      return absl::InternalError(message);
    default:
      return absl::UnavailableError(message);
  }
}

bool SaysMoreThanItsState(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsCancelled(status) || absl::IsInvalidArgument(status);
}

absl::Status FromFatal(rd_kafka_t* rk, rd_kafka_resp_err_t code, const std::string& text, const std::string& what) {
  char fatal[512];
  const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, fatal, sizeof fatal);
  if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, text, what);
  absl::Status status = FromError(cause, fatal, what);
  if (SaysMoreThanItsState(status)) return status;
  // The instance has failed for good, for a reason that says nothing against a new one.
  return absl::UnknownError(absl::StrCat(std::string(status.message()), "; a new client is needed"));
}

}  // namespace tidemark::rdkafka
