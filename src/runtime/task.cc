#include "src/runtime/task.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/codec/packed_rows.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/columns_had.h"
#include "src/runtime/generations/withheld.h"
#include "src/runtime/global_tables.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/record_output.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/task_parts.h"
#include "src/runtime/view_output.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

// After an input of an internal topic was held: until its last word on whether it is idle counts again.
constexpr int64_t kCatchUpUs = 10 * kSecond;

// As many as there are nodes, and one for what is none's. They are told by position.
std::vector<std::string> ActivitiesOf(const Stage& stage) { return std::vector<std::string>(stage.nodes.size() + 1); }

}  // namespace

// Sends an operator's output to the nodes below it.
class Task::NodeEmitter final : public Emitter {
 public:
  NodeEmitter(Task* task, int node) : task_(task), node_(node) {}

  absl::Status Emit(Batch batch) override { return task_->Deliver(node_, batch); }

  absl::Status EmitSide(std::string_view side, Batch batch) override {
    if (batch == nullptr || batch->num_rows() == 0) return absl::OkStatus();
    const Node& node = *state().node;
    for (const SideTopic& topic : node.side_topics) {
      if (topic.name != side) continue;
      TM_ASSIGN_OR_RETURN(Output* const output, task_->SideOutput(topic, node));
      return output->Write(batch);
    }
    return absl::InternalError(absl::StrCat("step ", node.step, " has no topic '", std::string(side), "'"));
  }

  absl::Status DeadLetter(RowFailure failure) override {
    return task_->dead_letters_.Row(state().node->step, task_->Origin(), failure, task_->plan().sources);
  }
  absl::Status Reject(RowFailure failure, std::string_view batch, std::string_view side) override {
    const Node& node = *state().node;
    DeadLetters* letters = &task_->dead_letters_;
    for (const SideTopic& topic : node.side_topics) {
      if (topic.name == side) letters = &task_->SideLetters(topic.topic);
    }
    return letters->Row(node.step, task_->Origin(), failure, task_->plan().sources, batch);
  }

  bool Full() const override { return task_->transaction_->Full(); }
  void AddPending(int64_t bytes) override { task_->transaction_->AddPending(bytes); }

 private:
  NodeState& state() const { return *task_->nodes_[static_cast<size_t>(node_)]; }

  Task* const task_;
  const int node_;
};

Task::Task(const Runtime& runtime, int stage, int32_t partition, std::unique_ptr<TaskState> state,
           Transaction* transaction)
    : runtime_(runtime),
      stage_(stage),
      partition_(partition),
      id_{runtime.plan->application.Key(), runtime.plan->stages[static_cast<size_t>(stage)].name, partition},
      transaction_(transaction),
      state_(std::move(state)),
      dead_letters_(runtime.plan->dead_letter_topic, runtime.partitions.at(runtime.plan->dead_letter_topic), partition,
                    transaction, DeadLetterBytes(runtime)),
      spent_(runtime.clock, ActivitiesOf(runtime.plan->stages[static_cast<size_t>(stage)])) {
  spent_.Switch(runtime.plan->stages[static_cast<size_t>(stage)].nodes.size());
  const Stage& plan_stage = plan().stages[static_cast<size_t>(stage)];
  task_count_ = runtime.partitions.at(plan().application.ChangelogTopic(plan_stage.name));
  for (const Node& node : plan_stage.nodes) {
    const int index = static_cast<int>(nodes_.size());
    auto node_state = std::make_unique<NodeState>();
    node_state->node = &node;
    node_state->emitter = std::make_unique<NodeEmitter>(this, index);
    for (size_t p = 0; p < node.inputs.size(); ++p) {
      for (const int from : node.in(p).nodes) {
        nodes_[static_cast<size_t>(from)]->readers.emplace_back(index, static_cast<int>(p));
      }
    }
    if (node.kind == Node::Kind::kSource || node.kind == Node::Kind::kInternal) {
      std::unique_ptr<TaskInput> input;
      if (node.kind == Node::Kind::kSource) {
        const SourcePlan& source = plan().sources[static_cast<size_t>(node.source)];
        input = std::make_unique<TaskInput>(index, TopicPartition{source.topic, partition}, SourceInput(&source));
      } else {
        const Edge& edge = plan().edges[static_cast<size_t>(node.edge)];
        const TopicPartition from{edge.topic, partition};
        input = std::make_unique<TaskInput>(index, from, InternalInput(&edge, from, ColumnsHad(plan(), node.edge)));
      }
      node_state->input = input.get();
      inputs_.push_back(std::move(input));
    }
    nodes_.push_back(std::move(node_state));
  }
}

Task::~Task() {
  nodes_.clear();  // operators before the state they point into
  if (state_ != nullptr) state_->DropUncommitted();
}

std::unique_ptr<TaskState> Task::ReleaseState() {
  nodes_.clear();
  return std::move(state_);
}

absl::Status Task::Open() {
  for (const auto& input : inputs_) {
    if (SourceInput* source = input->source()) {
      TM_ASSIGN_OR_RETURN(source->decoder, SourceDecoder::Make(*source->plan, *runtime_.formats));
    }
  }
  const packed::CommitRecord* record = state_->committed();
  if (record != nullptr) {
    TM_RETURN_IF_ERROR(CheckKeptFormat(record->needs_format(), id_.ToString()));
    const auto verdicts = JudgeSteps(plan(), stage_, *record, runtime_.allow_drop);
    TM_RETURN_IF_ERROR(Annotate(verdicts.status(), id_.ToString()));
    grown_groups_ = record->grown_groups() || std::any_of(verdicts->begin(), verdicts->end(),
                                                          [](const Verdict& each) { return !each.from_now.empty(); });
    commit_ = record->commit();
    identity_ = record->identity();
    for (const auto& input : inputs_) {
      for (const packed::InputOffset& saved : record->inputs()) {
        if (saved.topic() != input->partition.topic) continue;
        input->position = saved.offset();
        input->topic_id = saved.topic_id();
      }
      for (const packed::InputTime& saved : record->times()) {
        if (saved.topic() != input->partition.topic) continue;
        if (SourceInput* source = input->source()) {
          source->time.Restore(saved);
          if (source->heard && saved.has_heard()) source->heard = Heard(saved.heard());
        }
        if (InternalInput* internal = input->internal()) {
          internal->time.Restore(saved);
          internal->reader.Restore(*record);
        }
      }
    }
  } else {
    identity_ = runtime_.new_identity();
  }
  TM_RETURN_IF_ERROR(Annotate(OpenOperators(record), id_.ToString()));
  BeginStanding(record);
  return absl::OkStatus();
}

absl::Status Task::OpenOperators(const packed::CommitRecord* record) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    NodeState& state = *nodes_[i];
    const Node& node = *state.node;
    if (record != nullptr) {
      RestoreLedger(*record, KeptLedgerName(node), &state.ledger);
      const auto saved = record->output_watermarks().find(KeptLedgerName(node));
      if (saved != record->output_watermarks().end()) state.mark.watermark = EventTime{saved->second};
    }
    if (node.kind == Node::Kind::kKafkaSink) {
      const SinkPlan& sink = plan().sinks[static_cast<size_t>(node.sink)];
      if (sink.view) {
        TM_RETURN_IF_ERROR(OpenView(sink, &state));
        continue;
      }
      const auto& spec = std::get<KafkaSinkSpec>(sink.spec);
      TM_ASSIGN_OR_RETURN(auto encoder, RowEncoder::Make(EncoderOptions(node.in().schema, spec), *runtime_.formats));
      state.output =
          std::make_unique<RecordOutput>(spec.topic, runtime_.partitions.at(spec.topic), partition_, std::move(encoder),
                                         spec.headers, transaction_, RefusalsOf(spec.topic, node.step, &state.ledger));
    } else if (node.kind == Node::Kind::kRepartition || node.kind == Node::Kind::kFeed) {
      const Edge& edge = plan().edges[static_cast<size_t>(node.edge)];
      state.output = std::make_unique<EdgeOutput>(
          edge, runtime_.partitions.at(edge.topic), EdgeOutput::Writer{id_.stage, partition_, task_count_},
          plan().commit_interval_us, transaction_, [this, &node, &state](RowFailure failure) {
            --state.ledger.passed;
            ++state.ledger.dead_lettered;
            return dead_letters_.Row(node.step, Origin(), failure, plan().sources);
          });
      if (record != nullptr) state.output->Restore(*record);
    } else if (node.kind == Node::Kind::kOperator) {
      TM_ASSIGN_OR_RETURN(state.op, node.spec.kind().Make(node));
      OperatorContext context;
      context.state = state_->Store(node.kept_as());
      context.ledger = &state.ledger;
      context.table = [](void* tables, std::string_view name) { return static_cast<GlobalTables*>(tables)->Get(name); };
      context.table_owner = runtime_.tables;
      context.partition = partition_;
      context.memory = runtime_.operator_memory;
      context.grown_groups = grown_groups_;
      TM_RETURN_IF_ERROR(state.op->Open(context));
    }
  }
  // What the last process left to emit is emitted now: no record of it is kept but the operators' own state.
  advance_again_ = true;
  return absl::OkStatus();
}

absl::Status Task::OpenView(const SinkPlan& view, NodeState* state) {
  TM_ASSIGN_OR_RETURN(auto encoder, RowEncoder::Make(ViewEncoderOptions(view)));
  const std::string& topic = std::get<KafkaSinkSpec>(view.spec).topic;
  state->output =
      std::make_unique<ViewOutput>(view, partition_, task_count_, std::move(encoder), plan().commit_interval_us,
                                   transaction_, RefusalsOf(topic, view.name, &state->ledger));
  return absl::OkStatus();
}

std::vector<TopicPartition> Task::inputs() const {
  std::vector<TopicPartition> all;
  for (const auto& input : inputs_) all.push_back(input->partition);
  return all;
}

Offset Task::position(const std::string& topic) const {
  for (const auto& input : inputs_) {
    if (input->partition.topic == topic) return input->position;
  }
  return -1;
}

std::string Task::topic_id(const std::string& topic) const {
  for (const auto& input : inputs_) {
    if (input->partition.topic == topic) return input->topic_id;
  }
  return "";
}

void Task::SetStart(const std::string& topic, Offset offset, const std::string& topic_id) {
  for (const auto& input : inputs_) {
    if (input->partition.topic != topic) continue;
    input->position = offset;
    input->topic_id = topic_id;
    dirty_ = start_is_new_ = true;
    // What stands before was read by others, or skipped.
    if (SourceInput* source = input->source(); source != nullptr && source->heard && offset > 0) {
      source->heard = Heard::Unknown();
    }
  }
}

void Task::SetTopicId(const std::string& topic, const std::string& topic_id) {
  for (const auto& input : inputs_) {
    if (input->partition.topic == topic && !topic_id.empty()) input->topic_id = topic_id;
  }
}

absl::Status Task::Deliver(int from, const Batch& rows) {
  if (rows == nullptr || rows->num_rows() == 0) return absl::OkStatus();
  if (runtime_.samples != nullptr && runtime_.samples->any()) Sample(from, rows);
  for (const auto& [reader, number] : nodes_[static_cast<size_t>(from)]->readers) {
    NodeState& state = *nodes_[static_cast<size_t>(reader)];
    const TimeSpent::Doing doing(&spent_, static_cast<size_t>(reader));
    if (state.op != nullptr) {
      TM_RETURN_IF_ERROR(Annotate(state.op->ProcessBatch(number, rows, *state.emitter), "step " + state.node->step));
    } else {
      state.ledger.in += rows->num_rows();
      state.ledger.passed += rows->num_rows();
      TM_RETURN_IF_ERROR(Annotate(state.output->Write(rows), "step " + state.node->step));
    }
  }
  // An operator that has stopped here goes on in the next commit, also where neither rows nor time move any more.
  advance_again_ |= transaction_->Full();
  return absl::OkStatus();
}

TopicPartition Task::Origin() const { return inputs_.empty() ? TopicPartition{} : inputs_.front()->partition; }

Refusals Task::RefusalsOf(const std::string& topic, const std::string& step, StepLedger* ledger) {
  Refusals refusals;
  if (runtime_.limits != nullptr) refusals.limit = runtime_.limits->Of(topic);
  refusals.send = [this, step, ledger](const RefusedRecord& refused) {
    if (ledger != nullptr) {
      --ledger->passed;
      ++ledger->dead_lettered;
    }
    return dead_letters_.Refused(step, Origin(), refused, plan().sources);
  };
  return refusals;
}

// Its rows are counted as late or unmatched, also those that the topic doesn't take.
absl::StatusOr<Output*> Task::SideOutput(const SideTopic& side, const Node& node) {
  const std::string& topic = side.topic;
  std::unique_ptr<Output>& output = side_outputs_[topic];
  if (output == nullptr) {
    TM_ASSIGN_OR_RETURN(auto encoder, RowEncoder::Make({.schema = node.in(side.port).schema}, *runtime_.formats));
    output = std::make_unique<RecordOutput>(topic, runtime_.partitions.at(topic), partition_, std::move(encoder),
                                            std::vector<std::pair<std::string, std::string>>(), transaction_,
                                            RefusalsOf(topic, node.step, nullptr));
  }
  return output.get();
}

// Rows of batches that are rejected, where a step has a topic for them.
DeadLetters& Task::SideLetters(const std::string& topic) {
  std::unique_ptr<DeadLetters>& letters = side_letters_[topic];
  if (letters == nullptr) {
    letters = std::make_unique<DeadLetters>(topic, runtime_.partitions.at(topic), partition_, transaction_,
                                            DeadLetterBytes(runtime_, topic));
  }
  return *letters;
}

void Task::ReachedEnd(const std::string& topic, Offset end) {
  for (const auto& input : inputs_) {
    if (input->partition.topic != topic) continue;
    if (const int64_t stands_for = SwitchStoodFor(end); stands_for > 0) {
      input->stands_for = stands_for;
      dirty_ = true;
      continue;
    }
    input->withheld = end == kWithheld;
    if (input->withheld) continue;
    if (SourceInput* source = input->source(); source != nullptr && source->waits()) {
      source->end_behind = end;
    } else {
      SetEnd(*input, end);
    }
  }
}

void Task::SetEnd(TaskInput& input, Offset end) {
  input.at_end = true;
  if (input.position < 0 || end <= input.position) return;
  input.position = end;
  position_moved_ = true;
}

Mark Task::InputMark(const Node& node) const {
  MarkMinimum minimum;
  for (const int input : node.upstream()) minimum.Add(nodes_[static_cast<size_t>(input)]->mark);
  return minimum.Get();
}

absl::Status Task::Advance() {
  const int64_t now = runtime_.clock->MonotonicUs();
  const bool stands = runtime_.control->clock_stands.load(std::memory_order_relaxed);
  const EventTime close_to{runtime_.control->close_to.load(std::memory_order_relaxed)};
  for (const auto& input : inputs_) {
    NodeState& state = *nodes_[static_cast<size_t>(input->node)];
    if (SourceInput* source = input->source()) {
      // An end that was reached before the hold says nothing of what has come since.
      const bool at_end = input->at_end && !input->held && !input->withheld;
      dirty_ |= !stands && source->time.Tick(at_end, now, runtime_.clock->WallUs());
      dirty_ |= !stands && source->time.RaiseFloor(close_to);
    } else if (input->held) {
      input->held_us = now;
    } else if (!stands && now - input->held_us >= kCatchUpUs) {
      input->held_us = -1;
    }
    const Mark mark = input->mark();
    state.mark = Mark{std::max(mark.watermark, state.mark.watermark), mark.idle};
  }
  NoteSlowest(now);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->input == nullptr)
      TM_RETURN_IF_ERROR(AdvanceOperator(static_cast<int>(i), InputMark(*nodes_[i]->node)));
  }
  resumes_at_rest_ = false;
  // A commit in between has called this task busy, and another one has to take that back, with or without rows.
  const bool waited = std::exchange(advance_again_, transaction_->Full());
  dirty_ |= std::exchange(time_waits_, false) || waited;
  return absl::OkStatus();
}

absl::Status Task::AdvanceOperator(int node, Mark mark) {
  NodeState& state = *nodes_[static_cast<size_t>(node)];
  if (state.op == nullptr) {
    state.mark = Mark{std::max(mark.watermark, state.mark.watermark), mark.idle};
    if (resumes_at_rest_) state.output->AssumeTold(state.mark);
    dirty_ |= state.output->OwesMark(state.mark, runtime_.clock->MonotonicUs());
    return absl::OkStatus();
  }
  state.mark.idle = mark.idle;
  if (mark.watermark <= state.reached && !advance_again_) return absl::OkStatus();
  state.reached = std::max(state.reached, mark.watermark);
  const TimeSpent::Doing doing(&spent_, static_cast<size_t>(node));
  absl::StatusOr<EventTime> passed = state.op->AdvanceWatermark(state.reached, *state.emitter);
  if (!passed.ok()) return Annotate(passed.status(), "step " + state.node->step);
  state.mark.watermark = std::max(state.mark.watermark, *passed);
  return absl::OkStatus();
}

}  // namespace tidemark
