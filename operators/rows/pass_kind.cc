// repartition, and the step that stands behind it, as the planner and others see them.
#include <algorithm>

#include <absl/strings/str_cat.h>

#include "operators/rows/pass.h"
#include "operators/rows/spec.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

class PassKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "pass"; }
  std::string Describe(const Node& /*node*/) const override { return "pass on"; }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return std::make_unique<PassOperator>(node);
  }
};

class Repartition final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "repartition"; }

  bool CheckAlone(StepCheck& check) const override {
    if (check.Broken(field())) return false;
    const topology::Repartition& yaml = check.yaml().repartition();
    if (yaml.by().empty()) check.Error("repartition/by", "at least one column is needed");
    if (yaml.partitions() < 0 || yaml.partitions() > 100'000) {
      check.Error("repartition/partitions", "expected 1 or more, or 0 for as many as the largest input has");
    }
    return !check.Broken();
  }

  bool Check(StepCheck& check) const override {
    LogicalStep& step = check.step();
    const LogicalPort& input = check.in();
    check.SameColumns();
    const auto by = check.Find(check.yaml().repartition().by(), "repartition/by");
    if (!by) return false;
    step.partitions = check.yaml().repartition().partitions();
    for (const size_t c : *by) {
      if (!input.mode.update) break;
      if (std::find(input.mode.key.begin(), input.mode.key.end(), c) != input.mode.key.end()) continue;
      return check.Error("repartition/by",
                         absl::StrCat("rows of the input replace each other by (",
                                      ColumnNames(input.schema, input.mode.key), "), which ", input.schema[c].name,
                                      " isn't part of: a row could change its partition. "
                                      "Repartition before the updating step"));
    }
    step.repartition = *by;
    step.spec = PassSpec{};
    return true;
  }
};

}  // namespace

const OperatorKind& PassSpec::Kind() {
  static const PassKind kind;
  return kind;
}
const OperatorSyntax& RepartitionSyntax() {
  static const Repartition syntax;
  return syntax;
}

}  // namespace tidemark
