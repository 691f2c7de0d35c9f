#include "src/plan/stages.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/plan/partial_schema.h"

namespace tidemark {
namespace {

using Columns = std::vector<size_t>;

// How a step's rows lie over the partitions of its stage: rows equal in `columns` lie in one partition. No columns: all
// rows lie in one.
struct Partitioning {
  Columns columns;
  std::string scheme;  // by which function; only equal schemes put equal keys of two inputs into one partition

  friend bool operator==(const Partitioning&, const Partitioning&) = default;
};

bool IsSubset(const Columns& a, const Columns& b) {
  return std::all_of(a.begin(), a.end(), [&](size_t c) { return std::find(b.begin(), b.end(), c) != b.end(); });
}

Columns Intersect(const Columns& a, const Columns& b) {
  Columns out;
  std::copy_if(a.begin(), a.end(), std::back_inserter(out),
               [&](size_t c) { return std::find(b.begin(), b.end(), c) != b.end(); });
  return out;
}

class Cutter {
 public:
  Cutter(const Logical& logical, Diagnostics* diagnostics, Plan* plan)
      : logical_(logical),
        diagnostics_(*diagnostics),
        plan_(*plan),
        node_of_(logical.steps.size(), -1),
        partitioning_(logical.steps.size()),
        demands_(logical.steps.size()) {}

  void Run();

 private:
  const LogicalStep& Step(int i) const { return logical_.steps[static_cast<size_t>(i)]; }

  void PlaceStep(int s);
  void PlaceWindow(int s, const std::vector<int>& inputs, const Columns& key, bool single);
  void PlaceSink(size_t i);
  std::optional<Partitioning> PartitioningOfSource(const SourcePlan& source) const;
  std::optional<Partitioning> PartitioningOfInputs(const LogicalStep& step) const;
  // Where the input's partitioning lies among the step's output columns.
  std::optional<Partitioning> Carry(const LogicalStep& step, const std::optional<Partitioning>& input) const;
  // Sets of columns of the step's output by which later steps want equal rows together, the nearest first.
  const std::vector<Columns>& Demands(int s);
  std::vector<Columns> FindDemands(int s);
  // The columns of `step.together` to shuffle by: those that serve the next steps too, if there are such.
  Columns ShuffleKey(int s);

  int Add(Node node, HiddenSet needs, bool may_fail = false);
  int AddOperator(const LogicalStep& step, OperatorSpec spec, const std::vector<int>& inputs, const Schema& input,
                  const Schema& output, const StepMode& mode, HiddenSet needs);
  // A repartition node behind `inputs` and its reading end in front of another stage, which is returned.
  int AddEdge(const std::string& step, const std::vector<int>& inputs, const Schema& schema, const StepMode& mode,
              const Columns& key, int32_t partitions, std::string reason);

  std::string Why(const LogicalStep& step, const std::optional<Partitioning>& input, const Columns& key) const;

  const Logical& logical_;
  Diagnostics& diagnostics_;
  Plan& plan_;
  std::vector<Node> nodes_;  // drafts: inputs are positions in here
  std::vector<HiddenSet> needs_;
  std::vector<bool> may_fail_;
  std::vector<int> node_of_;                                  // by step: the node with its output
  std::vector<std::optional<Partitioning>> partitioning_;     // by step, of its output
  std::vector<std::optional<std::vector<Columns>>> demands_;  // by step, once asked for
};

int Cutter::Add(Node node, HiddenSet needs, bool may_fail) {
  nodes_.push_back(std::move(node));
  needs_.push_back(needs);
  may_fail_.push_back(may_fail);
  return static_cast<int>(nodes_.size()) - 1;
}

int Cutter::AddOperator(const LogicalStep& step, OperatorSpec spec, const std::vector<int>& inputs, const Schema& input,
                        const Schema& output, const StepMode& mode, HiddenSet needs) {
  Node node;
  node.kind = Node::Kind::kOperator;
  node.step = step.name;
  node.spec = std::move(spec);
  node.inputs = inputs;
  node.input = input;
  node.output = output;
  node.mode = mode;
  return Add(std::move(node), needs, step.may_fail);
}

int Cutter::AddEdge(const std::string& step, const std::vector<int>& inputs, const Schema& schema, const StepMode& mode,
                    const Columns& key, int32_t partitions, std::string reason) {
  Edge edge;
  edge.topic = plan_.application.RepartitionTopic(step);
  edge.step = step;
  edge.key = key;
  edge.schema = schema;
  edge.update = mode.update;
  edge.partitions = partitions;
  edge.reason = std::move(reason);
  plan_.edges.push_back(std::move(edge));
  Node node;
  node.kind = Node::Kind::kRepartition;
  node.step = step;
  node.edge = static_cast<int>(plan_.edges.size()) - 1;
  node.input = node.output = schema;
  node.mode = mode;
  node.inputs = inputs;
  Node reader = node;
  Add(std::move(node), {});
  reader.kind = Node::Kind::kInternal;
  reader.inputs.clear();
  return Add(std::move(reader), {});
}

std::optional<Partitioning> Cutter::PartitioningOfSource(const SourcePlan& source) const {
  if (source.partitioned_by.empty()) return std::nullopt;
  return Partitioning{source.partitioned_by, absl::StrCat("promise ", static_cast<int>(source.key_format))};
}

std::optional<Partitioning> Cutter::PartitioningOfInputs(const LogicalStep& step) const {
  const auto& first = partitioning_[static_cast<size_t>(step.inputs[0])];
  for (const int input : step.inputs) {
    if (partitioning_[static_cast<size_t>(input)] != first) return std::nullopt;
  }
  return first;
}

std::optional<Partitioning> Cutter::Carry(const LogicalStep& step, const std::optional<Partitioning>& input) const {
  if (!input) return std::nullopt;
  Partitioning out{{}, input->scheme};
  for (const size_t c : input->columns) {
    const auto it = std::find(step.origin.begin(), step.origin.end(), std::optional<size_t>(c));
    if (it == step.origin.end()) return std::nullopt;
    out.columns.push_back(static_cast<size_t>(it - step.origin.begin()));
  }
  return out;
}

const std::vector<Columns>& Cutter::Demands(int s) {
  std::optional<std::vector<Columns>>& known = demands_[static_cast<size_t>(s)];
  if (!known) known = FindDemands(s);
  return *known;
}

std::vector<Columns> Cutter::FindDemands(int s) {
  std::vector<Columns> all;
  // What is wanted by several ways is wanted once, or a row of diamonds would double it at each.
  const auto want = [&all](Columns columns) {
    if (std::find(all.begin(), all.end(), columns) == all.end()) all.push_back(std::move(columns));
  };
  for (size_t r = 0; r < logical_.steps.size(); ++r) {
    const LogicalStep& reader = logical_.steps[r];
    if (reader.repartition || std::find(reader.inputs.begin(), reader.inputs.end(), s) == reader.inputs.end()) continue;
    if (reader.together) want(*reader.together);
    for (const Columns& demand : Demands(static_cast<int>(r))) {
      Columns mapped;
      for (const size_t c : demand) {
        if (reader.origin[c]) mapped.push_back(*reader.origin[c]);
      }
      want(std::move(mapped));
    }
  }
  for (const SinkPlan& sink : plan_.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && kafka->upsert && sink.from == Step(s).name) want(kafka->key);
  }
  return all;
}

Columns Cutter::ShuffleKey(int s) {
  const LogicalStep& step = Step(s);
  Columns key = *step.together;
  // Rows that replace each other must not part: only columns of their key keep them together.
  if (step.input_mode.update) key = Intersect(key, step.input_mode.key);
  for (const Columns& demand : Demands(s)) {
    Columns wanted;
    for (const size_t c : demand) {
      if (step.origin[c]) wanted.push_back(*step.origin[c]);
    }
    Columns both = Intersect(key, wanted);
    if (!both.empty()) key = std::move(both);
  }
  return key;
}

std::string Cutter::Why(const LogicalStep& step, const std::optional<Partitioning>& input, const Columns& key) const {
  const auto names = [&](const Columns& columns) { return ColumnNames(step.input, columns); };
  std::string why = absl::StrCat(step.name, " needs equal (", names(*step.together), ") together, its input is ",
                                 input ? absl::StrCat("partitioned by (", names(input->columns), ")")
                                       : std::string("not partitioned by any of them"));
  if (key.size() < step.together->size()) absl::StrAppend(&why, "; moved by (", names(key), "), which suffices");
  return why;
}

void Cutter::PlaceWindow(int s, const std::vector<int>& inputs, const Columns& key, bool single) {
  const LogicalStep& step = Step(s);
  WindowSpec spec = std::get<WindowSpec>(step.spec);
  if (single) {
    node_of_[static_cast<size_t>(s)] =
        AddOperator(step, std::move(spec), inputs, step.input, step.output, step.mode, step.needs);
    return;
  }
  const PartialLayout layout = MakePartialLayout(spec);
  spec.phase = WindowSpec::Phase::kPartial;
  const int partial = AddOperator(step, spec, inputs, step.input, layout.schema, {}, step.needs);
  Columns partial_key;
  int32_t partitions = 0;
  for (const size_t c : key) {
    const auto at = std::find(spec.group_by.begin(), spec.group_by.end(), c);
    partial_key.push_back(static_cast<size_t>(at - spec.group_by.begin()));
  }
  Partitioning after{partial_key, "hash"};  // groups stand first in partials and in results
  if (key.empty() && layout.window_start) {
    partial_key = {*layout.window_start};
    after.columns = {step.window_columns->first};
  } else if (key.empty()) {  // one group for everything
    partial_key = {layout.rows};
    partitions = 1;
  }
  const int reader = AddEdge(step.name, {partial}, layout.schema, {}, partial_key, partitions,
                             absl::StrCat(Why(step, PartitioningOfInputs(step), key), "; as partial aggregates"));
  spec.phase = WindowSpec::Phase::kFinal;
  node_of_[static_cast<size_t>(s)] =
      AddOperator(step, std::move(spec), {reader}, layout.schema, step.output, step.mode, {});
  partitioning_[static_cast<size_t>(s)] = after;
}

void Cutter::PlaceStep(int s) {
  const LogicalStep& step = Step(s);
  if (step.source >= 0) {
    Node node;
    node.kind = Node::Kind::kSource;
    node.step = step.name;
    node.source = step.source;
    node.input = node.output = step.output;
    node_of_[static_cast<size_t>(s)] = Add(std::move(node), {});
    partitioning_[static_cast<size_t>(s)] = PartitioningOfSource(plan_.sources[static_cast<size_t>(step.source)]);
    return;
  }
  std::vector<int> inputs;
  for (const int i : step.inputs) inputs.push_back(node_of_[static_cast<size_t>(i)]);
  std::optional<Partitioning> partitioning = PartitioningOfInputs(step);
  if (step.repartition) {
    partitioning = Partitioning{step.partitions == 1 ? Columns{} : *step.repartition, "hash"};
    inputs = {AddEdge(step.name, inputs, step.input, step.input_mode, *step.repartition, step.partitions,
                      absl::StrCat("the step says so: by (", ColumnNames(step.input, *step.repartition), ")"))};
  }
  const bool move = step.together && !(partitioning && IsSubset(partitioning->columns, *step.together));
  const Columns key = move ? ShuffleKey(s) : Columns{};
  if (std::holds_alternative<WindowSpec>(step.spec)) {
    partitioning_[static_cast<size_t>(s)] = Carry(step, partitioning);
    return PlaceWindow(s, inputs, key, !move);
  }
  if (move && key.empty() && !step.together->empty()) {
    diagnostics_.Error(step.path, absl::StrCat("equal (", ColumnNames(step.input, *step.together),
                                               ") lie in several partitions, and rows of the input replace "
                                               "each other by (",
                                               ColumnNames(step.input, step.input_mode.key),
                                               "), so they can't be moved by another key: "
                                               "add one of these columns to the group",
                                               OrOnClose(step.input_closes)));
    return;
  }
  if (move) {
    const bool all = key.empty();  // one group for everything: one partition, whatever the key
    inputs = {AddEdge(step.name, inputs, step.input, step.input_mode, all ? Columns{0} : key, all ? 1 : 0,
                      Why(step, partitioning, key))};
    partitioning = Partitioning{key, "hash"};
  }
  partitioning_[static_cast<size_t>(s)] = Carry(step, partitioning);
  node_of_[static_cast<size_t>(s)] =
      AddOperator(step, step.spec, inputs, step.input, step.output, step.mode, step.needs);
}

void Cutter::PlaceSink(size_t i) {
  const SinkPlan& sink = plan_.sinks[i];
  const int s = logical_.by_name.find(sink.from)->second;
  const LogicalStep& step = Step(s);
  Node node;
  node.step = sink.name;
  node.sink = static_cast<int>(i);
  node.inputs = {node_of_[static_cast<size_t>(s)]};
  node.input = node.output = sink.schema;
  node.mode = sink.mode;
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
    const auto& partitioning = partitioning_[static_cast<size_t>(s)];
    if (kafka->upsert && !(partitioning && IsSubset(partitioning->columns, kafka->key))) {
      // Rows that replace each other stay together; they share the step's key, which the sink's key contains.
      const Columns& key = sink.mode.update ? sink.mode.key : kafka->key;
      node.inputs = {AddEdge(sink.name, node.inputs, sink.schema, sink.mode, key, 0,
                             absl::StrCat("rows of one key (", ColumnNames(sink.schema, kafka->key),
                                          ") come from several tasks of ", step.name, ", and the last must win"))};
    }
    node.kind = Node::Kind::kKafkaSink;
    Add(std::move(node), {});
    return;
  }
  Edge edge;
  edge.topic = plan_.application.FeedTopic(sink.name);
  edge.step = sink.name;
  edge.to_sink = static_cast<int>(i);
  edge.schema = sink.schema;
  edge.update = sink.mode.update;
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec); postgres != nullptr && postgres->upsert) {
    edge.key = IsSubset(postgres->key, sink.mode.key) || !sink.mode.update ? postgres->key : sink.mode.key;
  }
  edge.reason = absl::StrCat(sink.name, " follows at its own pace");
  plan_.edges.push_back(std::move(edge));
  node.kind = Node::Kind::kFeed;
  node.edge = static_cast<int>(plan_.edges.size()) - 1;
  Add(std::move(node), {});
}

void Cutter::Run() {
  for (size_t s = 0; s < logical_.steps.size(); ++s) PlaceStep(static_cast<int>(s));
  if (!diagnostics_.ok()) return;
  for (size_t i = 0; i < plan_.sinks.size(); ++i) PlaceSink(i);
  NeedPlaces(may_fail_, nodes_, &needs_);
  DropUnreadColumns(may_fail_, &nodes_);
  InferHidden(needs_, &nodes_, &plan_);
  for (Node& node : nodes_) {
    // The final phase knows the rows that the partial phase has seen.
    auto* window = std::get_if<WindowSpec>(&node.spec);
    if (window == nullptr || window->phase != WindowSpec::Phase::kFinal) continue;
    for (const Node& other : nodes_) {
      const auto* partial = std::get_if<WindowSpec>(&other.spec);
      if (other.step == node.step && partial != nullptr && partial->phase == WindowSpec::Phase::kPartial) {
        window->rows_hidden = partial->rows_hidden;
      }
    }
  }
  MakeStages(nodes_, &diagnostics_, &plan_);
  AgreeOnPartitions(&diagnostics_, &plan_);
}

}  // namespace

void CutStages(const Logical& logical, Diagnostics* diagnostics, Plan* plan) {
  Cutter(logical, diagnostics, plan).Run();
}

}  // namespace tidemark
