#include "src/runtime/columns_had.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>

#include "operators/window/from_now.h"
#include "src/expr/expression.h"
#include "src/plan/operator_kind.h"
#include "src/runtime/step_origins.h"

namespace tidemark {
namespace {

// By column: whether NULL in it is a value to who reads it; else it is passed over, as long as nothing is made of it.
using Read = std::map<size_t, bool>;

void Add(size_t column, bool value, Read* read) {
  bool& known = read->try_emplace(column, false).first->second;
  known = known || value;
}

// Follows columns up to where they come from, over as many edges as lie between.
class Walk {
 public:
  Walk(const Plan& plan, int edge) : plan_(plan), edge_(edge) {}

  void OfInput(NodePlace place, size_t port, const Read& read) {
    if (read.empty()) return;
    for (const NodePlace above : NodesAbove(plan_, place, port)) OfOutput(above, read);
  }

  const std::set<std::string>& names() const { return names_; }

 private:
  void OfOutput(NodePlace place, const Read& read) {
    const Node& node = plan_.stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
    if (node.kind != Node::Kind::kOperator) {
      for (const auto& [column, value] : read) {
        if (node.kind == Node::Kind::kInternal && node.edge == edge_ && value) names_.insert(node.output[column].name);
      }
      if (node.kind != Node::Kind::kSource) OfInput(place, 0, read);
      return;
    }
    std::map<size_t, Read> above;  // by port
    for (const auto& [column, value] : read) {
      if (const std::string* text = node.spec.kind().ExpressionOf(node, column)) {
        const absl::StatusOr<Expression> expression = Expression::Compile(*text, node.in().schema);
        if (!expression.ok()) continue;  // was compiled before
        const bool made = !expression->AsColumn();
        for (const size_t c : expression->columns()) Add(c, value || made, &above[0]);
      } else if (const std::optional<PortColumn> origin = node.spec.kind().Origin(node, column)) {
        Add(origin->column, value, &above[origin->port]);
      }
    }
    for (const auto& [port, columns] : above) OfInput(place, port, columns);
  }

  const Plan& plan_;
  const int edge_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<std::string> ColumnsHad(const Plan& plan, int edge) {
  Walk walk(plan, edge);
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const std::vector<Node>& nodes = plan.stages[s].nodes;
    for (size_t n = 0; n < nodes.size(); ++n) {
      const ReadFromNow from_now = ColumnsFromNow(nodes[n]);
      Read read;
      for (const size_t c : from_now.values) Add(c, true, &read);
      for (const size_t c : from_now.passed_over) Add(c, false, &read);
      walk.OfInput({static_cast<int>(s), static_cast<int>(n)}, 0, read);
    }
  }
  return {walk.names().begin(), walk.names().end()};
}

}  // namespace tidemark
