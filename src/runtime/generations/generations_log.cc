#include "src/runtime/generations/generations_log.h"

#include <algorithm>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "src/base/kept_format.h"
#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// A record and its marker; more where commands were aborted.
constexpr Offset kFirstLook = 4;
// Brokers take a record of a megabyte.
constexpr size_t kMostBytes = 900'000;
constexpr char kFailedBefore[] = "the log of generations: this writer has failed before";
constexpr char kTakenOver[] = "another tidemark command changes the generations of this application";
constexpr int kTries = 150;  // of a tenth of a second

absl::StatusOr<generations::State> ReadLast(KafkaClient& kafka, const TopicPartition& log) {
  TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(kafka.admin(), log));
  for (Offset look = kFirstLook;; look *= 16) {
    const Offset from = std::max(range.first, range.second - look);
    generations::State last;
    bool found = false, damaged = false;
    TM_RETURN_IF_ERROR(ReadRanges(kafka, {{log, {from, range.second}}}, [&](const auto&, const RecordView& record) {
      const std::string_view value = record.value.value_or("");
      damaged = !last.ParseFromArray(value.data(), static_cast<int>(value.size()));
      found = true;
      return true;
    }));
    if (damaged) return absl::DataLossError(absl::StrCat(ToString(log), ": its last record can't be read"));
    TM_RETURN_IF_ERROR(CheckKeptFormat(last.needs_format(), ToString(log)));
    if (found) return last;
    if (from <= range.first) return FirstState();
  }
}

}  // namespace

generations::State FirstState() {
  generations::State state;
  state.set_active(1);
  return state;
}

const generations::Generation* FindGeneration(const generations::State& state, int32_t number) {
  for (const generations::Generation& each : state.generations()) {
    if (each.number() == number) return &each;
  }
  return nullptr;
}

generations::Generation* FindGeneration(generations::State* state, int32_t number) {
  return const_cast<generations::Generation*>(FindGeneration(std::as_const(*state), number));
}

int32_t NewestGeneration(const generations::State& state) {
  int32_t newest = std::max({1, state.newest(), state.active(), state.leaving(), state.building()});
  for (const generations::Generation& each : state.generations()) newest = std::max(newest, each.number());
  return newest;
}

std::string TopologyFingerprint(const std::string& yaml) { return absl::BytesToHexString(Sha256(yaml)).substr(0, 16); }

absl::StatusOr<generations::State> ReadGenerations(const std::string& application, KafkaClient& kafka) {
  return GenerationsReader(application, &kafka).Read();
}

absl::StatusOr<generations::State> GenerationsReader::Read() {
  const TopicPartition log{names_.Topic(), 0};
  if (!exists_) {
    const auto found = kafka_.admin().Describe({log.topic});
    // Who may not even see it: brokers say so of a topic that isn't there, too. Were it there, the fence would tell.
    if (absl::IsInvalidArgument(found.status())) return state_;
    TM_RETURN_IF_ERROR(found.status());
    if (found->empty()) return state_;
    exists_ = true;
  }
  // Asked first: what is behind it by then is in the other.
  TM_ASSIGN_OR_RETURN(const Offset written, kafka_.admin().LogEnd(log, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset end, kafka_.admin().LogEnd(log, Isolation::kReadCommitted));
  if (end < written) {
    return absl::UnavailableError(absl::StrCat("what stands in ", ToString(log), " isn't decided yet"));
  }
  if (end == end_) return state_;
  TM_ASSIGN_OR_RETURN(state_, ReadLast(kafka_, log));
  end_ = end;
  return state_;
}

absl::StatusOr<generations::State> ReadGenerations(const std::string& application, KafkaClient& kafka,
                                                   const std::function<void()>& wait) {
  absl::StatusOr<generations::State> state = ReadGenerations(application, kafka);
  for (int tries = 0; tries < kTries && absl::IsUnavailable(state.status()); ++tries) {
    wait();
    state = ReadGenerations(application, kafka);
  }
  return state;
}

absl::StatusOr<std::unique_ptr<GenerationsWriter>> GenerationsWriter::Open(const Plan& plan, KafkaClient* kafka,
                                                                           const std::function<void()>& wait) {
  const GenerationNames names{plan.application.name};
  TM_ASSIGN_OR_RETURN(const auto found, kafka->admin().Describe({names.Topic()}));
  if (found.empty()) {
    if (!plan.create_internal_topics) {
      return absl::FailedPreconditionError(absl::StrCat(
          "topic '", names.Topic(),
          "' does not exist, and internal_topics.create is false: make it with 1 partition, cleanup.policy=delete and "
          "retention.ms=-1"));
    }
    TM_RETURN_IF_ERROR(kafka->admin().CreateTopics(
        {{names.Topic(), 1, plan.internal_topics.replication_factor, InternalTopicConfig(plan)}}));
  }
  const std::string id = names.TransactionalId();
  TM_ASSIGN_OR_RETURN(auto producer, kafka->NewProducer({.transactional_id = id, .client_id = id}));
  TM_RETURN_IF_ERROR(producer->InitTransactions());
  // What a predecessor had undecided is decided by now.
  TM_ASSIGN_OR_RETURN(generations::State state, ReadGenerations(names.name, *kafka, wait));
  return std::unique_ptr<GenerationsWriter>(new GenerationsWriter(names, kafka, std::move(producer), std::move(state)));
}

absl::StatusOr<std::unique_ptr<GenerationsWriter>> GenerationsWriter::OpenToRead(const Plan& plan, KafkaClient* kafka,
                                                                                 const std::function<void()>& wait) {
  const GenerationNames names{plan.application.name};
  TM_ASSIGN_OR_RETURN(generations::State state, ReadGenerations(names.name, *kafka, wait));
  return std::unique_ptr<GenerationsWriter>(new GenerationsWriter(names, kafka, nullptr, std::move(state)));
}

absl::Status GenerationsWriter::StillMine() {
  if (producer_ == nullptr) return absl::UnknownError(kFailedBefore);
  TM_ASSIGN_OR_RETURN(const generations::State stands, reader_.Read());
  return stands.number() == state_.number() ? absl::OkStatus() : absl::CancelledError(kTakenOver);
}

absl::Status GenerationsWriter::Write(generations::State next) {
  if (producer_ == nullptr) return absl::UnknownError(kFailedBefore);
  next.set_number(state_.number() + 1);
  const std::string value = next.SerializeAsString();
  if (value.size() > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the topologies of all generations together have ", value.size(),
                                                   " bytes, and ", kMostBytes,
                                                   " fit into a record: drop a generation that isn't needed any more"));
  }
  std::unique_ptr<Producer> producer = std::move(producer_);  // comes back where all has gone well
  TM_RETURN_IF_ERROR(producer->Begin());
  TM_RETURN_IF_ERROR(producer->Produce(topic_, {{0, std::nullopt, value, nullptr}}));
  TM_RETURN_IF_ERROR(producer->Flush());
  std::string error;
  switch (producer->Commit(&error)) {
    case CommitOutcome::kCommitted:
      break;
    case CommitOutcome::kAborted:
      return absl::AbortedError(absl::StrCat("the log of generations: ", error));
    case CommitOutcome::kFenced:
      return absl::CancelledError(kTakenOver);
    case CommitOutcome::kUnknown:
      return absl::UnknownError(absl::StrCat("the log of generations: whether it was written isn't known: ", error));
  }
  state_ = std::move(next);
  producer_ = std::move(producer);
  return absl::OkStatus();
}

}  // namespace tidemark
