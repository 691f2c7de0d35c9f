// A task's part in the commit: what it puts into the transaction, and what follows its decision.
#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/kept_format.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/first_changes.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/renamed.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/task.h"
#include "src/runtime/task_parts.h"

namespace tidemark {
namespace {

// Of keys that dropped steps have kept, a commit takes out so many.
constexpr int64_t kGiveUpBytes = int64_t{1} << 20;
constexpr int64_t kBytesAKey = 16;

}  // namespace

std::string Task::Changelog() const {
  return plan().application.ChangelogTopic(plan().stages[static_cast<size_t>(stage_)].name);
}

// Rows, results and announcements of one commit stand in one transaction. Where that has ended otherwise, by an abort,
// this task must not have outlived it: its positions would be committed without what it wrote.
absl::Status Task::JoinTransaction() {
  const uint64_t serial = transaction_->serial();
  if (joined_ == 0 || MutationActive(Mutation::kStopCommitsAfterAbort)) joined_ = serial;
  if (joined_ == serial) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(id_.ToString(), ": a task outlived its transaction: what it wrote in number ",
                                          joined_, " is not in number ", serial));
}

absl::Status Task::Announce() {
  if (announced_ || MutationActive(Mutation::kChangelogOutsideTransaction)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(JoinTransaction());
  announced_ = true;
  const std::string value = state_->Announce((prepared_ ? prepared_->commit() : commit_) + 1);
  return transaction_->Produce(Changelog(), {{partition_, std::nullopt, value, nullptr}});
}

absl::Status Task::PrepareCommit() {
  if (prepared_) return absl::InternalError("a commit is prepared before the last one is applied");
  TM_RETURN_IF_ERROR(JoinTransaction());
  joined_ = 0;
  const uint64_t commit = commit_ + 1;
  const int64_t now = runtime_.clock->MonotonicUs();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const auto& state = nodes_[i];
    const TimeSpent::Doing doing(&spent_, i);
    if (state->op != nullptr) {
      TM_RETURN_IF_ERROR(Annotate(state->op->PrepareCommit(commit, *state->emitter), "step " + state->node->step));
    } else if (state->output != nullptr) {
      TM_RETURN_IF_ERROR(state->output->PrepareCommit(commit, state->mark, now));
    }
  }
  for (const auto& state : nodes_) state->samples.Seal();
  TM_RETURN_IF_ERROR(GiveUp());
  prepared_ = MakeRecord();
  TM_ASSIGN_OR_RETURN(const std::vector<std::string> parts, state_->EncodeCommit(&*prepared_));
  std::vector<OutRecord> records;
  for (const std::string& part : parts) records.push_back({partition_, std::nullopt, part, nullptr});
  start_is_new_ = position_moved_ = announced_ = false;
  dirty_ = !giving_up_.empty();
  const std::string topic = Changelog();
  if (MutationActive(Mutation::kChangelogOutsideTransaction)) return ProduceOutside(topic, records);
  return transaction_->Produce(topic, records);
}

// The deliberate defect of that name: a transaction of its own, decided before the real one.
absl::Status Task::ProduceOutside(const std::string& topic, const std::vector<OutRecord>& records) {
  if (outside_ == nullptr) {
    TM_ASSIGN_OR_RETURN(outside_, runtime_.kafka->NewProducer(
                                      {.transactional_id = id_.ToString() + "-outside", .written_topics = {topic}}));
    TM_RETURN_IF_ERROR(outside_->InitTransactions());
  }
  TM_RETURN_IF_ERROR(transaction_->BeginIfClosed());
  TM_RETURN_IF_ERROR(outside_->Begin());
  TM_RETURN_IF_ERROR(outside_->Produce(topic, records));
  TM_RETURN_IF_ERROR(outside_->Flush());
  std::string error;
  return outside_->Commit(&error) == CommitOutcome::kCommitted ? absl::OkStatus() : absl::AbortedError(error);
}

packed::CommitRecord Task::MakeRecord() const {
  packed::CommitRecord record;
  record.set_commit(commit_ + 1);
  record.set_identity(identity_);
  for (const auto& input : inputs_) {
    packed::InputOffset* offset = record.add_inputs();
    offset->set_topic(input->partition.topic);
    offset->set_offset(input->position);
    offset->set_topic_id(input->topic_id);
    packed::InputTime* time = record.add_times();
    time->set_topic(input->partition.topic);
    if (const SourceInput* source = std::as_const(*input).source()) {
      source->time.Save(time);
      if (source->heard) source->heard->Save(time->mutable_heard());
    }
    if (InternalInput* internal = input->internal()) {
      internal->time.Save(time);
      internal->reader.SaveHeard(time->mutable_heard());
    }
  }
  for (const auto& state : nodes_) {
    const std::string name = KeptLedgerName(*state->node);
    SaveLedger(name, state->ledger, &record);
    (*record.mutable_output_watermarks())[name] = state->mark.watermark.us;
    if (state->output != nullptr) state->output->Save(&record);
  }
  for (const packed::OutputSequences& gone : gone_outputs_) *record.add_outputs() = gone;
  *record.mutable_standing() = standing_;
  record.set_standing_hash(standing_hash_);
  record.set_grown_groups(grown_groups_);
  if (grown_groups_) record.set_needs_format(kGrownGroups);
  return record;
}

// What edges that the plan no longer has have in the record stays there: should one come back, it goes on counting.
void Task::BeginStanding(const packed::CommitRecord* record) {
  standing_.set_application(plan().application.Key());
  for (packed::StepIdentity& identity : StepIdentities(plan(), stage_)) *standing_.add_steps() = std::move(identity);
  std::set<std::string> topics;
  for (const auto& state : nodes_) {
    if (state->output != nullptr) state->output->SaveSchema(&standing_);
  }
  SaveFeedOrigins(plan(), stage_, &standing_);
  SaveRenamed(plan().stages[static_cast<size_t>(stage_)], &standing_);
  for (const packed::Standing::Edge& edge : standing_.outputs()) topics.insert(edge.topic());
  if (record != nullptr) {
    for (const packed::OutputSequences& saved : record->outputs()) {
      if (!topics.contains(saved.topic())) gone_outputs_.push_back(saved);
    }
    for (const packed::Standing::Edge& saved : record->standing().outputs()) {
      if (topics.contains(saved.topic())) continue;
      packed::Standing::Edge* gone = standing_.add_outputs();
      *gone = saved;
      if (!IsGone(saved)) gone->add_schemas();
    }
  }
  BeginToGiveUp(record);
  NoteSchemas();
}

// Who may not give up what isn't in the plan any more was refused before.
void Task::BeginToGiveUp(const packed::CommitRecord* record) {
  if (record == nullptr) return;
  for (const packed::StepIdentity& saved : record->has_standing() ? record->standing().steps() : record->steps()) {
    const auto& now = standing_.steps();
    if (saved.fingerprint() == kWasGiven) continue;
    if (std::any_of(now.begin(), now.end(), [&](const auto& step) { return step.step() == saved.step(); })) continue;
    giving_up_.push_back(saved.step());
    packed::StepIdentity* mark = standing_.add_steps();
    mark->set_step(saved.step());
    mark->set_fingerprint(kGivenUp);
  }
  for (const packed::StepIdentity& saved : record->standing().steps()) {
    if (saved.fingerprint() != kWasGiven) continue;
    if (std::count(giving_up_.begin(), giving_up_.end(), saved.step()) == 0) *standing_.add_steps() = saved;
  }
  if (!giving_up_.empty()) OweCommit();
}

// A part of it, as deltas of this commit like any others: so whoever takes the task over finds the rest of it under
// its mark; behind the last of it another one stays.
absl::Status Task::GiveUp() {
  for (int64_t bytes = 0; !giving_up_.empty();) {
    StateStore* const store = state_->Store(giving_up_.back());
    std::vector<std::string> keys;
    {
      const std::unique_ptr<StateIterator> it = store->Scan(given_up_to_, "");
      for (; it->Valid() && bytes < kGiveUpBytes; it->Next()) {
        bytes += static_cast<int64_t>(it->key().size()) + kBytesAKey;
        keys.emplace_back(it->key());
      }
      TM_RETURN_IF_ERROR(it->status());
      given_up_to_ = it->Valid() ? std::string(it->key()) : "";
    }
    for (const std::string& key : keys) store->Delete(key);
    if (!given_up_to_.empty()) return absl::OkStatus();
    for (packed::StepIdentity& step : *standing_.mutable_steps()) {
      if (step.step() == giving_up_.back() && step.fingerprint() == kGivenUp) step.set_fingerprint(kWasGiven);
    }
    giving_up_.pop_back();
    standing_hash_ = StandingHash(standing_);
  }
  return absl::OkStatus();
}

void Task::NoteSchemas() {
  standing_.clear_inputs();
  for (const auto& input : inputs_) {
    if (InternalInput* internal = input->internal()) internal->reader.SaveSchemas(&standing_);
  }
  standing_hash_ = StandingHash(standing_);
}

void Task::AppendOffsets(std::vector<OffsetToCommit>* offsets) const {
  OffsetMetadata metadata;
  metadata.commit = prepared_->commit();
  metadata.identity = identity_;
  // What advancing time may yet bring out counts, also where another task of the thread has filled this commit before.
  // A mark that waits for its interval is output too: without it a reader can't close its windows.
  metadata.busy = advance_again_ || time_waits_ || std::any_of(nodes_.begin(), nodes_.end(), [](const auto& state) {
                    return state->output != nullptr && state->output->Untold(state->mark);
                  });
  for (const auto& input : inputs_) {
    metadata.stands_for = 0;
    if (const SourceInput* source = std::as_const(*input).source()) {
      const SourceTime& time = *source->time.progress();
      metadata.max_time = time.max_time;
      metadata.floor = time.floor;
      if (!source->waits() && rest_.input != input.get()) metadata.stands_for = input->stands_for;
    }
    offsets->push_back({input->partition, input->position, metadata.ToString()});
  }
}

absl::Status Task::Applied(const Producer& producer) {
  const auto& [changelog, unused] = TrimBefore();
  const std::optional<std::pair<Offset, Offset>> written =
      (outside_ != nullptr ? *outside_ : producer).Written(changelog);
  if (!written) return absl::InternalError("a commit wrote nothing to " + ToString(changelog));
  TM_RETURN_IF_ERROR(state_->Apply(*prepared_, written->first, written->second));
  commit_ = prepared_->commit();
  prepared_.reset();
  if (runtime_.samples != nullptr && runtime_.samples->any()) PublishSamples();
  return absl::OkStatus();
}

// What the user's step gives out: neither what a partial phase sends on, nor what comes out of a topic in between.
void Task::Sample(int from, const Batch& rows) {
  NodeState& state = *nodes_[static_cast<size_t>(from)];
  const Node& node = *state.node;
  if (node.kind != Node::Kind::kSource && node.kind != Node::Kind::kOperator) return;
  if (state.op != nullptr && node.spec.kind().phase(node) == OperatorPhase::kPartial) return;
  if (runtime_.samples->Wants(node.step)) state.samples.Add(rows);
}

void Task::PublishSamples() {
  for (const auto& state : nodes_) {
    for (Batch& rows : state->samples.TakeSealed()) {
      runtime_.samples->Publish(state->node->step, {partition_, commit_, 0, state->node->output, std::move(rows)});
    }
  }
}

std::vector<std::pair<TopicPartition, Offset>> Task::CommittedPositions() const {
  std::vector<std::pair<TopicPartition, Offset>> positions;
  const packed::CommitRecord* record = state_->committed();
  if (record == nullptr) return positions;
  for (const packed::InputOffset& input : record->inputs()) {
    positions.emplace_back(TopicPartition{input.topic(), partition_}, input.offset());
  }
  return positions;
}

std::pair<TopicPartition, Offset> Task::TrimBefore() const {
  return {{Changelog(), partition_}, state_->trim_before()};
}

TaskStatus Task::status() const {
  TaskStatus status;
  status.name = id_.stage;
  status.partition = partition_;
  status.commit = commit_;
  MarkMinimum minimum;
  for (const auto& input : inputs_) {
    minimum.Add(input->mark());
    status.positions.emplace_back(input->partition, input->position);
    status.marks.push_back(input->mark());
    if (const SourceInput* source = input->source(); source != nullptr && source->waits()) {
      status.waits.push_back({input->partition, source->waits_for, source->waits_since_us});
    }
    if (const SourceInput* source = input->source(); source != nullptr && !source->plan->key.empty()) {
      status.unnamed_columns.emplace_back(source->plan->name, source->unnamed_columns);
    }
  }
  status.watermark = minimum.Get().watermark;
  status.idle = minimum.Get().idle;
  status.state_bytes = state_->live_bytes();
  status.memory_bytes = state_->overlay_bytes();
  for (const TimeSpent::Share& share : spent_.Get()) status.spent_us.push_back(share.us);
  status.spent_us.pop_back();  // what is no node's
  for (const auto& state : nodes_) {
    if (state->op != nullptr) status.memory_bytes += state->op->MemoryBytes();
    status.ledger.emplace_back(LedgerName(*state->node), state->ledger);
  }
  return status;
}

}  // namespace tidemark
