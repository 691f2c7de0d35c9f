// unnest, as the planner and others see it.
#include <absl/strings/str_cat.h>

#include "operators/rows/spec.h"
#include "operators/rows/unnest.h"
#include "src/base/suggest.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

// Where a column of the input stands in the output.
size_t PlaceBehind(size_t column, size_t array) { return column - (column > array ? 1 : 0); }

class UnnestKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "unnest"; }
  WholeBatches whole_batches() const override { return WholeBatches::kKeeps; }
  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<UnnestSpec>();
    return absl::StrCat("unnest ", node.in().schema[spec.column].name, spec.outer ? ", rows without elements too" : "");
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return UnnestOperator::Make(node, node.spec.As<UnnestSpec>());
  }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    const auto& spec = node.spec.As<UnnestSpec>();
    if (column + 1 >= node.in().schema.size()) return std::nullopt;
    return PortColumn(column < spec.column ? column : column + 1);
  }
  const std::string* ExpressionOf(const Node& node, size_t column) const override {
    return column + 1 == node.in().schema.size() ? &node.spec.As<UnnestSpec>().element : nullptr;
  }
};

class Unnest final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "unnest"; }
  bool Check(StepCheck& check) const override;
};

bool Unnest::Check(StepCheck& check) const {
  const topology::Unnest& yaml = check.yaml().unnest();
  LogicalStep& step = check.step();
  const LogicalPort& input = check.in();
  UnnestSpec spec;
  const auto found = input.schema.Find(yaml.column());
  if (!found) {
    return check.Error("unnest/column", absl::StrCat("unknown column '", yaml.column(), "' of the input",
                                                     DidYouMean(yaml.column(), input.schema.Names())));
  }
  spec.column = *found;
  const Type& type = input.schema[spec.column].type;
  if (type.kind != Kind::kJson) {
    return check.Error("unnest/column", absl::StrCat("column ", yaml.column(), " is ", TypeName(type),
                                                     "; unnest makes rows of a json array",
                                                     type.kind == Kind::kString ? ": cast it, as in text::json" : ""));
  }
  spec.ordinality = yaml.has_ordinality();
  spec.outer = yaml.outer();
  spec.element = absl::StrCat(QuoteIdentifier(input.schema[spec.column].name), " -> 0");
  for (size_t c = 0; c < input.schema.size(); ++c) {
    if (c != spec.column) check.AddOutput(input.schema[c], c, "unnest/column");
  }
  check.AddOutput({yaml.has_as() ? yaml.as() : yaml.column(), Type{Kind::kJson}, true}, std::nullopt, "unnest/as");
  if (spec.ordinality) {
    check.AddOutput({yaml.ordinality(), Type{Kind::kInt64}, spec.outer}, std::nullopt, "unnest/ordinality");
  }
  step.may_fail = true;  // a value that is no array
  step.mode.update = input.mode.update;
  step.mode.key.clear();
  for (const size_t key : input.mode.key) step.mode.key.push_back(PlaceBehind(key, spec.column));
  if (step.mode.update && !spec.ordinality) {
    return check.Error("unnest",
                       "rows of the input replace each other: the rows of their elements are told apart by "
                       "their places, so give those a name with `ordinality`");
  }
  if (step.mode.update) step.mode.key.push_back(step.output.size() - 1);
  if (input.window_columns) {
    step.window_columns.emplace(PlaceBehind(input.window_columns->first, spec.column),
                                PlaceBehind(input.window_columns->second, spec.column));
  }
  step.spec = spec;
  return !check.Broken();
}

}  // namespace

const OperatorKind& UnnestSpec::Kind() {
  static const UnnestKind kind;
  return kind;
}
const OperatorSyntax& UnnestSyntax() {
  static const Unnest syntax;
  return syntax;
}

}  // namespace tidemark
