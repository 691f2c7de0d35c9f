#include "src/runtime/commit.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/record_limits.h"

namespace tidemark {
namespace {

absl::Status Commit(Producer* producer) {
  std::string error;
  switch (producer->Commit(&error)) {
    case CommitOutcome::kCommitted:
      return absl::OkStatus();
    case CommitOutcome::kAborted:
      return absl::AbortedError("commit: " + error);
    case CommitOutcome::kUnknown:
      return absl::UnknownError("commit: " + error);
    case CommitOutcome::kFenced:
      return absl::CancelledError("commit: " + error);
  }
  return absl::InternalError("commit: no outcome");
}

// Steps 4 and 5, on the decider's thread.
absl::Status Decide(Producer* producer, const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) {
  TM_RETURN_IF_ERROR(producer->SendOffsets(offsets, group));
  TM_RETURN_IF_ERROR(Failpoint("commit.before_decision"));
  return Commit(producer);
}

absl::Status Apply(const std::vector<Task*>& tasks, const Producer& producer) {
  for (Task* task : tasks) TM_RETURN_IF_ERROR(Annotate(task->Applied(producer), task->id().ToString()));
  return absl::OkStatus();
}

// At 13 MB/s a commit is encoded, written and acknowledged on a machine that is busy otherwise.
constexpr int64_t kBytesInTime = int64_t{128} << 20;

}  // namespace

int64_t TransactionTimeoutUs(const Plan& plan) {
  int64_t most = 0;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind == Node::Kind::kOperator) most = std::max(most, node.spec.kind().CommitBytes(node));
    }
  }
  return ProducerOptions().transaction_timeout_us * std::max<int64_t>(1, (most + kBytesInTime - 1) / kBytesInTime);
}

CommitPipeline::CommitPipeline(const Runtime& runtime, std::string thread_id, TimeSpent* spent, size_t flushing)
    : runtime_(runtime),
      thread_id_(std::move(thread_id)),
      spent_(spent),
      flushing_(flushing),
      decider_(runtime.new_decider()) {}

CommitPipeline::~CommitPipeline() { Close(); }

absl::Status CommitPipeline::Open() {
  Close();
  ProducerOptions options;
  options.client_id = thread_id_;
  options.transaction_timeout_us = TransactionTimeoutUs(*runtime_.plan);
  // Nobody sees a record before its commit: the more go in one request the better, but not all of them only at the end.
  // The first record of each partition and transaction takes the brokers longest.
  options.linger_us = std::clamp<int64_t>(runtime_.plan->commit_interval_us / 2, 2 * kMillisecond, 50 * kMillisecond);
  for (const SinkPlan& sink : runtime_.plan->sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && !kafka->compression.empty()) options.compression[kafka->topic] = kafka->compression;
  }
  for (const Edge& edge : runtime_.plan->edges) options.compression[edge.topic] = "none";  // packed rows are small
  for (const Stage& stage : runtime_.plan->stages) {
    options.written_topics.push_back(runtime_.plan->application.ChangelogTopic(stage.name));
  }
  if (runtime_.limits != nullptr) limits_version_ = runtime_.limits->version();
  options.batch_bytes = ProducerBatchBytes(runtime_);
  options.give_up = runtime_.GiveUpAtStop();
  std::unique_ptr<Producer> producers[2];
  for (int i = 0; i < 2; ++i) {
    options.transactional_id = ApplicationId::ProducerId(thread_id_, i);
    TM_ASSIGN_OR_RETURN(producers[i], runtime_.kafka->NewProducer(options));
    TM_RETURN_IF_ERROR(producers[i]->InitTransactions());
  }
  std::move(std::begin(producers), std::end(producers), std::begin(producers_));
  transaction_.emplace(producers_[0].get(), producers_[1].get(), runtime_.options.commit_bytes);
  return absl::OkStatus();
}

void CommitPipeline::Close() {
  if (deciding_) {
    (void)decider_->Wait(Decider::kForever);
    TakeDecided();
  }
  undone_ = nullptr;
  transaction_.reset();
  for (std::unique_ptr<Producer>& producer : producers_) producer.reset();
}

absl::Status CommitPipeline::Begin(std::vector<Task*> tasks, std::shared_ptr<const GroupMetadata> group,
                                   Consumer* consumer) {
  if (deciding_) return absl::InternalError("a commit began before the last one was decided");
  Producer* const producer = transaction_->producer();
  TM_RETURN_IF_ERROR(Failpoint("commit.before_prepare"));
  for (Task* task : tasks) TM_RETURN_IF_ERROR(Annotate(task->PrepareCommit(), task->id().ToString()));
  TM_RETURN_IF_ERROR(Failpoint("commit.before_flush"));
  {
    const TimeSpent::Doing doing(spent_, flushing_);
    TM_RETURN_IF_ERROR(producer->Flush());
  }
  TM_RETURN_IF_ERROR(Failpoint("commit.after_flush"));
  std::vector<OffsetToCommit> offsets;
  for (const Task* task : tasks) task->AppendOffsets(&offsets);
  if (MutationActive(Mutation::kApplyBeforeCommit)) TM_RETURN_IF_ERROR(Apply(tasks, *producer));
  transaction_->Seal();
  deciding_ = InFlightCommit{producer, std::move(tasks)};
  deciding_since_us_ = runtime_.clock->MonotonicUs();
  const auto decide = [producer, offsets = std::move(offsets), group = std::move(group), consumer] {
    const bool fresh = MutationActive(Mutation::kGroupMetadataFetchedFresh);
    return Decide(producer, offsets, fresh ? *consumer->Group() : *group);
  };
  decider_->Start(decide, [consumer] {
    if (consumer != nullptr) consumer->Wake();
  });
  return absl::OkStatus();
}

absl::Status CommitPipeline::Explain(const absl::Status& cause) const {
  return runtime_.limits == nullptr ? cause : runtime_.limits->Explain(cause, limits_version_, runtime_.kafka->admin());
}

CommitPipeline::InFlightCommit CommitPipeline::TakeDecided() {
  deciding_since_us_ = 0;
  return *std::exchange(deciding_, std::nullopt);
}

absl::StatusOr<bool> CommitPipeline::Finish(int64_t max_wait_us) {
  if (!deciding_) return true;
  const std::optional<absl::Status> verdict = decider_->Wait(max_wait_us);
  if (!verdict) return false;
  const InFlightCommit commit = TakeDecided();
  if (!verdict->ok()) {
    undone_ = commit.producer;
    return *verdict;
  }
  TM_RETURN_IF_ERROR(Failpoint("commit.after_decision"));
  if (!MutationActive(Mutation::kApplyBeforeCommit)) TM_RETURN_IF_ERROR(Apply(commit.tasks, *commit.producer));
  return true;
}

absl::StatusOr<bool> CommitPipeline::Abort() {
  if (!opened()) return false;
  if (deciding_) {
    const absl::Status verdict = *decider_->Wait(Decider::kForever);
    Producer* const producer = TakeDecided().producer;
    if (!verdict.ok()) undone_ = producer;
    // Only a producer that knows its transaction to be undecided can abort it.
    if (absl::IsUnknown(verdict) || absl::IsCancelled(verdict)) return verdict;
  }
  bool aborted = false;
  for (Producer* producer :
       {std::exchange(undone_, nullptr), transaction_->open() ? transaction_->producer() : nullptr}) {
    if (producer == nullptr) continue;
    aborted = true;
    TM_RETURN_IF_ERROR(producer->Abort());
  }
  transaction_->Reset();
  return aborted;
}

}  // namespace tidemark
