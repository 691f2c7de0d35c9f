#include "src/kafka/rdkafka_consumer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_fetch.h"

namespace tidemark::rdkafka {
namespace {

constexpr int kRequestTimeoutMs = 5'000;
// No single wait is longer, in case a ring of the bell was missed.
constexpr int64_t kLongestWaitUs = 100'000;
// How long a partition that couldn't be read stands still before it is tried again.
constexpr int64_t kRestartUs = 1'000'000;
// How long after the last sign of an outage its late answers may come. The sign is of its beginning; before the answer
// come the outage itself, a session that times out, and a thread that waits for a commit and its abort before it polls.
constexpr int64_t kEchoUs = 90'000'000;

std::vector<Property> Properties(const ConsumerOptions& options) {
  const bool member = !options.group.empty();
  std::vector<Property> p = {
      {"client.id", options.client_id},
      // A reader without a group never joins or commits, but librdkafka wants a name.
      {"group.id", member ? options.group : absl::StrCat(options.client_id, "-reader")},
      {"partition.assignment.strategy", "range"},
      {"session.timeout.ms", "10000"},
      // Also how late a member learns of a rebalance.
      {"heartbeat.interval.ms", "300"},
      // How long the group waits for a member that doesn't answer a rebalance, and how long a thread may be away from
      // Poll, e.g. in a commit against a slow cluster, before it counts as dead.
      {"max.poll.interval.ms", "600000"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"auto.offset.reset", "error"},
      {"enable.partition.eof", "true"},
      {"allow.auto.create.topics", "false"},
      {"isolation.level", options.isolation == Isolation::kReadCommitted ? "read_committed" : "read_uncommitted"},
      {"check.crcs", "true"},
      // The end of a partition is seen by a fetch that brings nothing, so this is how late it is seen.
      {"fetch.wait.max.ms", member ? "50" : "20"},
      {"fetch.min.bytes", "1"},
      {"fetch.error.backoff.ms", "100"},
      // What the worker reads ahead is bounded by bytes alone, and a fetcher that found the queue full looks again
      // soon.
      {"queued.min.messages", "10000000"},
      {"queued.max.messages.kbytes", absl::StrCat(std::max<int64_t>(options.queue_bytes >> 10, 1))},
      {"fetch.queue.backoff.ms", "5"},
      {"socket.nagle.disable", "true"},
      {"reconnect.backoff.max.ms", "2000"},
  };
  // A fetch comes to memory beside the queue and, decompressed and cut into messages, as several times its size.
  if (member) p.emplace_back("fetch.message.max.bytes", "524288");
  if (member && !options.instance_id.empty()) p.emplace_back("group.instance.id", options.instance_id);
  return p;
}

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

// A leader that moves, starts or is away: librdkafka asks again until it answers.
bool PassesByItself(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
      return true;
    default:
      return false;
  }
}

}  // namespace

// What it is in the end, where it doesn't pass.
absl::Status LastingPartitionError(rd_kafka_resp_err_t code, const std::string& message) {
  switch (static_cast<int>(code)) {
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
      return absl::DataLossError(absl::StrCat(message,
                                              ". The log is damaged there: bring the broker's copy back from a "
                                              "replica, or trim the log behind the damage"));
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case 100:  // UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID: younger than the headers
    case 103:
      return absl::FailedPreconditionError(absl::StrCat(message, ". The topic was deleted, or made again"));
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      return absl::FailedPreconditionError(
          absl::StrCat(message, ". The records have a format or a compression that this build doesn't read"));
    default:
      return absl::FailedPreconditionError(message);
  }
}

absl::StatusOr<std::unique_ptr<Consumer>> RdConsumer::New(const KafkaSettings& settings, const ConsumerOptions& options,
                                                          KafkaLog log) {
  std::unique_ptr<RdConsumer> consumer(new RdConsumer(settings, options, std::move(log)));
  consumer->event_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (consumer->event_fd_ < 0) return absl::ResourceExhaustedError("eventfd: no descriptor left");
  TM_RETURN_IF_ERROR(consumer->StartInstance());
  return consumer;
}

absl::Status RdConsumer::StartInstance() {
  HandleEvents events;
  events.on_error = [this](rd_kafka_resp_err_t code, const std::string& text) { OnError(code, text); };
  events.on_rebalance = [this](rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t* partitions) {
    OnRebalance(kind, partitions);
  };
  TM_ASSIGN_OR_RETURN(handle_,
                      RdHandle::New(RD_KAFKA_CONSUMER, settings_, Properties(options_), log_, std::move(events)));
  rd_kafka_t* rk = handle_->rk();
  rd_kafka_poll_set_consumer(rk);
  records_.reset(rd_kafka_queue_new(rk));
  const Queue consumer_queue(rd_kafka_queue_get_consumer(rk));
  const uint64_t one = 1;
  rd_kafka_queue_io_event_enable(records_.get(), event_fd_, &one, sizeof one);
  rd_kafka_queue_io_event_enable(consumer_queue.get(), event_fd_, &one, sizeof one);
  return absl::OkStatus();
}

void RdConsumer::DropInstance() {
  if (handle_ != nullptr) {
    handle_->Detach();
    // The descriptor may be closed only when librdkafka doesn't write to it any more.
    const Queue consumer_queue(rd_kafka_queue_get_consumer(handle_->rk()));
    if (consumer_queue != nullptr) rd_kafka_queue_io_event_enable(consumer_queue.get(), -1, nullptr, 0);
    if (records_ != nullptr) rd_kafka_queue_io_event_enable(records_.get(), -1, nullptr, 0);
  }
  records_.reset();
  handle_.reset();
}

RdConsumer::~RdConsumer() {
  DropInstance();
  if (event_fd_ >= 0) close(event_fd_);
}

bool RdConsumer::FencedByItself() const {
  if (options_.instance_id.empty() || subscription_.empty() || cut_off_us_ < 0) return false;
  char text[512];
  return rd_kafka_fatal_error(handle_->rk(), text, sizeof text) == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID &&
         NowUs() - cut_off_us_ < kEchoUs;
}

absl::Status RdConsumer::Revive() {
  if (log_) log_(4, absl::StrCat(What("consumer"), ": fenced after a lost connection; joining once more"));
  DropInstance();
  parts_.clear();
  known_topics_.clear();
  rebalance_.reset();
  unanswered_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  pending_error_ = fatal_ = absl::OkStatus();
  cut_off_us_ = -1;
  TM_RETURN_IF_ERROR(StartInstance());
  return Subscribe(subscription_);
}

std::string RdConsumer::What(const std::string& action) const {
  if (options_.group.empty()) return absl::StrCat(action, " (", options_.client_id, ")");
  return absl::StrCat(action, " of group '", options_.group, "', member '", options_.instance_id, "'");
}

absl::Status RdConsumer::Subscribe(const std::vector<std::string>& topics) {
  if (options_.group.empty()) return absl::InternalError("Subscribe on a consumer without a group");
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const std::string& topic : topics) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  if (&topics != &subscription_) subscription_ = topics;
  return FromError(rd_kafka_subscribe(handle_->rk(), list.get()), What("subscribing"));
}

// ---- Events --------------------------------------------------------------------------------------------------------

void RdConsumer::OnRebalance(rd_kafka_resp_err_t kind, rd_kafka_topic_partition_list_t* partitions) {
  if (closing_) {
    unanswered_ = kind;
    (void)Unassign();
    return;
  }
  Rebalance event;
  if (kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    event.kind = Rebalance::Kind::kAssigned;
  } else {
    const bool lost = rd_kafka_assignment_lost(handle_->rk()) != 0;
    event.kind = lost ? Rebalance::Kind::kLost : Rebalance::Kind::kRevoked;
  }
  for (int i = 0; i < partitions->cnt; ++i) event.partitions.push_back(ToTopicPartition(partitions->elems[i]));
  rebalance_ = std::move(event);
  unanswered_ = kind;
}

void RdConsumer::OnError(rd_kafka_resp_err_t code, const std::string& text) {
  // A connection on which a request timed out is cut off by librdkafka itself.
  if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
      code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    cut_off_us_ = NowUs();
  }
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    fatal_ = FromFatal(handle_->rk(), code, text, What("consumer"));
  } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    pending_error_ = absl::UnavailableError(absl::StrCat("no broker of '", handle_->brokers(), "' answers: ", text));
  } else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    pending_error_ = FromError(code, text, What("consumer"));
  }
  // Everything else is a connection that librdkafka makes again; it has logged it.
}

void RdConsumer::ServeEvents() {
  // One event of the group at a time: the next one, if any, comes after the answer.
  while (!rebalance_.has_value()) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_->rk(), 0);
    if (message == nullptr) return;
    TakeMessageError(*message, nullptr);
    rd_kafka_message_destroy(message);
  }
}

// Errors come as messages: about one partition through its queue, about the member through the consumer queue.
void RdConsumer::TakeMessageError(const rd_kafka_message_t& m, PollResult* result) {
  const std::string topic = m.rkt != nullptr ? rd_kafka_topic_name(m.rkt) : "";
  const TopicPartition source{topic, m.partition};
  const auto part = parts_.find(source);
  const std::string text = m.payload != nullptr ? rd_kafka_message_errstr(&m) : rd_kafka_err2str(m.err);
  switch (m.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      pending_error_ = absl::InternalError(absl::StrCat("a record of ", ToString(source), " came past its queue"));
      return;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      if (part == parts_.end() || !part->second.taken() || result == nullptr) return;
      if (m.offset < part->second.position) return;
      part->second.failing_since_us = -1;
      part->second.position = m.offset;
      // A fetcher that was started anew for another partition's sake tells it again.
      if (std::exchange(part->second.end_told, m.offset) != m.offset) result->ends.emplace_back(source, m.offset);
      return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      if (part == parts_.end() || !part->second.taken()) return;
      // The client is ahead where only control records and aborted ones came. Or the error is one of before a seek:
      // errors, unlike records, outlive the fetcher they come from. Asked again from our position, it tells.
      if (m.offset >= 0 && m.offset != part->second.position && part->second.doubted != m.offset) {
        part->second.doubted = m.offset;
        part->second.restart_at_us = next_restart_us_ = 0;
        return;
      }
      pending_error_ = absl::OutOfRangeError(absl::StrCat("reading ", ToString(source), " at offset ",
                                                          std::max(m.offset, part->second.position), ": ", text));
      return;
    case RD_KAFKA_RESP_ERR__FATAL:
      fatal_ = FromFatal(handle_->rk(), m.err, text, What("consumer"));
      return;
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
      return;  // the loss of the assignment follows
    default:
      break;
  }
  if (part != parts_.end()) {
    // The first one is the cause: behind a batch that it couldn't read librdkafka may take anything for the next one.
    if (part->second.taken()) OnPartitionError(source, &part->second, m.err, text);
    return;
  }
  const bool unknown = m.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                       m.err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
  // A topic may be young and not known everywhere: librdkafka goes on asking.
  pending_error_ = unknown ? absl::UnavailableError(absl::StrCat("reading topic '", topic, "': ", text))
                           : FromError(m.err, text, topic.empty() ? What("consumer") : absl::StrCat("reading ", topic));
}

// librdkafka goes on behind what it couldn't read, as where a checksum is wrong. So nothing more is taken of the
// partition until its fetcher is started anew, at our position, where it fails again unless things have changed.
void RdConsumer::OnPartitionError(const TopicPartition& source, Part* part, rd_kafka_resp_err_t code,
                                  const std::string& text) {
  const std::string what = absl::StrCat("reading ", ToString(source));
  const absl::Status status = FromError(code, text, what);
  if (PassesByItself(code) || code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    pending_error_ = status;
    return;
  }
  const int64_t now = NowUs();
  if (part->failing_since_us < 0) part->failing_since_us = now;
  part->failure = std::string(status.message());
  part->restart_at_us = now + kRestartUs;
  troubled_ = true;
  next_restart_us_ = std::min(next_restart_us_, part->restart_at_us);
  const int64_t seconds = (now - part->failing_since_us) / 1'000'000;
  pending_error_ = now - part->failing_since_us < options_.patience_us
                       ? absl::UnavailableError(part->failure)
                       : LastingPartitionError(code, absl::StrCat(part->failure, ", for ", seconds, " s"));
}

std::string RdConsumer::Trouble() const {
  if (!troubled_) return "";
  for (const auto& [tp, part] : parts_) {
    if (part.failing_since_us < 0) continue;
    return absl::StrCat(part.failure, ", for ", (NowUs() - part.failing_since_us) / 1'000'000, " s; after ",
                        options_.patience_us / 1'000'000, " s it counts as lasting");
  }
  return "";
}

// ---- Poll ----------------------------------------------------------------------------------------------------------

absl::StatusOr<PollResult> RdConsumer::Poll(int64_t max_wait_us, size_t max_records) {
  PollResult result;
  const int64_t start = NowUs();
  for (int64_t now = start;; now = NowUs()) {
    ServeEvents();
    if (rebalance_.has_value()) {
      result.rebalance = std::exchange(rebalance_, std::nullopt);
      return result;
    }
    if (!fatal_.ok() && FencedByItself()) {
      TM_RETURN_IF_ERROR(Revive());
      result.rebalance.emplace().kind = Rebalance::Kind::kLost;
      return result;
    }
    if (!fatal_.ok()) return fatal_;
    if (!pending_error_.ok()) return std::exchange(pending_error_, absl::OkStatus());
    if (now >= next_restart_us_) TM_RETURN_IF_ERROR(StartFetchers());
    if (TakeRecords(max_records, &result)) return result;
    if (!pending_error_.ok() || now >= next_restart_us_) continue;
    const int64_t left = max_wait_us - (now - start);
    if (left <= 0 || woken_.exchange(false)) return result;
    WaitForEvent(std::min(left, kLongestWaitUs));
  }
}

void RdConsumer::Wake() {
  woken_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(event_fd_, &one, sizeof one);
}

bool RdConsumer::TakeRecords(size_t max_records, PollResult* result) {
  messages_.resize(std::max<size_t>(max_records, 1));
  const ssize_t got = rd_kafka_consume_batch_queue(records_.get(), 0, messages_.data(), messages_.size());
  const size_t count = got > 0 ? static_cast<size_t>(got) : 0;
  for (size_t begin = 0, end = 0; begin < count; begin = end) {
    end = begin + 1;
    if (messages_[begin]->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      TakeMessageError(*messages_[begin], result);
      rd_kafka_message_destroy(messages_[begin]);
      continue;
    }
    const auto* rkt = messages_[begin]->rkt;
    const int32_t partition = messages_[begin]->partition;
    while (end < count && messages_[end]->rkt == rkt && messages_[end]->partition == partition &&
           messages_[end]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++end;
    }
    TakeRun(&messages_[begin], end - begin, result);
  }
  return !result->fetches.empty() || !result->ends.empty();
}

// What belongs to a partition that was given up or paused, or lies before the position that its fetcher was started at,
// was fetched before. Behind the first record that is handed out nothing but greater offsets may come.
void RdConsumer::TakeRun(rd_kafka_message_t** messages, size_t count, PollResult* result) {
  TopicPartition source{rd_kafka_topic_name(messages[0]->rkt), messages[0]->partition};
  const auto found = parts_.find(source);
  Part* const part = found == parts_.end() || !found->second.taken() ? nullptr : &found->second;
  size_t stale = 0;
  while (stale < count && (part == nullptr || (!part->reading && messages[stale]->offset < part->position))) {
    rd_kafka_message_destroy(messages[stale++]);
  }
  if (stale == count) return;
  part->reading = true;
  part->failing_since_us = -1;
  size_t end = stale;
  for (; end < count && messages[end]->offset >= part->position; ++end) part->position = messages[end]->offset + 1;
  if (end < count) {
    pending_error_ =
        absl::InternalError(absl::StrCat("reading ", ToString(source), ": the client gave offset ",
                                         messages[end]->offset, " where ", part->position, " or a later one was due"));
    part->restart_at_us = next_restart_us_ = 0;  // what follows, and an end above all, would lie behind what is dropped
    for (size_t i = end; i < count; ++i) rd_kafka_message_destroy(messages[i]);
  }
  if (end == stale) return;
  result->fetches.push_back(std::make_unique<RdFetch>(handle_, std::move(source), messages + stale, end - stale));
}

void RdConsumer::WaitForEvent(int64_t wait_us) {
  pollfd bell = {event_fd_, POLLIN, 0};
  const timespec wait = {wait_us / 1'000'000, (wait_us % 1'000'000) * 1'000};
  if (ppoll(&bell, 1, &wait, nullptr) > 0) {
    uint64_t rings = 0;
    [[maybe_unused]] const ssize_t n = read(event_fd_, &rings, sizeof rings);
  }
}

// ---- Assignment ----------------------------------------------------------------------------------------------------

// librdkafka looks for the start of a partition whose leader it doesn't know only half a second later. A failure is
// left to it to retry and report.
void RdConsumer::LearnLeaders(const std::string& topic) {
  if (!known_topics_.insert(topic).second) return;
  const Topic handle(rd_kafka_topic_new(handle_->rk(), topic.c_str(), nullptr));
  if (handle == nullptr) return;
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(handle_->rk(), 0, handle.get(), &metadata, kRequestTimeoutMs) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_metadata_destroy(metadata);
  }
}

// Sends what the fetchers bring, and what they have brought, to the private queue.
absl::Status RdConsumer::ForwardQueues() {
  for (const auto& [tp, part] : parts_) {
    if (part.paused || part.held) continue;
    const Queue queue(rd_kafka_queue_get_partition(handle_->rk(), tp.topic.c_str(), tp.partition));
    if (queue == nullptr) return absl::InternalError(absl::StrCat("no queue for ", ToString(tp)));
    rd_kafka_queue_forward(queue.get(), records_.get());
  }
  return absl::OkStatus();
}

absl::Status RdConsumer::StartFetchers() {
  next_restart_us_ = kNever;
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(parts_.size())));
  for (auto& [tp, part] : parts_) {
    part.reading = false;
    part.restart_at_us = -1;
    part.detached = part.held;
    if (part.paused || part.held) continue;
    LearnLeaders(tp.topic);
    rd_kafka_topic_partition_list_add(list.get(), tp.topic.c_str(), tp.partition)->offset = part.position;
  }
  const std::string what = What("assigning partitions");
  // Forwarded before the first fetch, so that no record takes the way of the consumer queue. But a fetcher that runs
  // already is stopped by the assignment, and its stop undoes the forwarding; records then wait in the partition's own
  // queue. Any request that is answered behind the stop tells that it is over.
  TM_RETURN_IF_ERROR(ForwardQueues());
  TM_RETURN_IF_ERROR(FromError(rd_kafka_assign(handle_->rk(), list.get()), what));
  unanswered_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_topic_partition_list_t* assigned = nullptr;
  TM_RETURN_IF_ERROR(FromError(rd_kafka_assignment(handle_->rk(), &assigned), what));
  rd_kafka_topic_partition_list_destroy(assigned);
  return ForwardQueues();
}

absl::Status RdConsumer::Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) {
  parts_.clear();
  for (const auto& [tp, offset] : positions) {
    if (offset < 0 && offset != RD_KAFKA_OFFSET_BEGINNING) {
      return absl::InternalError(absl::StrCat("assigning ", ToString(tp), " at offset ", offset));
    }
    parts_[tp].position = offset;
  }
  return StartFetchers();
}

absl::Status RdConsumer::AssignPaused(const std::vector<TopicPartition>& partitions) {
  parts_.clear();
  for (const TopicPartition& tp : partitions) parts_[tp].paused = true;
  return StartFetchers();
}

// That nothing is taken of an assignment has to be said by an empty one: for anything else librdkafka waits on, and
// serves nothing of the group meanwhile.
absl::Status RdConsumer::Unassign() {
  parts_.clear();
  const auto answers = std::exchange(unanswered_, RD_KAFKA_RESP_ERR_NO_ERROR);
  const PartitionList none(answers == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? rd_kafka_topic_partition_list_new(0)
                                                                           : nullptr);
  return FromError(rd_kafka_assign(handle_->rk(), none.get()), What("giving up partitions"));
}

absl::Status RdConsumer::Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) {
  bool start = false;
  for (const auto& [tp, offset] : positions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("seek in unassigned ", ToString(tp)));
    part->second.position = offset;
    part->second.end_told = -1;
    start = start || !part->second.paused;
  }
  return start ? StartFetchers() : absl::OkStatus();
}

absl::Status RdConsumer::SetPaused(const std::vector<TopicPartition>& partitions, bool paused) {
  bool changed = false;
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("pause or resume of unassigned ", ToString(tp)));
    if (part->second.paused == paused) continue;
    if (!paused && part->second.position == -1) {
      return absl::InternalError(absl::StrCat("resume of ", ToString(tp), " without a position"));
    }
    part->second.paused = paused;
    part->second.end_told = -1;
    changed = true;
  }
  return changed ? StartFetchers() : absl::OkStatus();
}

absl::Status RdConsumer::Hold(const std::vector<TopicPartition>& partitions) {
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("hold of unassigned ", ToString(tp)));
    if (std::exchange(part->second.held, true)) continue;
    part->second.detached = part->second.paused;
    const Queue queue(rd_kafka_queue_get_partition(handle_->rk(), tp.topic.c_str(), tp.partition));
    if (queue != nullptr) rd_kafka_queue_forward(queue.get(), nullptr);
  }
  return absl::OkStatus();
}

absl::Status RdConsumer::Release(const std::vector<TopicPartition>& partitions) {
  bool start = false;
  for (const TopicPartition& tp : partitions) {
    const auto part = parts_.find(tp);
    if (part == parts_.end()) return absl::InternalError(absl::StrCat("release of unassigned ", ToString(tp)));
    part->second.held = false;
    start = start || (part->second.detached && !part->second.paused);
  }
  return start ? StartFetchers() : ForwardQueues();
}

absl::Status RdConsumer::Pause(const std::vector<TopicPartition>& partitions) { return SetPaused(partitions, true); }
absl::Status RdConsumer::Resume(const std::vector<TopicPartition>& partitions) { return SetPaused(partitions, false); }

}  // namespace tidemark::rdkafka
