// Steps whose operator the user has registered.
#include <algorithm>

#include <absl/strings/str_cat.h>

#include "src/base/suggest.h"
#include "src/plan/custom_operator.h"
#include "src/plan/operator_check.h"

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

}  // namespace

bool OperatorCheck::CustomAlone() {
  const topology::Custom& yaml = yaml_.custom();
  const CustomOperator* custom = FindCustomOperator(yaml.operator_());
  if (custom == nullptr) {
    const std::vector<std::string> names = CustomOperatorNames();
    return Error("custom/operator",
                 absl::StrCat("no custom operator '", yaml.operator_(), "' is registered",
                              names.empty() ? "; this program has none: docs/operators.md says how one is linked in"
                                            : DidYouMean(yaml.operator_(), names)));
  }
  if (custom->by == CustomOperator::By::kNone && Present("custom/by")) {
    Error("custom/by", absl::StrCat("operator ", custom->name, " takes no `by`"));
  }
  if (custom->by == CustomOperator::By::kRequired && yaml.by().empty()) {
    Error(Present("custom/by") ? "custom/by" : "custom",
          absl::StrCat("operator ", custom->name, " needs `by`: at least one column"));
  }
  std::vector<std::string> names;
  for (const CustomParameter& parameter : custom->parameters) names.push_back(parameter.name);
  CustomSpec spec;
  for (const topology::Entry& given : yaml.with()) {
    spec.parameters[given.name()] = given.value();
    if (std::find(names.begin(), names.end(), given.name()) != names.end()) continue;
    Error("custom/with/" + given.name(),
          absl::StrCat("operator ", custom->name, " has no parameter '", given.name(), "'",
                       names.empty() ? "; it takes none" : DidYouMean(given.name(), names)));
  }
  for (const CustomParameter& parameter : custom->parameters) {
    if (!spec.parameters.contains(parameter.name)) {
      if (parameter.required) {
        Error(Present("custom/with") ? "custom/with" : "custom",
              absl::StrCat("operator ", custom->name, " needs the parameter '", parameter.name, "'"));
      }
    } else if (const std::string expected = Expected(parameter, spec); !expected.empty()) {
      Error("custom/with/" + parameter.name,
            absl::StrCat("expected ", expected, ", found '", spec.parameters[parameter.name], "'"));
    }
  }
  return !Broken();
}

bool OperatorCheck::Custom() {
  const topology::Custom& yaml = yaml_.custom();
  const CustomOperator& custom = *FindCustomOperator(yaml.operator_());
  CustomSpec spec;
  spec.name = custom.name;
  for (const topology::Entry& given : yaml.with()) spec.parameters[given.name()] = given.value();
  const auto by = FindColumns(yaml.by(), step_.input, step_.path + "/custom/by", "the input", &diagnostics_);
  if (!by || !NeedsAppend("a custom operator")) return false;
  spec.by = *by;
  absl::StatusOr<CustomShape> shape = custom.plan({step_.input, spec, step_.time_form});
  if (!shape.ok()) return Error("custom", std::string(shape.status().message()));
  if (shape->output.size() == 0 || shape->origin.size() != shape->output.size()) {
    return Error("custom", absl::StrCat("operator ", custom.name, " states no output columns by Keep and Add"));
  }
  for (size_t i = 0; i < shape->output.size(); ++i) {
    if (!AddOutput(shape->output[i], shape->origin[i], "custom")) return false;
  }
  for (const size_t key : shape->mode.key) {
    if (key < shape->output.size()) continue;
    return Error("custom", absl::StrCat("operator ", custom.name, " states a key beyond its columns"));
  }
  spec.passes_rows = shape->passes_rows;
  step_.mode = shape->mode;
  if (!spec.by.empty()) step_.together = spec.by;
  step_.needs = step_.needs.Union(shape->reads);
  step_.may_fail = shape->may_fail;
  step_.ordered = step_.ordered && spec.passes_rows;
  step_.window_columns.reset();
  step_.spec = std::move(spec);
  return true;
}

}  // namespace tidemark
