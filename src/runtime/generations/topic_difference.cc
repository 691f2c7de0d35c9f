// See target_swap.h. One pass over both topics finds what differs, and a second one over the shadow fetches the values
// that go: so values are never kept, and the transaction is open for no longer than it takes to write. It is made from
// logs that don't grow: n's group is fenced before (fence.h), and a transaction that is still open is waited for, so
// nothing that n has begun can become visible behind the end (DESIGN.md: opening a task has the same order), and n+1
// stands still.
//
// Idempotent by what it is, for as long as n+1 stands still: once it is written, nothing differs. A commit whose
// outcome isn't known is settled by the next call's init_transactions, and the topic then tells. Whether n+1 still
// stands is asked behind that call: a command that goes on with the decision makes it too, before n+1 runs, so who has
// asked before and falls asleep is fenced by then.
#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/runtime/generations/target_swap.h"
#include "src/runtime/log_range.h"

namespace tidemark {
namespace {

constexpr int64_t kEntryBytes = 64;  // of a key beside its bytes
// The longest that brokers let a transaction last by default (transaction.max.timeout.ms).
constexpr int64_t kTransactionUs = 900 * kSecond;
constexpr size_t kRecordsAtOnce = 1'000;
constexpr char kClientId[] = "tidemark-switch";

// What stands under a key in the two topics, values as hashes of 128 bits (XXH3).
struct Entry {
  std::optional<XXH128_hash_t> live, shadow;
  Offset at = -1;  // in the shadow

  bool differs() const {
    return live.has_value() != shadow.has_value() || (live && XXH128_isEqual(*live, *shadow) == 0);
  }
};

// Of one partition.
struct Difference {
  std::vector<Offset> upserts;  // where they stand in the shadow, ascending
  std::vector<std::string> tombstones;
};
using Differences = std::map<int32_t, Difference>;

// Errors of a client, as a caller takes them who can only call again or not.
absl::Status Told(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
      return status;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:  // somebody else swaps this topic as well
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnknown:
      return absl::UnavailableError(status.message());
    default:
      return absl::FailedPreconditionError(status.message());
  }
}

class TopicDifference final : public TargetSwap {
 public:
  TopicDifference(TopicDifferenceTarget target, KafkaClient* kafka, Clock* clock)
      : target_(std::move(target)), what_("topic " + target_.live), kafka_(kafka), clock_(clock) {}

  absl::Status Prepare() override {
    absl::Status status = Find(/*settled=*/false, target_.key_bytes).status();
    // Whether such a transaction may be begun at all, under an id that fences nobody.
    if (status.ok()) status = Own(target_.transactional_id + ".rehearsal").status();
    return Annotate(Told(status), what_);
  }
  absl::Status Swap() override {
    absl::StatusOr<std::unique_ptr<Producer>> producer = Own(target_.transactional_id);
    if (!producer.ok()) return Annotate(Told(producer.status()), what_);
    if (target_.still_mine && !MutationActive(Mutation::kSwappedAsleep)) TM_RETURN_IF_ERROR(target_.still_mine());
    return Annotate(Told(Follow(**producer)), what_);
  }
  std::string Describe() const override {
    return absl::StrCat(what_, " gets what ", target_.shadow,
                        " has otherwise, and tombstones of the keys that it "
                        "hasn't, in one transaction");
  }

 private:
  absl::StatusOr<int32_t> Partitions() const;
  absl::StatusOr<std::pair<Offset, Offset>> Range(const TopicPartition& partition, bool settled) const;
  absl::StatusOr<Differences> Find(bool settled, int64_t key_bytes) const;
  absl::StatusOr<Difference> FindIn(int32_t partition, bool settled, int64_t key_bytes) const;
  absl::StatusOr<std::unique_ptr<Producer>> Own(const std::string& transactional_id) const;
  absl::Status Follow(Producer& producer) const;
  absl::Status Write(Producer& producer, int32_t partition, const Difference& difference) const;

  const TopicDifferenceTarget target_;
  const std::string what_;
  KafkaClient* const kafka_;
  Clock* const clock_;
};

absl::StatusOr<int32_t> TopicDifference::Partitions() const {
  TM_ASSIGN_OR_RETURN(const auto topics, kafka_->admin().Describe({target_.live, target_.shadow}));
  for (const std::string& topic : {target_.live, target_.shadow}) {
    if (!topics.contains(topic)) return absl::InvalidArgumentError(absl::StrCat("topic ", topic, " doesn't exist"));
  }
  const int32_t of_live = topics.at(target_.live).partitions, of_shadow = topics.at(target_.shadow).partitions;
  if (of_live == of_shadow) return of_live;
  return absl::InvalidArgumentError(
      absl::StrCat("it has ", of_live, " partitions and ", target_.shadow, " has ", of_shadow,
                   ", so their keys don't lie in the same ones; make the shadow with as many"));
}

// Settled: nothing is open in it, so what is committed is all there will be.
absl::StatusOr<std::pair<Offset, Offset>> TopicDifference::Range(const TopicPartition& partition, bool settled) const {
  TM_ASSIGN_OR_RETURN(const Offset start, kafka_->admin().LogStart(partition));
  if (!settled) {
    TM_ASSIGN_OR_RETURN(const Offset end, kafka_->admin().LogEnd(partition, Isolation::kReadCommitted));
    return std::pair(start, end);
  }
  TM_ASSIGN_OR_RETURN(const Offset end, kafka_->admin().LogEnd(partition, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset committed, kafka_->admin().LogEnd(partition, Isolation::kReadCommitted));
  if (committed >= end) return std::pair(start, end);
  return absl::UnavailableError(absl::StrCat("a transaction in ", ToString(partition), " hasn't ended yet"));
}

absl::StatusOr<Differences> TopicDifference::Find(bool settled, int64_t key_bytes) const {
  TM_ASSIGN_OR_RETURN(const int32_t partitions, Partitions());
  Differences differences;
  for (int32_t p = 0; p < partitions; ++p) {
    TM_ASSIGN_OR_RETURN(Difference difference, FindIn(p, settled, key_bytes));
    for (const std::string& key : difference.tombstones) key_bytes -= static_cast<int64_t>(key.size()) + kEntryBytes;
    if (!difference.upserts.empty() || !difference.tombstones.empty()) differences[p] = std::move(difference);
  }
  return differences;
}

absl::StatusOr<Difference> TopicDifference::FindIn(int32_t partition, bool settled, int64_t key_bytes) const {
  absl::flat_hash_map<std::string, Entry> entries;
  int64_t bytes = 0;
  for (const bool shadow : {false, true}) {
    const TopicPartition log{shadow ? target_.shadow : target_.live, partition};
    TM_ASSIGN_OR_RETURN(const auto range, Range(log, settled));
    const auto take = [&](const Fetch& fetch, size_t i) -> absl::Status {
      const RecordView& record = fetch.records()[i];
      if (!record.key) return absl::InvalidArgumentError("a record without a key, in a topic that is by key");
      const auto [at, is_new] = entries.try_emplace(std::string(*record.key));
      if (is_new) bytes += static_cast<int64_t>(record.key->size()) + kEntryBytes;
      if (bytes > key_bytes) {
        return absl::InvalidArgumentError(
            absl::StrCat("the keys of a partition, and those that would be deleted, take "
                         "more than ",
                         key_bytes >> 20, " MiB; give it more partitions"));
      }
      std::optional<XXH128_hash_t>& value = shadow ? at->second.shadow : at->second.live;
      value.reset();
      if (record.value) value = XXH3_128bits(record.value->data(), record.value->size());
      if (shadow) at->second.at = record.offset;
      return absl::OkStatus();
    };
    TM_RETURN_IF_ERROR(ReadLogRange(*kafka_, *clock_, kClientId, log, range.first, range.second, take));
  }
  Difference difference;
  for (const auto& [key, entry] : entries) {
    if (!entry.differs()) continue;
    if (entry.shadow) {
      difference.upserts.push_back(entry.at);
    } else {
      difference.tombstones.push_back(key);
    }
  }
  std::sort(difference.upserts.begin(), difference.upserts.end());
  std::sort(difference.tombstones.begin(), difference.tombstones.end());
  return difference;
}

// Whoever had the id is fenced, and what it has begun is settled.
absl::StatusOr<std::unique_ptr<Producer>> TopicDifference::Own(const std::string& transactional_id) const {
  ProducerOptions options;
  options.transactional_id = transactional_id;
  options.client_id = kClientId;
  options.transaction_timeout_us = kTransactionUs;
  TM_ASSIGN_OR_RETURN(std::unique_ptr<Producer> producer, kafka_->NewProducer(options));
  TM_RETURN_IF_ERROR(producer->InitTransactions());
  return producer;
}

absl::Status TopicDifference::Follow(Producer& producer) const {
  TM_ASSIGN_OR_RETURN(const Differences differences, Find(/*settled=*/true, target_.key_bytes / 4 * 5));
  if (differences.empty()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(producer.Begin());
  for (const auto& [partition, difference] : differences) {
    TM_RETURN_IF_ERROR(Write(producer, partition, difference));
  }
  TM_RETURN_IF_ERROR(producer.Flush());
  TM_RETURN_IF_ERROR(Failpoint("swap_topic.before_commit"));
  std::string error;
  if (producer.Commit(&error) != CommitOutcome::kCommitted) {
    return absl::UnavailableError(absl::StrCat("the commit of the difference: ", error));
  }
  return Failpoint("swap_topic.after_commit");
}

absl::Status TopicDifference::Write(Producer& producer, int32_t partition, const Difference& difference) const {
  const auto& tombstones = difference.tombstones;
  for (size_t begin = 0; begin < tombstones.size(); begin += kRecordsAtOnce) {
    std::vector<OutRecord> records;
    for (size_t i = begin; i < std::min(begin + kRecordsAtOnce, tombstones.size()); ++i) {
      records.push_back({.partition = partition, .key = tombstones[i], .value = std::nullopt});
    }
    TM_RETURN_IF_ERROR(producer.Produce(target_.live, records));
  }
  if (difference.upserts.empty()) return absl::OkStatus();
  auto next = difference.upserts.begin();
  const auto take = [&](const Fetch& fetch, size_t i) -> absl::Status {
    const RecordView& record = fetch.records()[i];
    if (next == difference.upserts.end() || record.offset < *next) return absl::OkStatus();
    if (record.offset > *next) return absl::UnavailableError("a value went away while it was read");
    ++next;
    const HeaderList headers = fetch.Headers(i);
    return producer.Produce(target_.live, {OutRecord{.partition = partition,
                                                     .key = record.key,
                                                     .value = record.value,
                                                     .headers = headers.empty() ? nullptr : &headers}});
  };
  TM_RETURN_IF_ERROR(ReadLogRange(*kafka_, *clock_, kClientId, {target_.shadow, partition}, difference.upserts.front(),
                                  difference.upserts.back() + 1, take));
  if (next == difference.upserts.end()) return absl::OkStatus();
  return absl::UnavailableError("a value went away while it was read");
}

}  // namespace

std::unique_ptr<TargetSwap> MakeTopicDifference(TopicDifferenceTarget target, KafkaClient* kafka, Clock* clock) {
  return std::make_unique<TopicDifference>(std::move(target), kafka, clock);
}

}  // namespace tidemark
