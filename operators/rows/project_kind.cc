// project, as the planner and others see it.
#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/rows/project.h"
#include "operators/rows/spec.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

class ProjectKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "project"; }
  WholeBatches whole_batches() const override { return WholeBatches::kKeeps; }
  std::string Describe(const Node& node) const override {
    return absl::StrCat("project to ", absl::StrJoin(node.output.Names(), ", "));
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return ProjectOperator::Make(node, node.spec.As<ProjectSpec>());
  }
  bool Reads(const Node& node, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* read) const override {
    for (const ProjectSpec::Item& item : node.spec.As<ProjectSpec>().items) {
      ReadBy(item.expression, node.in().schema, &(*read)[0]);
    }
    return true;
  }
  const std::string* ExpressionOf(const Node& node, size_t column) const override {
    return &node.spec.As<ProjectSpec>().items[column].expression;
  }
};

class Project final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "project"; }
  bool Check(StepCheck& check) const override;

 private:
  static void AddItems(StepCheck& check, ProjectSpec* spec);
};

void Project::AddItems(StepCheck& check, ProjectSpec* spec) {
  const Schema& input = check.in().schema;
  std::set<std::string> named;
  for (const topology::Entry& item : check.yaml().project()) named.insert(item.name());
  for (const topology::Entry& item : check.yaml().project()) {
    const std::string field = "project/" + item.name();
    if (item.name() == "*") {
      if (item.value() != "true") {
        check.Error(field, absl::StrCat("\"*\": true keeps all columns; found '", item.value(), "'"));
        continue;
      }
      for (size_t i = 0; i < input.size(); ++i) {
        if (named.contains(input[i].name)) continue;
        check.AddOutput(input[i], i, field);
        spec->items.push_back({input[i].name, QuoteIdentifier(input[i].name)});
      }
      continue;
    }
    const auto expression = check.Compile<Expression>(item.value(), field);
    if (!expression) continue;
    check.step().may_fail = check.step().may_fail || expression->fallible();
    check.AddOutput({item.name(), expression->type(), expression->nullable()}, expression->AsColumn(), field);
    if (std::optional<std::string> constant = ConstantOf(*expression)) {
      check.step().values.resize(check.step().output.size());
      if (!check.Broken(field)) check.step().values.back() = {{*std::move(constant)}};
    }
    spec->items.push_back({item.name(), item.value()});
  }
}

bool Project::Check(StepCheck& check) const {
  LogicalStep& step = check.step();
  const LogicalPort& input = check.in();
  ProjectSpec spec;
  AddItems(check, &spec);
  if (spec.items.empty() && !check.Broken()) check.Error("project", "at least one column is needed");
  if (check.Broken()) return false;
  const auto output_of = [&](size_t column) -> std::optional<size_t> {
    const auto it = std::find(step.origin.begin(), step.origin.end(), std::make_optional<PortColumn>(column));
    if (it == step.origin.end()) return std::nullopt;
    return static_cast<size_t>(it - step.origin.begin());
  };
  step.mode.update = input.mode.update;
  for (const size_t key : input.mode.key) {
    const auto column = output_of(key);
    if (!column) {
      return check.Error("project", absl::StrCat("rows of the input replace each other by (",
                                                 ColumnNames(input.schema, input.mode.key), "): keep column ",
                                                 input.schema[key].name));
    }
    step.mode.key.push_back(*column);
  }
  if (step.window_columns) {
    const auto start = output_of(step.window_columns->first), end = output_of(step.window_columns->second);
    step.window_columns.reset();
    if (start && end) step.window_columns.emplace(*start, *end);
  }
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorKind& ProjectSpec::Kind() {
  static const ProjectKind kind;
  return kind;
}
const OperatorSyntax& ProjectSyntax() {
  static const Project syntax;
  return syntax;
}

}  // namespace tidemark
