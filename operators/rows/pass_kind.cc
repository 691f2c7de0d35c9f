// repartition, and the step that stands behind it and behind the topics of a pattern, as the planner and others see
// them.
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

  // The topics of a pattern come together.
  std::optional<OperatorSpec> Behind(const SourcePlan& source) const override {
    return source.of_pattern() ? std::make_optional<OperatorSpec>(PassSpec{}) : std::nullopt;
  }

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
    check.SameColumns();
    const auto by = check.Find(check.yaml().repartition().by(), "repartition/by");
    if (!by) return false;
    step.partitions = check.yaml().repartition().partitions();
    // A row that is replaced by one with other values here is deleted at its place and inserted at another, in two
    // partitions whose order to each other nobody knows. So from here on these columns are part of what tells rows
    // apart.
    for (const size_t c : *by) {
      ColumnList& key = step.mode.key;
      if (step.mode.update && std::find(key.begin(), key.end(), c) == key.end()) key.push_back(c);
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
