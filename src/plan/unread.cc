// Which visible columns travel inside a stage: what no later step, sink or internal topic reads is left behind by the
// first operator that copies rows anyway. The plan's schemas then say what the batches hold.
//
// Steps that keep rows or send them somewhere as they are (tops, last rows, late and unmatched rows, dead letters) read
// all of their input, whoever reads them: what a step has stored must not depend on the steps behind it.
#include <algorithm>

#include "src/plan/operator_kind.h"
#include "src/plan/stages.h"

namespace tidemark {
namespace {

bool LeavesOut(const Node& node, size_t port) {
  return node.kind == Node::Kind::kOperator && !node.mode.update && node.spec.kind().LeavesOut(node, port);
}
bool LeavesOut(const Node& node) {
  for (size_t p = 0; p < node.inputs.size(); ++p) {
    if (LeavesOut(node, p)) return true;
  }
  return false;
}

// Which of a node's output columns stay, whoever reads them: all of an operator that leaves out none, else those of the
// ports that it passes on as they are.
ColumnFlags Fixed(const Node& node) {
  ColumnFlags fixed(node.output.size(), !LeavesOut(node));
  if (!LeavesOut(node)) return fixed;
  size_t first = 0;  // of the port's columns
  for (size_t p = 0; p < node.spec.kind().PassedPorts(node); ++p) {
    const size_t columns = node.in(p).schema.size();
    if (!LeavesOut(node, p)) std::fill_n(fixed.begin() + static_cast<std::ptrdiff_t>(first), columns, true);
    first += columns;
  }
  return fixed;
}

// What a node reads of its ports.
std::vector<ColumnFlags> ReadBy(const Node& node, const ColumnFlags& wanted, bool may_fail) {
  std::vector<ColumnFlags> read;
  for (const Port& port : node.inputs) read.emplace_back(port.schema.size());
  const bool known = node.kind == Node::Kind::kOperator && !may_fail && node.spec.kind().Reads(node, wanted, &read);
  for (size_t p = 0; p < read.size(); ++p) {
    // Inputs that are united have the same columns.
    if (!known || node.in(p).nodes.size() > 1) read[p].assign(node.in(p).schema.size(), true);
  }
  return read;
}

ColumnList Positions(const ColumnFlags& wanted) {
  ColumnList columns;
  for (size_t c = 0; c < wanted.size(); ++c) {
    if (wanted[c]) columns.push_back(c);
  }
  return columns;
}

// Leaves of the operator's output what is wanted. `left`, by port: the columns that are left of its inputs, by their
// position before; `before`: how many there were.
void Narrow(const ColumnFlags& wanted, const std::vector<ColumnList>& left, const ColumnList& before, Node* node) {
  size_t first = 0;  // of the output's columns that are the port's
  const size_t ports = node->spec.kind().PassedPorts(*node);
  for (size_t p = 0; p < ports; first += before[p++]) {
    if (!LeavesOut(*node, p)) continue;
    ColumnList passed;
    for (size_t c = 0; c < before[p]; ++c) {
      if (!wanted[first + c]) continue;
      passed.push_back(static_cast<size_t>(std::lower_bound(left[p].begin(), left[p].end(), c) - left[p].begin()));
    }
    node->inputs[p].passed = std::move(passed);
  }
  ColumnList made;
  for (size_t c = first; c < wanted.size(); ++c) {
    if (wanted[c]) made.push_back(c - first);
  }
  node->spec.kind().KeepMade(made, node);
  node->output = node->output.Select(Positions(wanted));
}

}  // namespace

void DropUnreadColumns(const std::vector<bool>& may_fail, std::vector<Node>* nodes) {
  std::vector<ColumnFlags> wanted;
  for (const Node& node : *nodes) wanted.push_back(Fixed(node));
  for (size_t i = nodes->size(); i-- > 0;) {
    const std::vector<ColumnFlags> read = ReadBy((*nodes)[i], wanted[i], may_fail[i]);
    for (size_t p = 0; p < read.size(); ++p) {
      for (const int input : (*nodes)[i].in(p).nodes) {
        ColumnFlags& of_input = wanted[static_cast<size_t>(input)];
        for (size_t c = 0; c < of_input.size(); ++c) of_input[c] = of_input[c] || read[p][c];
      }
    }
  }
  for (size_t i = 0; i < nodes->size(); ++i) {
    Node& node = (*nodes)[i];
    std::vector<ColumnList> left;
    ColumnList before;
    for (size_t p = 0; p < node.inputs.size(); ++p) {
      Port& port = node.inputs[p];
      const auto input = static_cast<size_t>(port.nodes[0]);
      before.push_back(port.schema.size());
      left.push_back(Positions(ColumnFlags(port.schema.size(), true)));
      if ((*nodes)[input].output.size() == port.schema.size()) continue;
      left[p] = Positions(wanted[input]);
      port.schema = (*nodes)[input].output;
      ColumnList position(wanted[input].size());
      for (size_t c = 0; c < left[p].size(); ++c) position[left[p][c]] = c;
      if (node.kind == Node::Kind::kOperator) node.spec.kind().Renumber(p, position, &node);
    }
    if (LeavesOut(node)) Narrow(wanted[i], left, before, &node);
  }
}

}  // namespace tidemark
