#include "src/runtime/sink_letters.h"

#include "src/base/status.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/transaction.h"

namespace tidemark {

absl::Status SinkLetters::TrySend(int32_t partition, const std::vector<SinkRowFailure>& failures) {
  if (producer_ == nullptr) {
    ProducerOptions options;
    options.transactional_id =
        runtime_.plan->application.SinkTransactionalId(sink_.kept_as(), runtime_.options.instance_id);
    options.client_id = options.transactional_id;
    limits_version_ = LimitsVersion(runtime_);
    options.batch_bytes = ProducerBatchBytes(runtime_);
    options.give_up = runtime_.GiveUpAtStop();
    TM_ASSIGN_OR_RETURN(producer_, runtime_.kafka->NewProducer(options));
    TM_RETURN_IF_ERROR(producer_->InitTransactions());
  }
  Transaction transaction(producer_.get(), runtime_.options.commit_bytes);
  const std::string& topic = runtime_.plan->dead_letter_topic;
  DeadLetters letters(topic, runtime_.partitions.at(topic), partition, &transaction, DeadLetterBytes(runtime_));
  for (const SinkRowFailure& failure : failures) {
    TM_RETURN_IF_ERROR(letters.Text(sink_.name, {feed_, partition}, failure.row_json, failure.reason));
  }
  TM_RETURN_IF_ERROR(producer_->Flush());
  std::string error;
  if (producer_->Commit(&error) != CommitOutcome::kCommitted) return absl::UnavailableError("commit: " + error);
  return absl::OkStatus();
}

// Every failure is one of this attempt alone, and the next makes a producer of its own: whether the partition is still
// this worker's, the sink knows.
absl::Status SinkLetters::Send(int32_t partition, const std::vector<SinkRowFailure>& failures) {
  const absl::Status sent = TrySend(partition, failures);
  if (sent.ok()) return sent;
  producer_.reset();
  const absl::Status status = Annotate(ExplainRefusal(runtime_, sent, limits_version_), "dead letters");
  return absl::IsInvalidArgument(status) || absl::IsInternal(status) ? status
                                                                     : absl::UnavailableError(status.message());
}

}  // namespace tidemark
