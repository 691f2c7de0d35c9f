#include "src/plan/stages.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace tidemark {
namespace {

// How a step's rows lie over the partitions of its stage: rows equal in `columns` lie in one partition. No columns: all
// rows lie in one.
struct Partitioning {
  ColumnList columns;
  std::string scheme;  // by which function; only equal schemes put equal keys of two inputs into one partition

  friend bool operator==(const Partitioning&, const Partitioning&) = default;
};

bool IsSubset(const ColumnList& a, const ColumnList& b) {
  return std::all_of(a.begin(), a.end(), [&](size_t c) { return std::find(b.begin(), b.end(), c) != b.end(); });
}

ColumnList Intersect(const ColumnList& a, const ColumnList& b) {
  ColumnList out;
  std::copy_if(a.begin(), a.end(), std::back_inserter(out),
               [&](size_t c) { return std::find(b.begin(), b.end(), c) != b.end(); });
  return out;
}

// Where in `together` these columns stand, ascending.
ColumnList PositionsOf(const ColumnList& columns, const ColumnList& together) {
  ColumnList out;
  for (size_t i = 0; i < together.size(); ++i) {
    if (std::find(columns.begin(), columns.end(), together[i]) != columns.end()) out.push_back(i);
  }
  return out;
}

ColumnList At(const ColumnList& together, const ColumnList& positions) {
  ColumnList out;
  for (const size_t i : positions) out.push_back(together[i]);
  return out;
}

// The function that internal topics are partitioned by.
constexpr char kHash[] = "hash";

// Of formats that are one column as a whole and have one text for each value: whoever writes such keys, equal values
// have equal ones.
bool IsOneValue(const SourcePlan& source) {
  static constexpr std::string_view kOfOneColumn[] = {kTextFormat, kBytesFormat, "string", "int16", "int32", "int64"};
  return source.partitioned_by.size() == 1 &&
         std::find(std::begin(kOfOneColumn), std::end(kOfOneColumn), source.key_format.name) != std::end(kOfOneColumn);
}

// "json (customer, region)": of objects the names are a part, in the order of the promise.
std::string NamedKey(const SourcePlan& source) {
  std::vector<std::string> names;
  for (const size_t c : source.partitioned_by) {
    const SourceColumn& column = source.columns[c];
    const bool read = column.from == SourceColumn::From::kKey && !column.path.empty();
    names.push_back(read ? absl::StrJoin(column.path, ".") : column.column.name);
  }
  return absl::StrCat(source.key_format.ToString(), " (", absl::StrJoin(names, ", "), ")");
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

  // Which ports of a step are moved, and by which of their columns that must lie together: positions in `together`,
  // which mean the same for all ports.
  struct Moves {
    std::vector<bool> port;
    ColumnList key;
    bool any() const { return std::find(port.begin(), port.end(), true) != port.end(); }
  };

  void PlaceSource(int s);
  void PlaceStep(int s);
  void PlacePhases(int s, const TwoPhases& phases, const std::vector<Port>& ports, const ColumnList& key);
  void PlaceSink(size_t i);
  std::optional<Partitioning> PartitioningOfSource(const SourcePlan& source) const;
  std::optional<Partitioning> PartitioningOf(const LogicalPort& port) const;
  // Where the partitioning of the ports lies among the step's output columns.
  std::optional<Partitioning> Carry(int s, const std::vector<std::optional<Partitioning>>& ports);
  Moves FindMoves(int s, const std::vector<std::optional<Partitioning>>& lie);
  // The same for ports whose rows must meet each other; `keyed` are those.
  Moves FindMeeting(int s, const std::vector<size_t>& keyed, const std::vector<std::optional<Partitioning>>& lie);
  bool Loops(const LogicalStep& step, const Moves& moves) const;
  // Rows of the step's output are told apart by the columns at these positions in `together`, whichever port's. So its
  // inputs may be moved by them, though rows of these replace each other by others: what goes at one place and what
  // comes at another are different rows of the output.
  static bool ToldApart(const LogicalStep& step, const ColumnList& positions);
  // By these positions in `together` rows come to lie in many partitions: not by nothing, nor by columns alone that
  // have no other values than a union's inputs have given them.
  static bool Spreads(const LogicalPort& port, const ColumnList& positions);
  // Sets of columns of the step's output by which later steps want equal rows together, the nearest first.
  const std::vector<ColumnList>& Demands(int s);
  std::vector<ColumnList> FindDemands(int s);
  // The positions in `together` to shuffle these ports by: those that serve the next steps too, if there are such.
  ColumnList ShuffleKey(int s, const std::vector<size_t>& ports);

  int Add(Node node, std::vector<HiddenSet> needs, bool may_fail = false);
  int AddOperator(const LogicalStep& step, OperatorSpec spec, std::vector<Port> ports, const Schema& output,
                  const StepMode& mode, std::vector<HiddenSet> needs);
  // A repartition node behind the port's nodes and its reading end in front of another stage, which is returned.
  // `kept_as`: of the step.
  int AddEdge(const std::string& step, const std::string& kept_as, const std::string& port_name, const Port& port,
              const ColumnList& key, int32_t partitions, std::string reason);
  void MovePort(const LogicalStep& step, size_t p, const ColumnList& key, std::optional<Partitioning>* lies,
                Port* port);

  std::string Why(const LogicalStep& step, const LogicalPort& port, const std::optional<Partitioning>& lies,
                  const ColumnList& key) const;

  const Logical& logical_;
  Diagnostics& diagnostics_;
  Plan& plan_;
  std::vector<Node> nodes_;  // drafts: inputs are positions in here
  Needs needs_;
  std::vector<bool> may_fail_;
  std::vector<int> node_of_;                                     // by step: the node with its output
  std::vector<std::optional<Partitioning>> partitioning_;        // by step, of its output
  std::vector<std::optional<std::vector<ColumnList>>> demands_;  // by step, once asked for
};

int Cutter::Add(Node node, std::vector<HiddenSet> needs, bool may_fail) {
  needs.resize(node.inputs.size());
  nodes_.push_back(std::move(node));
  needs_.push_back(std::move(needs));
  may_fail_.push_back(may_fail);
  return static_cast<int>(nodes_.size()) - 1;
}

int Cutter::AddOperator(const LogicalStep& step, OperatorSpec spec, std::vector<Port> ports, const Schema& output,
                        const StepMode& mode, std::vector<HiddenSet> needs) {
  Node node;
  node.kind = Node::Kind::kOperator;
  node.step = step.name;
  node.renamed_from = step.renamed_from;
  node.spec = std::move(spec);
  node.inputs = std::move(ports);
  node.output = output;
  node.mode = mode;
  for (const LogicalStep::Side& side : step.sides) node.side_topics.push_back(side.topic);
  return Add(std::move(node), std::move(needs), step.may_fail);
}

int Cutter::AddEdge(const std::string& step, const std::string& kept_as, const std::string& port_name, const Port& port,
                    const ColumnList& key, int32_t partitions, std::string reason) {
  Edge edge;
  edge.topic = plan_.application.RepartitionTopic(kept_as, port_name);
  edge.step = step;
  edge.kept_as = kept_as;
  edge.port = port_name;
  edge.key = key;
  edge.schema = port.schema;
  edge.update = port.mode.update;
  edge.partitions = partitions;
  edge.reason = std::move(reason);
  plan_.edges.push_back(std::move(edge));
  Node node;
  node.kind = Node::Kind::kRepartition;
  node.step = step;
  if (kept_as != step) node.renamed_from = kept_as;
  node.port = port_name;
  node.edge = static_cast<int>(plan_.edges.size()) - 1;
  node.output = port.schema;
  node.mode = port.mode;
  Node reader = node;
  reader.kind = Node::Kind::kInternal;
  node.inputs = {port};
  Add(std::move(node), {});
  return Add(std::move(reader), {});
}

std::optional<Partitioning> Cutter::PartitioningOfSource(const SourcePlan& source) const {
  if (source.partitioned_by.empty()) return std::nullopt;
  // Record keys of two sources are alike only where nothing but the values decides on their bytes. Those of tables are
  // moved where that isn't certain. A promise of names and format says that one form of them is written.
  const bool certain = IsOneValue(source) && source.verify_partitioning;
  const std::string key = certain || (source.key.empty() && source.key_format.none()) ? source.key_format.ToString()
                          : source.key.empty()                                        ? NamedKey(source)
                                                                                      : "key of " + source.declared();
  return Partitioning{source.partitioned_by, absl::StrCat("promise ", key)};
}

std::optional<Partitioning> Cutter::PartitioningOf(const LogicalPort& port) const {
  const auto lies = [&](int input) -> const auto& { return partitioning_[static_cast<size_t>(input)]; };
  const auto& first = lies(port.steps[0]);
  if (std::all_of(port.steps.begin(), port.steps.end(), [&](int input) { return lies(input) == first; })) return first;
  if (!port.apart) return std::nullopt;
  // Rows that are equal in that column are of one input, and lie as it has them.
  Partitioning all{{*port.apart}, "union of"};
  for (const int input : port.steps) {
    if (!lies(input)) return std::nullopt;
    for (const size_t c : lies(input)->columns) {
      if (!IsSubset({c}, all.columns)) all.columns.push_back(c);
    }
    absl::StrAppend(&all.scheme, " ", Step(input).name);
  }
  return all;
}

// Ports that meet are partitioned alike, so that any of them that keeps its columns will do: best one whose columns a
// later step asks for.
std::optional<Partitioning> Cutter::Carry(int s, const std::vector<std::optional<Partitioning>>& ports) {
  const LogicalStep& step = Step(s);
  std::optional<Partitioning> carried;
  for (size_t p = 0; p < ports.size(); ++p) {
    if (!ports[p] || (ports.size() > 1 && !step.in(p).together)) continue;
    Partitioning out{{}, ports[p]->scheme};
    for (const size_t c : ports[p]->columns) {
      const auto it = std::find(step.origin.begin(), step.origin.end(), std::make_optional<PortColumn>(c, p));
      if (it != step.origin.end()) out.columns.push_back(static_cast<size_t>(it - step.origin.begin()));
    }
    if (out.columns.size() < ports[p]->columns.size()) continue;
    const bool wanted = carried && std::any_of(Demands(s).begin(), Demands(s).end(), [&](const ColumnList& demand) {
                          return IsSubset(out.columns, demand) && !IsSubset(carried->columns, demand);
                        });
    if (!carried || wanted) carried = std::move(out);
  }
  return carried;
}

const std::vector<ColumnList>& Cutter::Demands(int s) {
  std::optional<std::vector<ColumnList>>& known = demands_[static_cast<size_t>(s)];
  if (!known) known = FindDemands(s);
  return *known;
}

std::vector<ColumnList> Cutter::FindDemands(int s) {
  std::vector<ColumnList> all;
  // What is wanted by several ways is wanted once, or a row of diamonds would double it at each.
  const auto want = [&all](ColumnList columns) {
    if (std::find(all.begin(), all.end(), columns) == all.end()) all.push_back(std::move(columns));
  };
  for (size_t r = 0; r < logical_.steps.size(); ++r) {
    const LogicalStep& reader = logical_.steps[r];
    if (reader.repartition) continue;
    for (size_t p = 0; p < reader.ports.size(); ++p) {
      const LogicalPort& port = reader.in(p);
      if (std::find(port.steps.begin(), port.steps.end(), s) == port.steps.end()) continue;
      if (port.together) want(*port.together);
      for (const ColumnList& demand : Demands(static_cast<int>(r))) {
        ColumnList mapped;
        for (const size_t c : demand) {
          if (reader.origin[c] && reader.origin[c]->port == p) mapped.push_back(reader.origin[c]->column);
        }
        want(std::move(mapped));
      }
    }
  }
  for (const SinkPlan& sink : plan_.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && kafka->upsert && sink.from == Step(s).name) want(kafka->key);
  }
  return all;
}

ColumnList Cutter::ShuffleKey(int s, const std::vector<size_t>& ports) {
  const LogicalStep& step = Step(s);
  ColumnList key(step.in(ports[0]).together->size());
  std::iota(key.begin(), key.end(), size_t{0});
  // Rows that replace each other stay in one task where columns of their key suffice. Otherwise they part, which only
  // steps bear whose rows are told apart by these columns, as those of ranks are. Partials don't care.
  for (const size_t p : ports) {
    const LogicalPort& port = step.in(p);
    if (!port.mode.update || step.spec.kind().Split(step.spec)) continue;
    const ColumnList stay = Intersect(key, PositionsOf(port.mode.key, *port.together));
    if (Spreads(port, stay) || !ToldApart(step, key)) key = stay;
  }
  for (const ColumnList& demand : Demands(s)) {
    ColumnList wanted;
    for (const size_t c : demand) {
      for (const size_t p : ports) {
        if (!step.origin[c] || step.origin[c]->port != p) continue;
        for (const size_t position : PositionsOf({step.origin[c]->column}, *step.in(p).together)) {
          wanted.push_back(position);
        }
      }
    }
    ColumnList both = Intersect(key, wanted);
    // A move more costs less than all rows of a shard in one task.
    const bool gathers = std::any_of(ports.begin(), ports.end(),
                                     [&](size_t p) { return Spreads(step.in(p), key) && !Spreads(step.in(p), both); });
    if (!both.empty() && !gathers) key = std::move(both);
  }
  return key;
}

std::string Cutter::Why(const LogicalStep& step, const LogicalPort& port, const std::optional<Partitioning>& lies,
                        const ColumnList& key) const {
  const auto names = [&](const ColumnList& columns) { return ColumnNames(port.schema, columns); };
  std::string why = absl::StrCat(step.name, " needs equal (", names(*port.together), ") together, its input ",
                                 port.name.empty() ? "" : absl::StrCat(port.name, " "), "is ",
                                 lies ? absl::StrCat("partitioned by (", names(lies->columns), ")")
                                      : std::string("not partitioned by any of them"));
  if (key.size() < port.together->size()) absl::StrAppend(&why, "; moved by (", names(key), "), which suffices");
  return why;
}

Cutter::Moves Cutter::FindMoves(int s, const std::vector<std::optional<Partitioning>>& lie) {
  const LogicalStep& step = Step(s);
  std::vector<size_t> keyed;
  for (size_t p = 0; p < step.ports.size(); ++p) {
    if (step.in(p).together) keyed.push_back(p);
  }
  if (keyed.size() > 1) return FindMeeting(s, keyed, lie);
  Moves moves{std::vector<bool>(step.ports.size()), {}};
  for (const size_t p : keyed) moves.port[p] = !(lie[p] && IsSubset(lie[p]->columns, *step.in(p).together));
  if (moves.any()) moves.key = ShuffleKey(s, keyed);
  return moves;
}

// Rows of several ports meet where all are partitioned by the same positions of their keys, by the same function. What
// lies so already stays; a port that was moved before gives the others its key. (A promise of the user's isn't our
// hash: nothing can be moved to where it lies.)
Cutter::Moves Cutter::FindMeeting(int s, const std::vector<size_t>& keyed,
                                  const std::vector<std::optional<Partitioning>>& lie) {
  const LogicalStep& step = Step(s);
  // By which positions of its key a port lies partitioned already.
  std::vector<std::optional<Partitioning>> lies_by(step.ports.size());
  for (const size_t p : keyed) {
    const ColumnList& together = *step.in(p).together;
    if (!lie[p] || !IsSubset(lie[p]->columns, together)) continue;
    lies_by[p] = Partitioning{{}, lie[p]->scheme};
    for (const size_t c : lie[p]->columns) {
      lies_by[p]->columns.push_back(
          static_cast<size_t>(std::find(together.begin(), together.end(), c) - together.begin()));
    }
  }
  const auto meeting_at = [&](const Partitioning& place) {
    Moves moves{std::vector<bool>(step.ports.size()), place.columns};
    for (const size_t p : keyed) moves.port[p] = lies_by[p] != place;
    return moves;
  };
  for (const size_t p : keyed) {
    if (!lies_by[p]) continue;
    const Moves moves = meeting_at(*lies_by[p]);
    // Nor is the one partition of a group of everything a place to move others to.
    if (moves.any() && (lies_by[p]->scheme != kHash || moves.key.empty())) continue;
    const bool keeps_updates = std::all_of(keyed.begin(), keyed.end(), [&](size_t other) {
      const LogicalPort& port = step.in(other);
      return !moves.port[other] || !port.mode.update || IsSubset(moves.key, PositionsOf(port.mode.key, *port.together));
    });
    if ((keeps_updates || ToldApart(step, moves.key)) && !Loops(step, moves)) return moves;
  }
  Moves all{std::vector<bool>(step.ports.size()), ShuffleKey(s, keyed)};
  for (const size_t p : keyed) all.port[p] = true;
  return all;
}

bool Cutter::ToldApart(const LogicalStep& step, const ColumnList& positions) {
  return std::all_of(positions.begin(), positions.end(), [&](size_t position) {
    return std::any_of(step.mode.key.begin(), step.mode.key.end(), [&](size_t c) {
      const std::optional<PortColumn>& origin = step.origin[c];
      if (!origin || !step.in(origin->port).together) return false;
      const ColumnList& together = *step.in(origin->port).together;
      return position < together.size() && together[position] == origin->column;
    });
  });
}

bool Cutter::Spreads(const LogicalPort& port, const ColumnList& positions) {
  return std::any_of(positions.begin(), positions.end(), [&](size_t position) {
    const size_t c = (*port.together)[position];
    return c >= port.values.size() || !port.values[c] || port.values[c]->size() == 1;
  });
}

bool Cutter::Loops(const LogicalStep& step, const Moves& moves) const {
  std::vector<int> stay, moved;
  for (size_t p = 0; p < step.ports.size(); ++p) {
    for (const int from : step.in(p).steps) {
      (moves.port[p] ? moved : stay).push_back(node_of_[static_cast<size_t>(from)]);
    }
  }
  return WouldReadItself(nodes_, stay, moved);
}

// Groups stand first in partials and in results, so that positions in `together` are positions there.
void Cutter::PlacePhases(int s, const TwoPhases& phases, const std::vector<Port>& ports, const ColumnList& key) {
  const LogicalStep& step = Step(s);
  const LogicalPort& input = step.in();
  const int partial = AddOperator(step, phases.partial, ports, phases.between, {}, {input.needs});
  Port between{.nodes = {partial}, .schema = phases.between, .hidden = {}, .mode = {}, .passed = {}};
  ColumnList moved_by = key;
  int32_t partitions = 0;
  Partitioning after{key, kHash};
  if (key.empty() && phases.spread) {
    moved_by = {phases.spread->first};
    after.columns = {phases.spread->second};
  } else if (key.empty()) {  // one group for everything: one partition, whatever the key
    moved_by = {0};
    partitions = 1;
  }
  between.nodes = {AddEdge(
      step.name, step.kept_as(), "", between, moved_by, partitions,
      absl::StrCat(Why(step, input, PartitioningOf(input), At(*input.together, key)), "; as partial aggregates"))};
  node_of_[static_cast<size_t>(s)] = AddOperator(step, phases.final, {std::move(between)}, step.output, step.mode, {});
  partitioning_[static_cast<size_t>(s)] = after;
}

// A source of a pattern is one node for each of its topics, and has a step behind them with the rows of all.
void Cutter::PlaceSource(int s) {
  const LogicalStep& step = Step(s);
  const SourcePlan& source = plan_.sources[static_cast<size_t>(step.source)];
  Port port;
  port.schema = source.schema();
  for (size_t i = 0; i < plan_.sources.size(); ++i) {
    if (plan_.sources[i].declared() != step.name) continue;
    Node node;
    node.kind = Node::Kind::kSource;
    node.step = plan_.sources[i].name;
    node.renamed_from = plan_.sources[i].renamed_from;
    node.source = static_cast<int>(i);
    node.output = source.schema();
    port.nodes.push_back(Add(std::move(node), {}));
  }
  int at = port.nodes.front();
  if (!step.behind.empty()) {
    at = AddOperator(step, step.spec, {std::move(port)}, step.output, step.mode, {step.behind_needs});
    // No step can have this name, so the state is this one's alone.
    nodes_.back().step = absl::StrCat(step.name, " ", step.behind);
    if (!step.renamed_from.empty()) nodes_.back().renamed_from = absl::StrCat(step.renamed_from, " ", step.behind);
  }
  node_of_[static_cast<size_t>(s)] = at;
  partitioning_[static_cast<size_t>(s)] = PartitioningOfSource(source);
}

void Cutter::MovePort(const LogicalStep& step, size_t p, const ColumnList& key, std::optional<Partitioning>* lies,
                      Port* port) {
  const LogicalPort& logical = step.in(p);
  const ColumnList columns = At(*logical.together, key);
  if (columns.empty() && !logical.together->empty()) {
    diagnostics_.Error(step.path, absl::StrCat("equal (", ColumnNames(logical.schema, *logical.together),
                                               ") lie in several partitions, and rows of the input replace "
                                               "each other by (",
                                               ColumnNames(logical.schema, logical.mode.key),
                                               "), so they can't be moved by another key: "
                                               "add one of these columns to the group, or a rank by which rows then "
                                               "replace each other",
                                               OrOnClose(logical.closes)));
    return;
  }
  const bool all = columns.empty();  // one group for everything: one partition, whatever the key
  port->nodes = {AddEdge(step.name, step.kept_as(), logical.name, *port, all ? ColumnList{0} : columns, all ? 1 : 0,
                         Why(step, logical, *lies, columns))};
  *lies = Partitioning{columns, kHash};
}

void Cutter::PlaceStep(int s) {
  const LogicalStep& step = Step(s);
  if (step.source >= 0) return PlaceSource(s);
  std::vector<Port> ports;
  std::vector<HiddenSet> needs;
  std::vector<std::optional<Partitioning>> lie;  // by port
  for (const LogicalPort& logical : step.ports) {
    Port& port = ports.emplace_back();
    for (const int i : logical.steps) port.nodes.push_back(node_of_[static_cast<size_t>(i)]);
    port.schema = logical.schema;
    port.mode = logical.mode;
    needs.push_back(logical.needs);
    lie.push_back(PartitioningOf(logical));
  }
  if (step.repartition) {
    lie[0] = Partitioning{step.partitions == 1 ? ColumnList{} : *step.repartition, kHash};
    ports[0].nodes = {
        AddEdge(step.name, step.kept_as(), "", ports[0], *step.repartition, step.partitions,
                absl::StrCat("the step says so: by (", ColumnNames(step.in().schema, *step.repartition), ")"))};
  }
  const Moves moves = FindMoves(s, lie);
  if (moves.any()) {
    if (const auto phases = step.spec.kind().Split(step.spec)) return PlacePhases(s, *phases, ports, moves.key);
  }
  for (size_t p = 0; p < ports.size(); ++p) {
    if (moves.port[p]) MovePort(step, p, moves.key, &lie[p], &ports[p]);
  }
  partitioning_[static_cast<size_t>(s)] = Carry(s, lie);
  node_of_[static_cast<size_t>(s)] =
      AddOperator(step, step.spec, std::move(ports), step.output, step.mode, std::move(needs));
}

void Cutter::PlaceSink(size_t i) {
  const SinkPlan& sink = plan_.sinks[i];
  const int s = logical_.by_name.find(sink.from)->second;
  const LogicalStep& step = Step(s);
  Node node;
  node.step = sink.name;
  node.renamed_from = sink.renamed_from;
  node.sink = static_cast<int>(i);
  Port port;
  port.nodes = {node_of_[static_cast<size_t>(s)]};
  port.schema = node.output = sink.schema;
  port.mode = node.mode = sink.mode;
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
    const auto& partitioning = partitioning_[static_cast<size_t>(s)];
    if (kafka->upsert && !(partitioning && IsSubset(partitioning->columns, kafka->key))) {
      // Rows that replace each other stay together; they share the step's key, which the sink's key contains.
      const ColumnList& key = sink.mode.update ? sink.mode.key : kafka->key;
      port.nodes = {AddEdge(sink.name, sink.kept_as(), "", port, key, 0,
                            absl::StrCat("rows of one key (", ColumnNames(sink.schema, kafka->key),
                                         ") come from several tasks of ", step.name, ", and the last must win"))};
    }
    node.inputs = {std::move(port)};
    node.kind = Node::Kind::kKafkaSink;
    Add(std::move(node), {});
    return;
  }
  Edge edge;
  edge.topic = plan_.application.FeedTopic(sink.kept_as());
  edge.step = sink.name;
  edge.kept_as = sink.kept_as();
  edge.to_sink = static_cast<int>(i);
  edge.schema = sink.schema;
  edge.update = sink.mode.update;
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec); postgres != nullptr && postgres->upsert) {
    edge.key = IsSubset(postgres->key, sink.mode.key) || !sink.mode.update ? postgres->key : sink.mode.key;
  }
  edge.reason = absl::StrCat(sink.name, " follows at its own pace");
  plan_.edges.push_back(std::move(edge));
  node.kind = Node::Kind::kFeed;
  node.inputs = {std::move(port)};
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
  MakeStages(nodes_, &diagnostics_, &plan_);
  AgreeOnPartitions(&diagnostics_, &plan_);
  CheckEdgeNames(plan_, &diagnostics_);
}

}  // namespace

void CutStages(const Logical& logical, Diagnostics* diagnostics, Plan* plan) {
  Cutter(logical, diagnostics, plan).Run();
}

}  // namespace tidemark
