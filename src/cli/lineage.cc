#include "src/cli/lineage.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "operators/join/spec.h"
#include "operators/window/spec.h"
#include "src/expr/expression.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/step_origins.h"

namespace tidemark {
namespace {

class Lineage {
 public:
  explicit Lineage(const Plan& plan) : plan_(plan) {}

  // Of a column of a node's output. The graph has no cycles, and what was found once is kept.
  const ColumnSources& OfOutput(NodePlace place, size_t column) {
    const auto key = std::make_tuple(place.stage, place.node, column);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    return known_[key] = Find(place, column);
  }

  ColumnSources OfInput(NodePlace place, const PortColumn& read) {
    ColumnSources found;
    for (const NodePlace above : NodesAbove(plan_, place, read.port)) Add(OfOutput(above, read.column), &found);
    return found;
  }

 private:
  const Node& At(NodePlace place) const {
    return plan_.stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
  }

  static void Add(const ColumnSources& more, ColumnSources* to, OriginWay least = OriginWay::kIdentity) {
    for (const auto& [column, way] : more) {
      OriginWay& known = to->emplace(column, least).first->second;
      known = std::max({known, way, least});
    }
  }

  ColumnSources OfInputs(NodePlace place, const std::vector<size_t>& columns, OriginWay way) {
    ColumnSources found;
    for (const size_t column : columns) Add(OfInput(place, column), &found, way);
    return found;
  }

  ColumnSources Find(NodePlace place, size_t column) {
    const Node& node = At(place);
    if (node.kind == Node::Kind::kSource) {
      return {{{false, static_cast<size_t>(node.source), node.output[column].name}, OriginWay::kIdentity}};
    }
    if (node.kind != Node::Kind::kOperator) return OfInput(place, column);
    const OperatorKind& kind = node.spec.kind();
    if (const std::string* text = kind.ExpressionOf(node, column)) {
      const auto expression = Expression::Compile(*text, node.in().schema);
      if (!expression.ok()) return {};  // was compiled before
      if (const auto same = expression->AsColumn()) return OfInput(place, *same);
      return OfInputs(place, expression->columns(), OriginWay::kTransformation);
    }
    if (&kind == &WindowSpec::Kind()) return OfWindow(place, column);
    if (&kind == &JoinSpec::Kind()) {
      if (const auto of_table = OfTable(node, column)) return *of_table;
    }
    if (const auto origin = kind.Origin(node, column)) return OfInput(place, *origin);
    return {};
  }

  // A window's partial phase, where there is one, has the rows: the final one has what was put together of them.
  ColumnSources OfWindow(NodePlace place, size_t column) {
    const std::string& name = At(place).output[column].name;
    const size_t groups = At(place).spec.As<WindowSpec>().group_by.size();
    ColumnSources found;
    for (const NodePlace taker : Takers(plan_, place)) {
      const auto& spec = At(taker).spec.As<WindowSpec>();
      if (column < groups) {
        Add(OfInput(taker, spec.group_by[column]), &found);
        continue;
      }
      for (const AggregateItem& item : spec.aggregates) {
        if (item.name != name) continue;
        const auto aggregate = Aggregate::Compile(item.expression, At(taker).in().schema);
        if (aggregate.ok()) Add(OfInputs(taker, aggregate->columns(), OriginWay::kAggregation), &found);
      }
    }
    return found;
  }

  // Columns of a table stand behind those of the stream. Nothing: it is one of the stream's.
  std::optional<ColumnSources> OfTable(const Node& node, size_t column) const {
    const auto& spec = node.spec.As<JoinSpec>();
    const size_t stream = node.output.size() - spec.columns.size();
    if (column < stream) return std::nullopt;
    for (size_t t = 0; t < plan_.tables.size(); ++t) {
      if (plan_.tables[t].name != spec.table) continue;
      const std::string& name = plan_.tables[t].columns[spec.columns[column - stream]].column.name;
      return ColumnSources{{{true, t, name}, OriginWay::kIdentity}};
    }
    return ColumnSources{};
  }

  const Plan& plan_;
  std::map<std::tuple<int, int, size_t>, ColumnSources> known_;
};

}  // namespace

std::vector<ColumnSources> LineageOf(const Plan& plan, const SinkPlan& sink) {
  std::vector<ColumnSources> columns(sink.schema.size());
  Lineage lineage(plan);
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    for (size_t n = 0; n < plan.stages[s].nodes.size(); ++n) {
      const Node& node = plan.stages[s].nodes[n];
      const bool is_sink = node.kind == Node::Kind::kKafkaSink || node.kind == Node::Kind::kFeed;
      if (!is_sink || plan.sinks[static_cast<size_t>(node.sink)].name != sink.name) continue;
      for (size_t c = 0; c < node.in().schema.size(); ++c) {
        const auto at = sink.schema.Find(node.in().schema[c].name);
        if (!at) continue;
        for (const auto& [column, way] : lineage.OfInput({static_cast<int>(s), static_cast<int>(n)}, c)) {
          OriginWay& known = columns[*at].emplace(column, way).first->second;
          known = std::max(known, way);
        }
      }
    }
  }
  return columns;
}

}  // namespace tidemark
