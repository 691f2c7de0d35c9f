#include "src/cli/lineage.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>

#include <absl/strings/str_cat.h>

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

  // Whether what stands in the column comes, on any way, from one of which `is_personal` says so, or out of a step of
  // which `step_is` does. What isn't known to come from certain columns alone, as of an operator of one's own, counts
  // as made of all that its step reads.
  bool Personal(NodePlace place, size_t column, const std::function<bool(const OriginColumn&)>& is_personal,
                const std::function<bool(const std::string&)>& step_is) {
    const auto key = std::make_tuple(place.stage, place.node, column);
    if (const auto known = personal_.find(key); known != personal_.end()) return known->second;
    const Made made = MadeOf(place, column);
    bool personal = step_is(At(place).step) || (made.origin && is_personal(*made.origin));
    const auto look = [&](NodePlace reader, const PortColumn& read) {
      for (const NodePlace above : NodesAbove(plan_, reader, read.port)) {
        personal = personal || Personal(above, read.column, is_personal, step_is);
      }
    };
    for (const Part& part : made.parts) look(part.reader, part.read);
    if (!made.followed) {
      for (size_t port = 0; port < At(place).inputs.size(); ++port) {
        for (size_t c = 0; c < At(place).in(port).schema.size(); ++c) look(place, {c, port});
      }
    }
    return personal_[key] = personal;
  }

 private:
  // A column of an input that a column is made of.
  struct Part {
    NodePlace reader;
    PortColumn read;
    OriginWay way = OriginWay::kIdentity;
  };
  struct Made {
    std::optional<OriginColumn> origin;  // it is this one
    std::vector<Part> parts;
    bool followed = true;  // all parts are known
  };

  const Node& At(NodePlace place) const {
    return plan_.stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
  }

  static void Add(const ColumnSources& more, ColumnSources* to, OriginWay least = OriginWay::kIdentity) {
    for (const auto& [column, way] : more) {
      OriginWay& known = to->emplace(column, least).first->second;
      known = std::max({known, way, least});
    }
  }

  ColumnSources Find(NodePlace place, size_t column) {
    const Made made = MadeOf(place, column);
    ColumnSources found;
    if (made.origin) found[*made.origin] = OriginWay::kIdentity;
    for (const Part& part : made.parts) Add(OfInput(part.reader, part.read), &found, part.way);
    return found;
  }

  static void AddParts(NodePlace reader, const std::vector<size_t>& columns, OriginWay way, Made* made) {
    for (const size_t column : columns) made->parts.push_back({reader, column, way});
  }

  Made MadeOf(NodePlace place, size_t column) {
    const Node& node = At(place);
    Made made;
    if (node.kind == Node::Kind::kSource) {
      made.origin = OriginColumn{false, static_cast<size_t>(node.source), node.output[column].name};
      return made;
    }
    if (node.kind != Node::Kind::kOperator) {
      AddParts(place, {column}, OriginWay::kIdentity, &made);
      return made;
    }
    const OperatorKind& kind = node.spec.kind();
    if (const std::string* text = kind.ExpressionOf(node, column)) {
      const auto expression = Expression::Compile(*text, node.in().schema);
      if (!expression.ok()) return {.origin = {}, .parts = {}, .followed = false};  // was compiled before
      if (const auto same = expression->AsColumn()) {
        AddParts(place, {*same}, OriginWay::kIdentity, &made);
      } else {
        AddParts(place, expression->columns(), OriginWay::kTransformation, &made);
      }
      return made;
    }
    if (&kind == &WindowSpec::Kind()) return OfWindow(place, column);
    if (&kind == &JoinSpec::Kind() && OfTable(node, column, &made)) return made;
    if (const auto origin = kind.Origin(node, column)) {
      made.parts.push_back({place, *origin, OriginWay::kIdentity});
      return made;
    }
    made.followed = false;
    return made;
  }

  // A window's partial phase, where there is one, has the rows: the final one has what was put together of them.
  Made OfWindow(NodePlace place, size_t column) {
    const std::string& name = At(place).output[column].name;
    const size_t groups = At(place).spec.As<WindowSpec>().group_by.size();
    Made made;
    for (const NodePlace taker : Takers(plan_, place)) {
      const auto& spec = At(taker).spec.As<WindowSpec>();
      if (column < groups) {
        AddParts(taker, {spec.group_by[column]}, OriginWay::kIdentity, &made);
        continue;
      }
      for (const AggregateItem& item : spec.aggregates) {
        if (item.name != name) continue;
        const auto aggregate = Aggregate::Compile(item.expression, At(taker).in().schema);
        if (aggregate.ok()) AddParts(taker, aggregate->columns(), OriginWay::kAggregation, &made);
        made.followed = made.followed && aggregate.ok();
      }
    }
    return made;
  }

  // Columns of a table stand behind those of the stream. False: it is one of the stream's.
  bool OfTable(const Node& node, size_t column, Made* made) const {
    const auto& spec = node.spec.As<JoinSpec>();
    const size_t stream = node.output.size() - spec.columns.size();
    if (column < stream) return false;
    for (size_t t = 0; t < plan_.tables.size(); ++t) {
      if (plan_.tables[t].name != spec.table) continue;
      made->origin = OriginColumn{true, t, plan_.tables[t].columns[spec.columns[column - stream]].column.name};
    }
    return true;
  }

  const Plan& plan_;
  std::map<std::tuple<int, int, size_t>, ColumnSources> known_;
  std::map<std::tuple<int, int, size_t>, bool> personal_;
};

// Of a part, or of the whole of what it is a part of: a column that is said to be none stands for itself.
bool SaidPersonal(const AboutParts& about, const std::string& part, const std::string& column) {
  for (const std::string& path : {absl::StrCat(part, "/columns/", column), part}) {
    const auto said = about.find(path);
    if (said != about.end() && said->second.pii) return *said->second.pii;
  }
  return false;
}

}  // namespace

PersonalColumns PersonalColumnsOf(const Plan& plan, const AboutParts& about) {
  const auto is_personal = [&](const OriginColumn& column) {
    return SaidPersonal(
        about,
        column.table ? "tables/" + plan.tables[column.index].name : "sources/" + plan.sources[column.index].declared(),
        column.column);
  };
  const auto step_is = [&](const std::string& step) {
    const auto said = about.find("steps/" + step);
    return said != about.end() && said->second.pii.value_or(false);
  };
  PersonalColumns found;
  Lineage lineage(plan);
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    for (size_t n = 0; n < plan.stages[s].nodes.size(); ++n) {
      const Node& node = plan.stages[s].nodes[n];
      if (node.kind != Node::Kind::kSource && node.kind != Node::Kind::kOperator) continue;
      for (size_t c = 0; c < node.output.size(); ++c) {
        if (lineage.Personal({static_cast<int>(s), static_cast<int>(n)}, c, is_personal, step_is)) {
          found[node.step].insert(node.output[c].name);
        }
      }
    }
  }
  return found;
}

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
