#include "src/runtime/intake_thread.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"

namespace tidemark {

IntakeThread::IntakeThread(const Runtime& runtime, std::string intake, SplitIntake::SourceMaker make_source,
                           SplitIntake::Pause pause, std::vector<std::string> sources)
    : runtime_(runtime),
      intake_(std::move(intake)),
      sources_(sources.empty() ? std::vector<std::string>{intake_} : std::move(sources)),
      make_source_(std::move(make_source)),
      pause_(std::move(pause)),
      names_{runtime.plan->application, intake_} {
  Publish();
}

absl::Status IntakeThread::Start() {
  ConsumerOptions options;
  options.group = names_.Group();
  options.instance_id = runtime_.options.instance_id;
  options.client_id = absl::StrCat(options.group, "-", runtime_.options.instance_id);
  TM_ASSIGN_OR_RETURN(consumer_, runtime_.kafka->NewConsumer(options));
  TM_RETURN_IF_ERROR(consumer_->Subscribe({names_.PositionsTopic()}));
  Publish();
  return absl::OkStatus();
}

absl::Status IntakeThread::Rejoin() {
  LOG(INFO) << "source " << intake_ << ": leaves the group to join it again";
  TM_RETURN_IF_ERROR(GiveUp(/*lost=*/false));
  answered_ = false;
  const absl::Status closed = consumer_->Close(/*leave_group=*/true);
  if (!closed.ok()) LOG(WARNING) << "source " << intake_ << ": leaving the group: " << closed;
  return Start();
}

absl::Status IntakeThread::Step(int64_t max_wait_us) {
  if (rejoin_.exchange(false, std::memory_order_relaxed)) TM_RETURN_IF_ERROR(Rejoin());
  // With a split in hand it is the outside that is waited for.
  const absl::StatusOr<PollResult> polled = consumer_->Poll(splits_.empty() ? max_wait_us : 0, 1);
  trouble_.clear();
  if (ActionFor(polled.status()) == Action::kRetry) {
    trouble_ = std::string(polled.status().message());
    LOG_EVERY_N(WARNING, 100) << "source " << intake_ << ": " << polled.status().message();
  } else if (!polled.ok()) {
    return polled.status();
  } else if (polled->rebalance) {
    TM_RETURN_IF_ERROR(OnRebalance(*polled->rebalance));
  }
  const auto each = static_cast<int64_t>(std::max<size_t>(1, splits_.size()));
  for (const auto& [number, split] : splits_) TM_RETURN_IF_ERROR(split->Step(max_wait_us / each));
  Publish();
  return absl::OkStatus();
}

absl::Status IntakeThread::OnRebalance(const Rebalance& rebalance) {
  TM_RETURN_IF_ERROR(GiveUp(rebalance.kind == Rebalance::Kind::kLost));
  answered_ = false;
  if (rebalance.kind != Rebalance::Kind::kAssigned || !consumer_->Group()->valid()) return consumer_->Unassign();
  const int32_t count = runtime_.partitions.at(names_.PositionsTopic());
  {
    const absl::MutexLock lock(&mutex_);
    for (const TopicPartition& partition : rebalance.partitions) {
      auto split = std::make_unique<SplitIntake>(
          runtime_, SplitIntake::Split{intake_, partition.partition, count, sources_}, make_source_, pause_);
      if (interrupted_) split->Interrupt();
      splits_[partition.partition] = std::move(split);
    }
  }
  answered_ = true;
  return consumer_->AssignPaused(rebalance.partitions);
}

absl::Status IntakeThread::GiveUp(bool lost) {
  absl::Status first;
  for (const auto& [number, split] : splits_) {
    const absl::Status stopped = split->Stop(lost);
    if (first.ok()) first = stopped;
  }
  const absl::MutexLock lock(&mutex_);
  splits_.clear();
  return first;
}

absl::Status IntakeThread::Stop(bool leave_group) {
  const absl::Status status = GiveUp(/*lost=*/false);
  const absl::Status closed = consumer_ == nullptr ? absl::OkStatus() : consumer_->Close(leave_group);
  return status.ok() ? closed : status;
}

void IntakeThread::Interrupt() {
  const absl::MutexLock lock(&mutex_);
  interrupted_ = true;
  for (const auto& [number, split] : splits_) split->Interrupt();
}

void IntakeThread::Publish() {
  IntakeMemberStatus next;
  next.intake = intake_;
  next.sources = sources_;
  next.assigned = answered_;
  next.last_step_us = runtime_.clock->MonotonicUs();
  next.trouble = trouble_.empty() && consumer_ != nullptr ? consumer_->Trouble() : trouble_;
  for (const auto& [number, split] : splits_) next.splits.push_back(split->status());
  const absl::MutexLock lock(&mutex_);
  status_ = std::move(next);
}

IntakeMemberStatus IntakeThread::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tidemark
