// A toy operator with two ports, for tests of what the planner and the tasks make of ports: rows of `left` and of
// `right` that are equal in their keys must meet. A topology writes it in place of a custom operator:
//
//   z: { from: LEFT, custom: { operator: pair, by: [k], with: { right: RIGHT, right_by: "j" } } }
//
// Its output is the columns of the left, then those of the right as r_NAME; any that nobody reads are left out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "operators/operator.h"
#include "operators/operators.h"
#include "src/plan/step_check.h"

namespace tidemark {

struct PairSpec {
  static const OperatorKind& Kind();

  std::vector<ColumnList> by;  // of each port
  std::function<std::unique_ptr<Operator>(const Node&)> make;
};

class PairKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "pair"; }
  std::string Describe(const Node&) const override { return "pair"; }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return node.spec.As<PairSpec>().make(node);
  }
  bool LeavesOut(const Node&, size_t) const override { return true; }
  bool Reads(const Node& node, const ColumnFlags& wanted, std::vector<ColumnFlags>* read) const override {
    size_t c = 0;
    for (size_t p = 0; p < 2; ++p) {
      for (size_t i = 0; i < (*read)[p].size(); ++i) (*read)[p][i] = wanted[c++];
      for (const size_t key : node.spec.As<PairSpec>().by[p]) (*read)[p][key] = true;
    }
    return true;
  }
  void Renumber(size_t port, const ColumnList& position, Node* node) const override {
    for (size_t& c : node->spec.As<PairSpec>().by[port]) c = position[c];
  }
  std::string Fingerprint(const Node& node) const override {
    const auto& by = node.spec.As<PairSpec>().by;
    return absl::StrCat("pair by ", ColumnTypes(node.in(0).schema, by[0]), " and ",
                        ColumnTypes(node.in(1).schema, by[1]));
  }
  ColumnList Keeps(const Node& node, size_t port) const override { return node.spec.As<PairSpec>().by[port]; }
};

inline const OperatorKind& PairSpec::Kind() {
  static const PairKind kind;
  return kind;
}

class PairSyntax final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "custom"; }

  std::vector<PortNames> Ports(const topology::Step& yaml) const override {
    std::vector<PortNames> ports = {{"left", "from", true, {yaml.from().begin(), yaml.from().end()}},
                                    {"right", "custom/with/right", false, {}}};
    for (const topology::Entry& entry : yaml.custom().with()) {
      if (entry.name() == "right") ports[1].from = {entry.value()};
    }
    return ports;
  }

  // Of the right it asks for the row's own watermark.
  bool Check(StepCheck& check) const override {
    PairSpec spec;
    const auto left = check.Find(check.yaml().custom().by(), "custom/by");
    if (!left) return false;
    spec.by = {*left, {}};
    for (const topology::Entry& entry : check.yaml().custom().with()) {
      if (entry.name() != "right_by") continue;
      for (const auto name : absl::StrSplit(entry.value(), ',')) {
        spec.by[1].push_back(*check.in(1).schema.Find(std::string(name)));
      }
    }
    for (size_t p = 0; p < 2; ++p) {
      LogicalPort& port = check.in(p);
      port.together = spec.by[p];
      for (size_t c = 0; c < port.schema.size(); ++c) {
        Column column = port.schema[c];
        if (p == 1) column.name = "r_" + column.name;
        if (!check.AddOutput(column, PortColumn(c, p), "custom")) return false;
      }
    }
    check.in(1).needs = check.in(1).needs.With(Hidden::kWatermark);
    check.step().spec = std::move(spec);
    return true;
  }
};

// All operators, with the toy in place of custom ones.
inline OperatorList OperatorsWithPair() {
  static const PairSyntax pair;
  OperatorList operators = Operators();
  for (const OperatorSyntax*& syntax : operators) {
    if (syntax->field() == "custom") syntax = &pair;
  }
  return operators;
}

}  // namespace tidemark
