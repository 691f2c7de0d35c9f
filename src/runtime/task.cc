#include "src/runtime/task.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/synchronization/mutex.h>
#include <glog/logging.h>

#include "src/base/intake_names.h"
#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/codec/packed_rows.h"
#include "src/plan/operator_kind.h"
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

// Records of a fetch up to one of them.
class FirstRecords final : public Fetch {
 public:
  FirstRecords(const Fetch& fetch, size_t end) : fetch_(fetch), end_(end) {}
  const TopicPartition& source() const override { return fetch_.source(); }
  std::span<const RecordView> records() const override { return fetch_.records().first(end_); }
  HeaderList Headers(size_t i) const override { return fetch_.Headers(i); }

 private:
  const Fetch& fetch_;
  const size_t end_;
};

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
        input = std::make_unique<TaskInput>(index, from, InternalInput(&edge, from));
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
    TM_RETURN_IF_ERROR(Annotate(CheckStepIdentities(plan(), stage_, *record, runtime_.allow_drop), id_.ToString()));
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

absl::Status Task::Process(std::unique_ptr<Fetch> fetch) {
  if (fetch->records().empty()) return absl::OkStatus();
  for (const auto& input : inputs_) {
    if (input->partition != fetch->source()) continue;
    const Offset first = fetch->records().front().offset;
    if (first < input->position) {
      return absl::InternalError(absl::StrCat(ToString(input->partition), ": offset ", first,
                                              " was delivered twice, the position is ", input->position));
    }
    input->at_end = false;
    SourceInput* const source = input->source();
    if (source != nullptr && source->waits()) {
      source->kept.push_back(std::move(fetch));
      source->end_behind.reset();  // it isn't the end any more
      return absl::OkStatus();
    }
    if (HasRest()) return absl::InternalError(absl::StrCat(id_.ToString(), " isn't done with the fetch before"));
    rest_ = Rest{std::move(fetch), input.get(), 0};
    return ProcessRest();
  }
  return absl::InternalError(absl::StrCat(id_.ToString(), " doesn't read ", ToString(fetch->source())));
}

absl::Status Task::ProcessRest() {
  Rest rest = std::exchange(rest_, Rest());
  bool waits = false;
  SourceInput* const source = rest.input->source();
  TM_ASSIGN_OR_RETURN(rest.next, source != nullptr ? ProcessSource(*rest.input, *rest.fetch, rest.next, &waits)
                                                   : ProcessInternal(*rest.input, *rest.fetch, rest.next));
  if (rest.next == rest.fetch->records().size()) return absl::OkStatus();
  if (!waits) {
    rest_ = std::move(rest);
    return absl::OkStatus();
  }
  source->next = rest.next;
  source->waits_since_us = runtime_.clock->MonotonicUs();
  source->kept.push_back(std::move(rest.fetch));
  return absl::OkStatus();
}

absl::StatusOr<bool> Task::Retry() {
  for (const auto& input : inputs_) {
    SourceInput* const source = input->source();
    if (source == nullptr || !source->waits()) continue;
    const Fetch& fetch = *source->kept.front();
    const size_t before = source->next;
    bool waits = false;
    TM_ASSIGN_OR_RETURN(source->next, ProcessSource(*input, fetch, before, &waits));
    SayWait(*input, source->next > before);
    if (source->next < fetch.records().size()) {
      if (waits) continue;
      return true;  // behind the full commit
    }
    source->kept.pop_front();
    source->next = 0;
    if (source->waits()) return true;
    if (const auto end = std::exchange(source->end_behind, std::nullopt)) SetEnd(*input, *end);
  }
  return false;
}

// Of a wait that lasts, once, and of its end. Most are over before anybody could read of them.
void Task::SayWait(TaskInput& input, bool over) {
  SourceInput& source = *input.source();
  const int64_t now = runtime_.clock->MonotonicUs();
  const double seconds = static_cast<double>(now - source.waits_since_us) / kSecond;
  if (over) {
    if (source.wait_said) LOG(INFO) << ToString(input.partition) << " goes on after " << seconds << " s";
    source.wait_said = false;
    source.waits_since_us = now;
  } else if (!source.wait_said && now - source.waits_since_us > kSecond) {
    source.wait_said = true;
    LOG(WARNING) << "source " << source.plan->name << ": " << ToString(input.partition) << "@" << input.position
                 << " waits for " << source.waits_for << "; other partitions go on";
  }
}

void Task::AppendWaiting(std::set<TopicPartition>* inputs) {
  FindAhead();
  for (const auto& input : inputs_) {
    const SourceInput* const source = input->source();
    if (input->held || (source != nullptr && source->waits())) inputs->insert(input->partition);
  }
}

namespace {

// Once a process, whichever of its tasks meets the column.
void NoteUnnamed(const std::string& source, const std::string& column) {
  static auto& mutex = *new absl::Mutex();
  static auto& noted = *new std::set<std::pair<std::string, std::string>>();
  absl::MutexLock lock(&mutex);
  if (!noted.emplace(source, column).second) return;
  LOG(INFO) << "source " << source << ": the table has a column '" << column
            << "' that the topology doesn't name: it is ignored";
}

}  // namespace

absl::StatusOr<size_t> Task::ProcessSource(TaskInput& input, const Fetch& fetch, size_t first, bool* waits) {
  const size_t size = fetch.records().size();
  while (first < size) {
    const size_t end = std::min(size, first + records_at_once_);
    TM_ASSIGN_OR_RETURN(first, ProcessPart(input, FirstRecords(fetch, end), first));
    if (first < end) {
      *waits = true;
      return first;
    }
    if (transaction_->Full()) {
      records_at_once_ = std::max<size_t>(records_at_once_ / 2, 1);
      return first;
    }
    records_at_once_ = std::min(records_at_once_ * 2, kLargestPart);
  }
  return first;
}

absl::StatusOr<size_t> Task::ProcessPart(TaskInput& input, const Fetch& fetch, size_t first) {
  SourceInput& source = *input.source();
  const TimeSpent::Doing doing(&spent_, static_cast<size_t>(input.node));
  source.time.Busy(runtime_.clock->MonotonicUs());
  TM_ASSIGN_OR_RETURN(
      DecodedRows decoded,
      source.decoder->Decode(fetch, first, runtime_.partitions.at(input.partition.topic), source.time.progress()));
  source.waits_for = std::move(decoded.waits_for);
  source.unnamed_columns += static_cast<int64_t>(decoded.unnamed.size());
  for (const std::string& column : decoded.unnamed) NoteUnnamed(source.plan->name, column);
  if (decoded.next == first) return first;
  if (source.heard) TM_RETURN_IF_ERROR(CheckNumbers(source, fetch, first, decoded.next));
  TM_RETURN_IF_ERROR(JoinTransaction());
  dirty_ = time_waits_ = true;
  const int64_t rows = decoded.rows->num_rows();
  const auto errors = static_cast<int64_t>(decoded.errors.size());
  StepLedger& ledger = nodes_[static_cast<size_t>(input.node)]->ledger;
  // Of a record of several rows each is counted; one that gives none counts as itself.
  ledger.in += rows + errors + decoded.empty_records;
  ledger.dead_lettered += errors;
  ledger.absorbed += decoded.empty_records;
  ledger.passed += rows;
  ledger.out += rows;
  for (const DecodeError& error : decoded.errors) {
    TM_RETURN_IF_ERROR(dead_letters_.Record(source.plan->name, fetch.source(), fetch.records()[error.record],
                                            fetch.Headers(error.record), error.reason));
  }
  TM_RETURN_IF_ERROR(Deliver(input.node, decoded.rows));
  const std::span<const RecordView> records = fetch.records();
  input.position = decoded.next < records.size() ? records[decoded.next].offset : records.back().offset + 1;
  return decoded.next;
}

// intake.h, rule 6.
absl::Status Task::CheckNumbers(SourceInput& source, const Fetch& fetch, size_t first, size_t last) {
  packed::RowsHeader header;
  header.set_writer_stage(WriterStage(source.plan->kept_as()));
  for (size_t i = first; i < last; ++i) {
    const std::string place = absl::StrCat(ToString(fetch.source()), "@", fetch.records()[i].offset);
    std::vector<std::string> number;
    for (const auto& [name, value] : fetch.Headers(i)) {
      if (name == kIntakeNumberHeader) number = absl::StrSplit(value.value_or(""), ':');
    }
    number.resize(std::max<size_t>(number.size(), 2));
    int32_t split = 0, form = 1;
    uint64_t sequence = 0;
    const bool whole = number.size() == 2 || (number.size() == 3 && absl::SimpleAtoi(number[2], &form));
    if (form > kIntakeForm) {
      return absl::FailedPreconditionError(absl::StrCat(
          place, ": a record of form ", form, ", written by a later version of Tidemark, which this one can't read"));
    }
    if (!whole || !absl::SimpleAtoi(number[0], &split) || !absl::SimpleAtoi(number[1], &sequence) || sequence == 0) {
      return absl::FailedPreconditionError(
          place + ": a record without a number: this topic is Tidemark's own, and nobody else may write to it");
    }
    header.set_upstream_partition(split);
    header.set_sequence(sequence);
    TM_RETURN_IF_ERROR(Annotate(source.heard->Check(header), place));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> Task::ProcessInternal(TaskInput& input, const Fetch& fetch, size_t first) {
  TM_RETURN_IF_ERROR(JoinTransaction());
  dirty_ = time_waits_ = true;
  InternalInput& internal = *input.internal();
  const TimeSpent::Doing doing(&spent_, static_cast<size_t>(input.node));
  const std::span<const RecordView> records = fetch.records();
  do {
    const RecordView& record = records[first++];
    absl::StatusOr<UnpackedRows> read = internal.reader.Read(record);
    // DataLoss would be of this task's state, which another restore mends.
    if (absl::IsDataLoss(read.status())) return absl::FailedPreconditionError(read.status().message());
    TM_ASSIGN_OR_RETURN(const UnpackedRows unpacked, std::move(read));
    if (unpacked.rows != nullptr) {
      StepLedger& ledger = nodes_[static_cast<size_t>(input.node)]->ledger;
      ledger.in += unpacked.rows->num_rows();
      ledger.passed += unpacked.rows->num_rows();
      ledger.out += unpacked.rows->num_rows();
    }
    if (unpacked.header.has_schema()) NoteSchemas();
    TM_RETURN_IF_ERROR(Deliver(input.node, unpacked.rows));
    internal.time.Update(unpacked.header);
    input.position = record.offset + 1;
  } while (first < records.size() && !transaction_->Full());
  return first;
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
  const EventTime close_to{runtime_.control->close_to.load(std::memory_order_relaxed)};
  for (const auto& input : inputs_) {
    NodeState& state = *nodes_[static_cast<size_t>(input->node)];
    if (SourceInput* source = input->source()) {
      // An end that was reached before the hold says nothing of what has come since.
      dirty_ |= source->time.Tick(input->at_end && !input->held && !input->withheld, now, runtime_.clock->WallUs());
      dirty_ |= source->time.RaiseFloor(close_to);
    } else if (input->held) {
      input->held_us = now;
    } else if (now - input->held_us >= kCatchUpUs) {
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
  // A commit in between has called this task busy, and another one has to take that back, with or without rows.
  const bool waited = std::exchange(advance_again_, transaction_->Full());
  dirty_ |= std::exchange(time_waits_, false) || waited;
  return absl::OkStatus();
}

absl::Status Task::AdvanceOperator(int node, Mark mark) {
  NodeState& state = *nodes_[static_cast<size_t>(node)];
  if (state.op == nullptr) {
    state.mark = Mark{std::max(mark.watermark, state.mark.watermark), mark.idle};
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
