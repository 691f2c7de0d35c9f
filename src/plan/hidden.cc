// Which hidden columns travel: the smallest sets that satisfy every reader. Operators that pass rows on pass all their
// hidden columns on, so what flows through them has one set; it shrinks only where new rows are made (windows, tops)
// and where rows leave for another stage.
#include <algorithm>
#include <map>

#include "src/plan/operator_kind.h"
#include "src/plan/stages.h"

namespace tidemark {
namespace {

bool PassesHidden(const Node& node, size_t port) {
  return node.kind == Node::Kind::kOperator && node.spec.kind().PassesRows(node, port);
}

}  // namespace

void NeedPlaces(const std::vector<bool>& may_fail, const std::vector<Node>& nodes, Needs* needs) {
  const std::vector<int> component = Components(nodes);
  std::map<int, int> readers;  // nodes that read a topic, by component
  for (size_t i = 0; i < nodes.size(); ++i) readers[component[i]] += nodes[i].inputs.empty() ? 1 : 0;
  std::vector<bool> source_rows(nodes.size());  // what comes out of the node
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    bool passes = false, passes_others = false;
    for (size_t p = 0; p < node.inputs.size(); ++p) {
      const bool takes_source_rows = std::all_of(node.in(p).nodes.begin(), node.in(p).nodes.end(),
                                                 [&](int input) { return source_rows[static_cast<size_t>(input)]; });
      if (PassesHidden(node, p)) (takes_source_rows ? passes : passes_others) = true;
      if (!may_fail[i] || !takes_source_rows) continue;
      HiddenSet& need = (*needs)[i][p];
      need = need.With(Hidden::kOffset);
      // Of several topics, which one. The partition is the task's.
      if (readers[component[i]] > 1) need = need.With(Hidden::kSource);
    }
    source_rows[i] = node.kind == Node::Kind::kSource || (passes && !passes_others);
  }
}

void InferHidden(const Needs& needs, std::vector<Node>* nodes, Plan* plan) {
  std::vector<HiddenSet> edges(plan->edges.size());
  bool changed = true;
  const auto grow = [&changed](HiddenSet* set, HiddenSet by) {
    const HiddenSet grown = set->Union(by);
    changed = changed || !(grown == *set);
    *set = grown;
  };
  while (changed) {  // sets only grow, so this ends
    changed = false;
    for (size_t i = 0; i < nodes->size(); ++i) {
      Node& node = (*nodes)[i];
      if (node.mode.update) grow(&node.hidden, HiddenSet().With(Hidden::kOp));
      if (node.kind == Node::Kind::kInternal) grow(&edges[static_cast<size_t>(node.edge)], node.hidden);
      if (node.kind == Node::Kind::kRepartition || node.kind == Node::Kind::kFeed) {
        grow(&node.hidden, edges[static_cast<size_t>(node.edge)]);
      }
      // Sinks and other ends of the stage read what they write.
      const bool end =
          node.kind != Node::Kind::kSource && node.kind != Node::Kind::kInternal && node.kind != Node::Kind::kOperator;
      for (size_t p = 0; p < node.inputs.size(); ++p) {
        Port& port = node.inputs[p];
        grow(&port.hidden, needs[i][p]);
        if (end || PassesHidden(node, p)) grow(&port.hidden, node.hidden);
        for (const int input : port.nodes) grow(&port.hidden, (*nodes)[static_cast<size_t>(input)].hidden);
        for (const int input : port.nodes) grow(&(*nodes)[static_cast<size_t>(input)].hidden, port.hidden);
        if (PassesHidden(node, p) || node.kind == Node::Kind::kKafkaSink) grow(&node.hidden, port.hidden);
      }
    }
  }
  for (Node& node : *nodes) {
    if (node.kind == Node::Kind::kSource) plan->sources[static_cast<size_t>(node.source)].hidden = node.hidden;
    if (node.edge >= 0) plan->edges[static_cast<size_t>(node.edge)].hidden = node.hidden;
    if (node.sink >= 0) plan->sinks[static_cast<size_t>(node.sink)].hidden = node.hidden;
  }
}

}  // namespace tidemark
