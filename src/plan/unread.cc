// Which visible columns travel inside a stage: what no later step, sink or internal topic reads is left behind by the
// first operator that copies rows anyway. The plan's schemas then say what the batches hold.
//
// Steps that keep rows or send them somewhere as they are (tops, last rows, late and unmatched rows, dead letters) read
// all of their input, whoever reads them: what a step has stored must not depend on the steps behind it.
#include <algorithm>
#include <functional>
#include <numeric>
#include <variant>

#include "src/expr/expression.h"
#include "src/plan/stages.h"

namespace tidemark {
namespace {

using Columns = std::vector<size_t>;
using Wanted = std::vector<bool>;  // by column

void Want(const Columns& columns, Wanted* wanted) {
  for (const size_t c : columns) (*wanted)[c] = true;
}

// Expressions have been compiled before, so that they compile again.
void WantExpression(const std::string& text, const Schema& schema, Wanted* wanted) {
  Want(Expression::Compile(text, schema)->columns(), wanted);
}

// Whether the operator's output begins with columns of its input, any of which it can leave out.
bool LeavesOut(const Node& node) {
  if (node.kind != Node::Kind::kOperator || node.mode.update) return false;
  const auto* dedup = std::get_if<DedupSpec>(&node.spec);
  return std::holds_alternative<FilterSpec>(node.spec) || std::holds_alternative<JoinSpec>(node.spec) ||
         (dedup != nullptr && !dedup->keep_last);
}

// What an operator reads of its input; false: all of it. `wanted`: of its output.
struct Reader {
  const Node& node;
  const Wanted& wanted;
  Wanted* read;

  bool operator()(const FilterSpec& spec) const {
    *read = wanted;
    WantExpression(spec.expression, node.input, read);
    return true;
  }
  bool operator()(const ProjectSpec& spec) const {
    for (const ProjectSpec::Item& item : spec.items) WantExpression(item.expression, node.input, read);
    return true;
  }
  bool operator()(const DedupSpec& spec) const {
    *read = wanted;
    Want(spec.by, read);
    return !spec.keep_last;
  }
  bool operator()(const JoinSpec& spec) const {
    std::copy_n(wanted.begin(), read->size(), read->begin());
    for (const auto& [stream, table] : spec.on) (*read)[stream] = true;
    return !spec.unmatched_topic;
  }
  bool operator()(const WindowSpec& spec) const {
    if (spec.phase == WindowSpec::Phase::kFinal || spec.late_topic) return false;
    Want(spec.group_by, read);
    for (const AggregateItem& item : spec.aggregates) {
      const auto aggregate = Aggregate::Compile(item.expression, spec.rows);
      if (aggregate->argument) Want(aggregate->argument->columns(), read);
    }
    return true;
  }
  template <typename Other>
  bool operator()(const Other&) const {
    return false;
  }
};

Wanted ReadBy(const Node& node, const Wanted& wanted, bool may_fail) {
  Wanted read(node.input.size());
  // Inputs that are united have the same columns.
  const bool known = node.kind == Node::Kind::kOperator && node.inputs.size() == 1 && !may_fail &&
                     std::visit(Reader{node, wanted, &read}, node.spec);
  if (!known) read.assign(node.input.size(), true);
  return read;
}

Columns Positions(const Wanted& wanted) {
  Columns columns;
  for (size_t c = 0; c < wanted.size(); ++c) {
    if (wanted[c]) columns.push_back(c);
  }
  return columns;
}

// Where the columns stand that are left of the input.
struct Renumber {
  const Schema& input;           // with those that are left
  std::vector<size_t> position;  // by the position before; only of those that are left

  void operator()(DedupSpec& spec) const { Move(&spec.by); }
  void operator()(JoinSpec& spec) const {
    for (auto& [stream, table] : spec.on) stream = position[stream];
  }
  void operator()(WindowSpec& spec) const {
    Move(&spec.group_by);
    spec.rows = input;
  }
  template <typename ByName>
  void operator()(ByName&) const {}

  void Move(Columns* columns) const {
    for (size_t& c : *columns) c = position[c];
  }
};

// Leaves of the operator's output what is wanted. `input`: the columns that are left of its input, by their position
// before.
void Narrow(const Wanted& wanted, const Columns& input, Node* node) {
  auto* const join = std::get_if<JoinSpec>(&node->spec);
  const size_t from_input = wanted.size() - (join != nullptr ? join->columns.size() : 0);
  Columns passed, joined;
  for (const size_t c : Positions(wanted)) {
    if (c < from_input) {
      passed.push_back(static_cast<size_t>(std::lower_bound(input.begin(), input.end(), c) - input.begin()));
    } else {
      joined.push_back(join->columns[c - from_input]);
    }
  }
  if (join != nullptr) join->columns = std::move(joined);
  node->passed = std::move(passed);
  node->output = node->output.Select(Positions(wanted));
}

}  // namespace

void DropUnreadColumns(const std::vector<bool>& may_fail, std::vector<Node>* nodes) {
  std::vector<Wanted> wanted, read(nodes->size());
  for (const Node& node : *nodes) wanted.emplace_back(node.output.size(), !LeavesOut(node));
  for (size_t i = nodes->size(); i-- > 0;) {
    read[i] = ReadBy((*nodes)[i], wanted[i], may_fail[i]);
    for (const int input : (*nodes)[i].inputs) {
      Wanted& of_input = wanted[static_cast<size_t>(input)];
      std::transform(of_input.begin(), of_input.end(), read[i].begin(), of_input.begin(), std::logical_or<>());
    }
  }
  for (size_t i = 0; i < nodes->size(); ++i) {
    Node& node = (*nodes)[i];
    Columns left(node.input.size());
    std::iota(left.begin(), left.end(), size_t{0});
    if (!node.inputs.empty()) {
      const auto input = static_cast<size_t>(node.inputs[0]);
      if ((*nodes)[input].output.size() < node.input.size()) {
        left = Positions(wanted[input]);
        node.input = (*nodes)[input].output;
        std::vector<size_t> position(wanted[input].size());
        for (size_t c = 0; c < left.size(); ++c) position[left[c]] = c;
        std::visit(Renumber{node.input, std::move(position)}, node.spec);
      }
    }
    if (LeavesOut(node)) Narrow(wanted[i], left, &node);
  }
}

}  // namespace tidemark
