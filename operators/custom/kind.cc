// Steps whose operator the user has registered, as the planner and others see them.
#include <algorithm>

#include <absl/strings/str_cat.h>

#include "operators/custom/custom_operator.h"
#include "operators/operator.h"
#include "src/base/suggest.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

// What a value should have been; "" where it is that.
std::string Expected(const CustomParameter& parameter, const CustomSpec& spec) {
  switch (parameter.kind) {
    case CustomParameter::Kind::kText:
      return "";
    case CustomParameter::Kind::kInteger:
      return IntegerParameter(spec, parameter.name) ? "" : "a whole number";
    case CustomParameter::Kind::kDuration:
      return DurationParameter(spec, parameter.name) ? "" : "a duration such as 100ms, 5s, 10m, 1h or 1d";
    case CustomParameter::Kind::kSize:
      return SizeParameter(spec, parameter.name) ? "" : "a size such as 64KiB, 128MiB or 2GiB";
  }
  return "";
}

class CustomKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "custom"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<CustomSpec>();
    std::string out = absl::StrCat("custom ", spec.name);
    if (!spec.by.empty()) absl::StrAppend(&out, " by (", ColumnNames(node.in().schema, spec.by), ")");
    for (const auto& [name, value] : spec.parameters) absl::StrAppend(&out, ", ", name, " ", value);
    return out;
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    const auto& spec = node.spec.As<CustomSpec>();
    const CustomOperator* custom = FindCustomOperator(spec.name);
    if (custom == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("no custom operator '", spec.name, "' is registered"));
    }
    return custom->make(node, spec);
  }

  int64_t HoldsUs(const Node& node) const override {
    const auto& spec = node.spec.As<CustomSpec>();
    const CustomOperator* custom = FindCustomOperator(spec.name);
    return custom != nullptr && custom->holds_us ? custom->holds_us(spec) : 0;
  }

  bool PassesRows(const Node& node, size_t port) const override {
    return port == 0 && node.spec.As<CustomSpec>().passes_rows;
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<CustomSpec>();
    const Schema& input = node.in().schema;
    std::string text =
        absl::StrCat("custom ", spec.name, " by ", ColumnTypes(input, spec.by), " of ", input.ToString());
    for (const auto& [name, value] : spec.parameters) absl::StrAppend(&text, ", ", name, " ", value);
    return text;
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override { return node.spec.As<CustomSpec>().by; }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    if (!node.spec.As<CustomSpec>().passes_rows) return std::nullopt;
    return OperatorKind::Origin(node, column);
  }
};

class Custom final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "custom"; }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;
};

bool Custom::CheckAlone(StepCheck& check) const {
  if (check.Broken(field())) return false;
  const topology::Custom& yaml = check.yaml().custom();
  const CustomOperator* custom = FindCustomOperator(yaml.operator_());
  if (custom == nullptr) {
    const std::vector<std::string> names = CustomOperatorNames();
    return check.Error(
        "custom/operator",
        absl::StrCat("no custom operator '", yaml.operator_(), "' is registered",
                     names.empty() ? "; this program has none: docs/operators.md says how one is linked in"
                                   : DidYouMean(yaml.operator_(), names)));
  }
  if (custom->by == CustomOperator::By::kNone && check.Present("custom/by")) {
    check.Error("custom/by", absl::StrCat("operator ", custom->name, " takes no `by`"));
  }
  if (custom->by == CustomOperator::By::kRequired && yaml.by().empty()) {
    check.Error(check.Present("custom/by") ? "custom/by" : "custom",
                absl::StrCat("operator ", custom->name, " needs `by`: at least one column"));
  }
  std::vector<std::string> names;
  for (const CustomParameter& parameter : custom->parameters) names.push_back(parameter.name);
  CustomSpec spec;
  for (const topology::Entry& given : yaml.with()) {
    spec.parameters[given.name()] = given.value();
    if (std::find(names.begin(), names.end(), given.name()) != names.end()) continue;
    check.Error("custom/with/" + given.name(),
                absl::StrCat("operator ", custom->name, " has no parameter '", given.name(), "'",
                             names.empty() ? "; it takes none" : DidYouMean(given.name(), names)));
  }
  for (const CustomParameter& parameter : custom->parameters) {
    if (!spec.parameters.contains(parameter.name)) {
      if (parameter.required) {
        check.Error(check.Present("custom/with") ? "custom/with" : "custom",
                    absl::StrCat("operator ", custom->name, " needs the parameter '", parameter.name, "'"));
      }
    } else if (const std::string expected = Expected(parameter, spec); !expected.empty()) {
      check.Error("custom/with/" + parameter.name,
                  absl::StrCat("expected ", expected, ", found '", spec.parameters[parameter.name], "'"));
    }
  }
  return !check.Broken();
}

bool Custom::Check(StepCheck& check) const {
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  const topology::Custom& yaml = check.yaml().custom();
  const CustomOperator& custom = *FindCustomOperator(yaml.operator_());
  CustomSpec spec;
  spec.name = custom.name;
  for (const topology::Entry& given : yaml.with()) spec.parameters[given.name()] = given.value();
  const auto by = check.Find(yaml.by(), "custom/by");
  if (!by || !check.NeedsAppend("a custom operator")) return false;
  spec.by = *by;
  absl::StatusOr<CustomShape> shape = custom.plan({input.schema, spec, step.time_form});
  if (!shape.ok()) return check.Error("custom", std::string(shape.status().message()));
  if (shape->output.size() == 0 || shape->origin.size() != shape->output.size()) {
    return check.Error("custom", absl::StrCat("operator ", custom.name, " states no output columns by Keep and Add"));
  }
  for (size_t i = 0; i < shape->output.size(); ++i) {
    if (!check.AddOutput(shape->output[i], shape->origin[i], "custom")) return false;
  }
  for (const size_t key : shape->mode.key) {
    if (key < shape->output.size()) continue;
    return check.Error("custom", absl::StrCat("operator ", custom.name, " states a key beyond its columns"));
  }
  spec.passes_rows = shape->passes_rows;
  step.mode = shape->mode;
  if (!spec.by.empty()) input.together = spec.by;
  input.needs = input.needs.Union(shape->reads);
  step.may_fail = shape->may_fail;
  step.ordered = step.ordered && spec.passes_rows;
  // When it takes a row back nobody knows.
  step.timely = step.timely && !step.mode.update;
  step.window_columns.reset();
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorKind& CustomSpec::Kind() {
  static const CustomKind kind;
  return kind;
}
const OperatorSyntax& CustomSyntax() {
  static const Custom syntax;
  return syntax;
}

}  // namespace tidemark
