#include "src/runtime/step_origins.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/expr/expression.h"

namespace tidemark {
namespace {

using Columns = std::vector<size_t>;
// What each of the columns asked for comes from, along one way.
using Way = std::vector<std::string>;

// In place of a column: event time.
constexpr size_t kEventTime = static_cast<size_t>(-1);

std::string OfSource(const SourcePlan& source, size_t column) {
  if (column == kEventTime) {
    return source.event_time.column ? OfSource(source, *source.event_time.column)
                                    : absl::StrCat(source.topic, " record timestamp");
  }
  const SourceColumn& c = source.columns[column];
  switch (c.from) {
    case SourceColumn::From::kValue:
      return absl::StrCat(source.topic, " value.", absl::StrJoin(c.path, "."));
    case SourceColumn::From::kKey:
      return absl::StrCat(source.topic, " key");
    case SourceColumn::From::kHeader:
      return absl::StrCat(source.topic, " header ", c.header);
    case SourceColumn::From::kPartition:
      return absl::StrCat(source.topic, " partition");
    case SourceColumn::From::kOffset:
      return absl::StrCat(source.topic, " offset");
    case SourceColumn::From::kTimestamp:
      return absl::StrCat(source.topic, " record timestamp");
  }
  return source.topic;
}

// Positions in `rows`, ascending, none twice.
Columns ArgumentsOf(const WindowSpec& spec) {
  std::set<size_t> columns;
  for (const AggregateItem& item : spec.aggregates) {
    const auto aggregate = Aggregate::Compile(item.expression, spec.rows);
    if (!aggregate.ok() || !aggregate->argument) continue;
    columns.insert(aggregate->argument->columns().begin(), aggregate->argument->columns().end());
  }
  return {columns.begin(), columns.end()};
}

class Tracer {
 public:
  explicit Tracer(const Plan& plan) : plan_(plan) {}

  const Node& At(NodePlace place) const {
    return plan_.stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
  }

  // The nodes whose rows a node takes: its inputs, or what other stages write to the edge that it reads.
  std::vector<NodePlace> Above(NodePlace place) const {
    const Node& node = At(place);
    std::vector<NodePlace> above;
    for (const int input : node.inputs) above.push_back({place.stage, input});
    if (node.kind != Node::Kind::kInternal) return above;
    const int from = plan_.edges[static_cast<size_t>(node.edge)].from_stage;
    const Stage& stage = plan_.stages[static_cast<size_t>(from)];
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      const Node& writer = stage.nodes[n];
      if (writer.kind == Node::Kind::kRepartition && writer.edge == node.edge) {
        above.push_back({from, static_cast<int>(n)});
      }
    }
    return above;
  }

  std::set<Way> OfInput(NodePlace place, const Columns& columns) const {
    std::set<Way> ways;
    for (const NodePlace above : Above(place)) ways.merge(OfOutput(above, columns));
    return ways;
  }

  std::set<Way> OfOutput(NodePlace place, const Columns& columns) const {
    const Node& node = At(place);
    if (node.kind == Node::Kind::kSource) {
      Way way;
      for (const size_t c : columns) way.push_back(OfSource(plan_.sources[static_cast<size_t>(node.source)], c));
      return {way};
    }
    if (const auto* project = std::get_if<ProjectSpec>(&node.spec)) return OfProject(place, *project, columns);
    // What passes is traced on; what the step makes comes from the step.
    Columns asked;
    for (const size_t c : columns) {
      const std::optional<size_t> passed = Passed(node, c);
      if (passed) asked.push_back(*passed);
    }
    std::set<Way> ways;
    for (const Way& above : OfInput(place, asked)) {
      Way way;
      size_t next = 0;
      for (const size_t c : columns) way.push_back(Passed(node, c) ? above[next++] : Made(node, c));
      ways.insert(std::move(way));
    }
    return ways;
  }

 private:
  // The column of the input that stands in this column of the output, unchanged.
  static std::optional<size_t> Passed(const Node& node, size_t c) {
    if (node.kind != Node::Kind::kOperator) return c;
    if (const auto* window = std::get_if<WindowSpec>(&node.spec)) {
      if (c == kEventTime || c >= window->group_by.size()) return std::nullopt;
      return window->phase == WindowSpec::Phase::kFinal ? c : window->group_by[c];
    }
    if (c == kEventTime) return c;
    if (const auto* custom = std::get_if<CustomSpec>(&node.spec); custom != nullptr && !custom->passes_rows) {
      return std::nullopt;
    }
    if (node.passed) {
      if (c < node.passed->size()) return (*node.passed)[c];
      return std::nullopt;
    }
    if (c < node.input.size()) return c;
    return std::nullopt;
  }

  static std::string Made(const Node& node, size_t c) {
    if (const auto* join = std::get_if<JoinSpec>(&node.spec))
      return absl::StrCat("table ", join->table, " ", node.output[c].name);
    if (c == kEventTime) return absl::StrCat("step ", node.step);
    return absl::StrCat("step ", node.step, " ", node.output[c].name);
  }

  std::set<Way> OfProject(NodePlace place, const ProjectSpec& spec, const Columns& columns) const {
    const Node& node = At(place);
    std::vector<std::optional<Expression>> expressions;  // by column asked for; none: event time
    std::set<size_t> read;
    for (const size_t c : columns) {
      expressions.emplace_back();
      if (c == kEventTime) {
        read.insert(c);
        continue;
      }
      absl::StatusOr<Expression> expression = Expression::Compile(spec.items[c].expression, node.input);
      if (!expression.ok()) continue;  // was compiled before
      read.insert(expression->columns().begin(), expression->columns().end());
      expressions.back() = *std::move(expression);
    }
    const Columns asked(read.begin(), read.end());
    std::set<Way> ways;
    for (const Way& above : OfInput(place, asked)) {
      const auto from = [&](size_t c) {
        return above[static_cast<size_t>(std::lower_bound(asked.begin(), asked.end(), c) - asked.begin())];
      };
      Way way;
      for (size_t i = 0; i < columns.size(); ++i) {
        if (!expressions[i]) {
          way.push_back(columns[i] == kEventTime ? from(kEventTime) : "");
        } else if (const auto column = expressions[i]->AsColumn()) {
          way.push_back(from(*column));
        } else {
          std::vector<std::string> parts;
          for (const size_t c : expressions[i]->columns()) {
            parts.push_back(absl::StrCat(node.input[c].name, " from ", from(c)));
          }
          way.push_back(absl::StrCat("(", spec.items[columns[i]].expression, ")",
                                     parts.empty() ? "" : absl::StrCat(" of (", absl::StrJoin(parts, ", "), ")")));
        }
      }
      ways.insert(std::move(way));
    }
    return ways;
  }

  const Plan& plan_;
};

// What a step keeps its state by and of, as columns of its input.
struct KeptColumns {
  const Node& node;

  Columns operator()(const DedupSpec& spec) const { return spec.by; }
  Columns operator()(const WindowSpec& spec) const {
    Columns columns = spec.group_by;
    for (const size_t c : ArgumentsOf(spec)) columns.push_back(c);
    return columns;
  }
  Columns operator()(const TopSpec& spec) const {
    Columns columns = spec.by;
    for (const TopSpec::Order& order : spec.order) columns.push_back(order.column);
    return columns;
  }
  Columns operator()(const CustomSpec& spec) const { return spec.by; }
  template <typename Stateless>
  Columns operator()(const Stateless&) const {
    return {};
  }
};

}  // namespace

std::set<std::string> StepOrigins(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  // The final phase of an aggregation keeps what the partial one has made of its input.
  std::vector<NodePlace> places = {place};
  const auto* window = std::get_if<WindowSpec>(&tracer.At(place).spec);
  if (window != nullptr && window->phase == WindowSpec::Phase::kFinal) {
    places.clear();
    for (const NodePlace reader : tracer.Above(place)) {
      for (const NodePlace writer : tracer.Above(reader)) {
        for (const NodePlace partial : tracer.Above(writer)) places.push_back(partial);
      }
    }
  }
  std::set<std::string> origins;
  for (const NodePlace at : places) {
    const Node& node = tracer.At(at);
    const auto* partial = std::get_if<WindowSpec>(&node.spec);
    Columns columns = std::visit(KeptColumns{node}, node.spec);
    columns.push_back(kEventTime);
    const Schema& schema = partial != nullptr ? partial->rows : node.input;
    for (const Way& way : tracer.OfInput(at, columns)) {
      std::vector<std::string> parts;
      for (size_t i = 0; i < columns.size(); ++i) {
        parts.push_back(absl::StrCat(columns[i] == kEventTime ? "time" : schema[columns[i]].name, " from ", way[i]));
      }
      origins.insert(absl::StrJoin(parts, "; "));
    }
  }
  return origins;
}

std::string AggregatedColumns(const Node& node) {
  const auto* window = std::get_if<WindowSpec>(&node.spec);
  if (window == nullptr) return "";
  std::vector<std::string> columns;
  for (const size_t c : ArgumentsOf(*window)) {
    columns.push_back(absl::StrCat(window->rows[c].name, " ", TypeName(window->rows[c].type)));
  }
  return absl::StrJoin(columns, ", ");
}

std::string Meeting(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  std::set<std::string> ways;
  std::vector<NodePlace> open = {place};
  std::set<int> seen;
  while (!open.empty()) {
    const NodePlace at = open.back();
    open.pop_back();
    const Node& node = tracer.At(at);
    if (node.kind == Node::Kind::kSource) {
      ways.insert(absl::StrCat("as they lie in ", plan.sources[static_cast<size_t>(node.source)].topic));
    } else if (node.kind == Node::Kind::kInternal) {
      const Edge& edge = plan.edges[static_cast<size_t>(node.edge)];
      std::vector<std::string> names;
      for (const size_t c : edge.key) names.push_back(edge.schema[c].name);
      ways.insert(absl::StrCat("moved by [", absl::StrJoin(names, ", "), "]"));
    }
    for (const int input : node.inputs) {
      if (seen.insert(input).second) open.push_back({at.stage, input});
    }
  }
  return absl::StrJoin(ways, ", ");
}

}  // namespace tidemark
