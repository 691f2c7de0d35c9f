#include "src/kafka/rdkafka_producer.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/kafka/rdkafka_fetch.h"
#include "src/kafka/record_too_large.h"

namespace tidemark::rdkafka {
namespace {

// What a step of a transaction may take: as long as the broker lets one live, where nothing else is asked for.
constexpr int kTransactionTimeoutMs = 10'000;
constexpr int kSettleMs = 2'000;  // what an abort waits for the acknowledgement of what is under way
// Resolving the transaction of a dead predecessor may take that long by itself.
constexpr int kInitTimeoutMs = 20'000;
constexpr int64_t kInitLookMs = 100;                    // how often a caller who may give up is asked
constexpr int64_t kMaxRecordBytes = int64_t{64} << 20;  // the brokers' limits are lower and decide

std::vector<Property> Properties(const ProducerOptions& options) {
  return {
      {"client.id", options.client_id},
      {"transactional.id", options.transactional_id},
      {"transaction.timeout.ms", absl::StrCat(options.transaction_timeout_us / 1'000)},
      {"enable.idempotence", "true"},
      {"linger.ms", absl::StrCat(options.linger_us / 1'000)},
      {"batch.num.messages", "1000000"},
      {"batch.size", absl::StrCat(options.batch_bytes)},
      {"message.max.bytes", absl::StrCat(kMaxRecordBytes)},
      {"queue.buffering.max.messages", "10000000"},
      {"queue.buffering.max.kbytes", absl::StrCat(std::max<int64_t>(options.queue_bytes >> 10, 1))},
      {"compression.codec", "lz4"},
      // A new transaction meets CONCURRENT_TRANSACTIONS while the markers of the last one are being written.
      {"retry.backoff.ms", "10"},
      {"socket.nagle.disable", "true"},
      {"reconnect.backoff.max.ms", "2000"},
  };
}

int64_t NowUs() { return SystemClock()->MonotonicUs(); }

void* Pointer(const Bytes& bytes) {
  static char empty[1] = "";
  if (!bytes.has_value()) return nullptr;
  return bytes->empty() ? empty : const_cast<char*>(bytes->data());
}

absl::Status WriteFailed(rd_kafka_t* rk, rd_kafka_resp_err_t code, size_t bytes, const std::string& topic,
                         int32_t partition) {
  const absl::Status status =
      FromFatal(rk, code, rd_kafka_err2str(code),
                absl::StrCat("writing a record of ", bytes, " bytes to ", topic, "-", partition));
  const bool too_large =
      code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
  return too_large && absl::IsInvalidArgument(status) ? RecordTooLarge(topic, std::string(status.message())) : status;
}

size_t Size(const Bytes& bytes) { return bytes.has_value() ? bytes->size() : 0; }

}  // namespace

absl::StatusOr<std::unique_ptr<Producer>> RdProducer::New(const KafkaSettings& settings, const ProducerOptions& options,
                                                          KafkaLog log) {
  std::unique_ptr<RdProducer> producer(new RdProducer(options));
  HandleEvents events;
  events.configure = DeliveryReports::Configure;
  TM_ASSIGN_OR_RETURN(producer->handle_, RdHandle::New(RD_KAFKA_PRODUCER, settings, Properties(options), std::move(log),
                                                       std::move(events)));
  rd_kafka_t* const rk = producer->handle_->rk();
  producer->reports_.Start(rk, [rk](const rd_kafka_message_t& m) {
    return WriteFailed(rk, m.err, m.len + m.key_len, rd_kafka_topic_name(m.rkt), m.partition);
  });
  return producer;
}

RdProducer::RdProducer(const ProducerOptions& options) : options_(options) {
  for (const std::string& topic : options.written_topics) written_[topic];
}

RdProducer::~RdProducer() {
  if (handle_ == nullptr) return;
  reports_.Stop();
  handle_->Detach();
  // What was not committed is not wanted: without this, ending the instance would wait for it to be sent.
  rd_kafka_purge(handle_->rk(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
  outs_.clear();  // topics end before their instance
}

std::string RdProducer::What(const std::string& action) const {
  return absl::StrCat(action, " (transactional.id '", options_.transactional_id, "')");
}

absl::Status RdProducer::FromTransaction(Error error, const std::string& action) {
  if (error == nullptr) return absl::OkStatus();
  const rd_kafka_resp_err_t code = rd_kafka_error_code(error.get());
  const std::string text = rd_kafka_error_string(error.get());
  if (rd_kafka_error_is_fatal(error.get())) return FromFatal(handle_->rk(), code, text, What(action));
  absl::Status status = FromError(code, text, What(action));
  if (SaysMoreThanItsState(status)) return status;
  if (rd_kafka_error_txn_requires_abort(error.get())) return absl::AbortedError(std::string(status.message()));
  return status;
}

absl::Status RdProducer::InitTransactions() {
  const int64_t until_us = NowUs() + kInitTimeoutMs * kMillisecond;
  while (true) {
    const int64_t left_ms = std::max<int64_t>((until_us - NowUs()) / kMillisecond, 1);
    const int64_t wait_ms = options_.give_up == nullptr ? left_ms : std::min(left_ms, kInitLookMs);
    const int64_t looked_us = NowUs();
    Error error(rd_kafka_init_transactions(handle_->rk(), static_cast<int>(wait_ms)));
    // A call that was too short is gone on with by the next one; its error is what it was waiting for.
    const bool waits = error != nullptr && rd_kafka_error_is_retriable(error.get()) &&
                       NowUs() - looked_us >= wait_ms * kMillisecond * 9 / 10;
    if (!waits || wait_ms == left_ms) return FromTransaction(std::move(error), "initialising transactions");
    if (options_.give_up()) {
      return absl::UnavailableError(What("initialising transactions: given up, the worker stops"));
    }
  }
}

absl::Status RdProducer::Begin() {
  reports_.Clear();
  for (auto& [topic, written] : written_) written.Clear();
  return FromTransaction(Error(rd_kafka_begin_transaction(handle_->rk())), "beginning a transaction");
}

// ---- Records -------------------------------------------------------------------------------------------------------

absl::StatusOr<RdProducer::Out*> RdProducer::Open(const std::string& topic) {
  if (const auto found = outs_.find(topic); found != outs_.end()) return &found->second;
  rd_kafka_topic_conf_t* conf = rd_kafka_default_topic_conf_dup(handle_->rk());
  if (const auto codec = options_.compression.find(topic); codec != options_.compression.end()) {
    char text[512];
    if (rd_kafka_topic_conf_set(conf, "compression.codec", codec->second.c_str(), text, sizeof text) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_topic_conf_destroy(conf);
      return absl::InvalidArgumentError(absl::StrCat("compression of topic '", topic, "': ", text));
    }
  }
  Topic handle(rd_kafka_topic_new(handle_->rk(), topic.c_str(), conf));
  if (handle == nullptr) return FromError(rd_kafka_last_error(), absl::StrCat("topic '", topic, "'"));
  TM_ASSIGN_OR_RETURN(const int32_t partitions, CountPartitions(handle.get()));
  Out& out = outs_[topic];
  out.topic = std::move(handle);
  out.partitions = partitions;
  if (const auto written = written_.find(topic); written != written_.end()) out.written = &written->second;
  return &out;
}

absl::StatusOr<int32_t> RdProducer::CountPartitions(rd_kafka_topic_t* topic) const {
  const rd_kafka_metadata_t* metadata = nullptr;
  const std::string what = absl::StrCat("looking up topic '", rd_kafka_topic_name(topic), "'");
  if (auto code = rd_kafka_metadata(handle_->rk(), 0, topic, &metadata, kTransactionTimeoutMs / 2);
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return FromError(code, what);
  }
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  int32_t partitions = 0;
  if (metadata->topic_cnt > 0) {
    code = metadata->topics[0].err;
    partitions = metadata->topics[0].partition_cnt;
  }
  rd_kafka_metadata_destroy(metadata);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return FromError(code, what);
  return partitions;
}

// librdkafka 2.0.2 never lets go of a record it has refused for its partition, and no flush ends after that.
absl::Status RdProducer::CheckPartitions(Out* out, const std::string& topic, const std::vector<OutRecord>& records) {
  int32_t highest = 0;
  for (const OutRecord& r : records) {
    if (r.partition < 0) return absl::InternalError(absl::StrCat("writing to ", topic, " without a partition"));
    highest = std::max(highest, r.partition);
  }
  if (highest < out->partitions) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(out->partitions, CountPartitions(out->topic.get()));  // it may have grown
  if (highest < out->partitions) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("writing to ", topic, "-", highest, ": the topic has ", out->partitions, " partitions"));
}

absl::Status RdProducer::Produce(const std::string& topic, const std::vector<OutRecord>& records) {
  if (records.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(Out* const out, Open(topic));
  TM_RETURN_IF_ERROR(CheckPartitions(out, topic, records));
  for (size_t begin = 0, end = 0; begin < records.size(); begin = end) {
    end = begin;
    while (end < records.size() && records[end].headers == nullptr) ++end;
    if (end > begin) TM_RETURN_IF_ERROR(ProducePlain(*out, topic, &records[begin], end - begin));
    if (end < records.size()) TM_RETURN_IF_ERROR(ProduceWithHeaders(*out, topic, records[end++]));
  }
  return reports_.error();
}

absl::Status RdProducer::WaitForRoom(int64_t since_us) {
  if (NowUs() - since_us > options_.transaction_timeout_us) {
    return absl::DeadlineExceededError(What("no room in the queue: the brokers take no records"));
  }
  return reports_.WaitForError(1'000);
}

absl::Status RdProducer::Refused(rd_kafka_resp_err_t code, size_t bytes, const std::string& topic, int32_t partition) {
  const absl::Status status = WriteFailed(handle_->rk(), code, bytes, topic, partition);
  if (code != RD_KAFKA_RESP_ERR__STATE || !absl::IsInternal(status)) return status;
  // The record that the brokers refused says why; its report may still be on the way.
  TM_RETURN_IF_ERROR(reports_.WaitForError(100'000));
  return absl::AbortedError(absl::StrCat(std::string(status.message()), ": the transaction has failed"));
}

// One call a partition: librdkafka then looks the partition up and adds it to the transaction once, not for every
// record.
absl::Status RdProducer::ProducePlain(const Out& out, const std::string& topic, const OutRecord* records,
                                      size_t count) {
  places_.resize(static_cast<size_t>(out.partitions));
  targets_.clear();
  for (size_t i = 0; i < count; ++i) {
    if (places_[static_cast<size_t>(records[i].partition)]++ == 0) targets_.push_back(records[i].partition);
  }
  uint32_t place = 0;
  for (const int32_t target : targets_) place += std::exchange(places_[static_cast<size_t>(target)], place);
  batch_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    rd_kafka_message_t& m = batch_[places_[static_cast<size_t>(records[i].partition)]++];
    m = rd_kafka_message_t();
    m.payload = Pointer(records[i].value);
    m.len = Size(records[i].value);
    m.key = Pointer(records[i].key);
    m.key_len = Size(records[i].key);
    m._private = out.written;
  }
  absl::Status status;
  uint32_t begin = 0;
  for (const int32_t target : targets_) {
    const uint32_t end = std::exchange(places_[static_cast<size_t>(target)], 0);
    if (status.ok()) status = ProduceBatch(out, topic, target, &batch_[begin], end - begin);
    begin = end;
  }
  return status;
}

absl::Status RdProducer::ProduceBatch(const Out& out, const std::string& topic, int32_t partition,
                                      rd_kafka_message_t* batch, size_t count) {
  const int64_t since_us = NowUs();
  size_t begin = 0;
  while (begin < count) {
    const int taken = rd_kafka_produce_batch(out.topic.get(), partition, RD_KAFKA_MSG_F_COPY, &batch[begin],
                                             static_cast<int>(count - begin));
    if (begin + static_cast<size_t>(std::max(taken, 0)) == count) break;
    // A full queue refuses all from some record on; any other error is of one record and final.
    size_t full = count;
    for (size_t i = begin; i < count; ++i) {
      if (batch[i].err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        full = i;
        break;
      }
      if (batch[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return Refused(batch[i].err, batch[i].len + batch[i].key_len, topic, partition);
      }
    }
    begin = full;
    if (begin < count) TM_RETURN_IF_ERROR(WaitForRoom(since_us));
  }
  return absl::OkStatus();
}

absl::Status RdProducer::ProduceWithHeaders(const Out& out, const std::string& topic, const OutRecord& record) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers->size());
  for (const auto& [name, value] : *record.headers) {
    rd_kafka_header_add(headers, name.c_str(), static_cast<ssize_t>(name.size()), value ? value->data() : nullptr,
                        value ? static_cast<ssize_t>(value->size()) : 0);
  }
  const int64_t since_us = NowUs();
  while (true) {
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        handle_->rk(), RD_KAFKA_V_RKT(out.topic.get()), RD_KAFKA_V_PARTITION(record.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(Pointer(record.key), Size(record.key)),
        RD_KAFKA_V_VALUE(Pointer(record.value), Size(record.value)), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(out.written), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();  // the record owns the headers now
    absl::Status status;
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      status = WaitForRoom(since_us);
      if (status.ok()) continue;
    } else {
      status = Refused(code, Size(record.value) + Size(record.key), topic, record.partition);
    }
    rd_kafka_headers_destroy(headers);
    return status;
  }
}

absl::Status RdProducer::Flush() {
  const rd_kafka_resp_err_t code =
      rd_kafka_flush(handle_->rk(), static_cast<int>(options_.transaction_timeout_us / kMillisecond));
  TM_RETURN_IF_ERROR(reports_.error());
  if (code == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    return absl::DeadlineExceededError(
        absl::StrCat(What("flushing"), ": ", rd_kafka_outq_len(handle_->rk()), " records are not acknowledged"));
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return FromFatal(handle_->rk(), code, rd_kafka_err2str(code), What("flushing"));
  }
  // While the transaction can still be aborted: a state that was applied at the wrong place in its log can't be
  // restored.
  for (const auto& [topic, written] : written_) {
    if (!written.complete()) {
      return absl::AbortedError(
          absl::StrCat(What("flushing"), ": records of ", topic, " were acknowledged without offsets"));
    }
  }
  return absl::OkStatus();
}

std::optional<std::pair<Offset, Offset>> RdProducer::Written(const TopicPartition& partition) const {
  const auto found = written_.find(partition.topic);
  if (found == written_.end()) return std::nullopt;
  return found->second.Get(partition.partition);
}

// ---- The end of a transaction --------------------------------------------------------------------------------------

absl::Status RdProducer::SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) {
  if (offsets.empty()) return absl::OkStatus();
  const auto* metadata = dynamic_cast<const RdGroupMetadata*>(&group);
  if (metadata == nullptr || !metadata->valid()) {
    return absl::AbortedError(absl::StrCat(What("sending offsets"), ": the assignment is lost, ", group.ToString()));
  }
  TM_ASSIGN_OR_RETURN(const PartitionList list, NewOffsetList(offsets));
  return FromTransaction(
      Error(rd_kafka_send_offsets_to_transaction(handle_->rk(), list.get(), metadata->get(), kTransactionTimeoutMs)),
      "sending offsets");
}

CommitOutcome RdProducer::Commit(std::string* error) {
  const int64_t deadline = NowUs() + int64_t{kTransactionTimeoutMs} * 1'000;
  while (true) {
    const int left_ms = static_cast<int>(std::max<int64_t>((deadline - NowUs()) / 1'000, 1));
    Error failure(rd_kafka_commit_transaction(handle_->rk(), left_ms));
    if (failure == nullptr) return CommitOutcome::kCommitted;
    if (rd_kafka_error_is_retriable(failure.get()) && NowUs() < deadline) continue;  // resumes where it stood
    const bool fatal = rd_kafka_error_is_fatal(failure.get());
    const bool abortable = rd_kafka_error_txn_requires_abort(failure.get());
    const absl::Status status = FromTransaction(std::move(failure), "committing");
    if (error != nullptr) *error = std::string(status.message());
    if (ActionFor(status) == Action::kAwaitMembership) return CommitOutcome::kFenced;
    return abortable && !fatal ? CommitOutcome::kAborted : CommitOutcome::kUnknown;
  }
}

// librdkafka takes what is still in its queues for never sent, and gives the records that come next their sequence
// numbers, under the same epoch. But what was sent before a connection was lost, and waits there to be sent again, may
// stand in the log: the brokers then take the next records for repeats, acknowledge them and write nothing, and a
// commit goes past them. A new producer's init_transactions ends the transaction and begins an epoch. What only lingers
// is written in a moment; a producer that has failed for good gives no more numbers, and says why it failed.
absl::Status RdProducer::Abort() {
  rd_kafka_flush(handle_->rk(), kSettleMs);
  const int unknown = rd_kafka_outq_len(handle_->rk());
  if (unknown > 0 && rd_kafka_fatal_error(handle_->rk(), nullptr, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::UnavailableError(absl::StrCat(What("aborting"), ": it isn't known whether ", unknown,
                                               " records were written, so this producer is of no more use"));
  }
  const int64_t deadline = NowUs() + int64_t{kTransactionTimeoutMs} * 1'000;
  while (true) {
    const int left_ms = static_cast<int>(std::max<int64_t>((deadline - NowUs()) / 1'000, 1));
    Error failure(rd_kafka_abort_transaction(handle_->rk(), left_ms));
    if (failure != nullptr && rd_kafka_error_is_retriable(failure.get()) && NowUs() < deadline) continue;
    return FromTransaction(std::move(failure), "aborting");
  }
}

}  // namespace tidemark::rdkafka
