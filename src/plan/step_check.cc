#include "src/plan/step_check.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace tidemark {
namespace {

// "a, b or c".
std::string OrJoin(const std::vector<std::string>& words) {
  if (words.size() < 2) return absl::StrJoin(words, "");
  return absl::StrCat(absl::StrJoin(words.begin(), words.end() - 1, ", "), " or ", words.back());
}

OperatorList OperatorsOf(const OperatorList& operators, const Diagnostics& diagnostics, const std::string& path) {
  OperatorList found;
  std::copy_if(operators.begin(), operators.end(), std::back_inserter(found),
               [&](const OperatorSyntax* syntax) { return syntax->Has(diagnostics, path); });
  return found;
}

bool Takes(const OperatorSyntax& syntax, std::string_view field) {
  const auto beside = syntax.beside();
  return std::find(beside.begin(), beside.end(), field) != beside.end();
}

// Fields that go with operators, but not with the one that the step has.
void RefuseStrayFields(const OperatorList& operators, const OperatorSyntax& syntax, StepCheck& check) {
  std::vector<std::string_view> fields;
  for (const OperatorSyntax* other : operators) {
    for (const std::string_view field : other->beside()) {
      if (std::find(fields.begin(), fields.end(), field) == fields.end()) fields.push_back(field);
    }
  }
  for (const std::string_view field : fields) {
    if (Takes(syntax, field) || !check.Present(field)) continue;
    std::vector<std::string> others;
    for (const OperatorSyntax* other : operators) {
      if (Takes(*other, field)) others.emplace_back(other->field());
    }
    check.Error(field, absl::StrCat("'", std::string(field), "' goes with ", OrJoin(others), ", not with ",
                                    std::string(syntax.field())));
  }
}

// The operator that the step has; null where there isn't exactly one, which is reported.
const OperatorSyntax* Which(const OperatorList& operators, const Diagnostics& diagnostics, StepCheck& check) {
  const OperatorList found = OperatorsOf(operators, diagnostics, check.step().path);
  if (found.size() == 1) {
    RefuseStrayFields(operators, *found[0], check);
    return found[0];
  }
  const auto names = [](const OperatorList& list) {
    std::vector<std::string> out;
    for (const OperatorSyntax* syntax : list) {
      if (!syntax->field().empty()) out.emplace_back(syntax->field());
    }
    return out;
  };
  if (!found.empty()) {
    check.Error("", absl::StrCat("a step has one operator, this one has ", absl::StrJoin(names(found), " and "),
                                 "; make them steps of their own"));
  } else if (!check.Broken()) {
    check.Error("", absl::StrCat("a step has an operator: ", OrJoin(names(operators))));
  }
  return nullptr;
}

}  // namespace

std::optional<ColumnList> StepCheck::Find(const google::protobuf::RepeatedPtrField<std::string>& names,
                                          std::string_view field, size_t port) {
  const std::string of = in(port).name.empty() ? "the input" : "input " + in(port).name;
  return FindKeyColumns(names, in(port).schema, PathOf(field), of, &diagnostics_);
}

void StepCheck::SameColumns() {
  step_.output = in().schema;
  step_.mode = in().mode;
  step_.origin.clear();
  for (size_t i = 0; i < step_.output.size(); ++i) step_.origin.emplace_back(i);
}

bool StepCheck::NeedsAppend(std::string_view what) {
  for (const LogicalPort& port : step_.ports) {
    if (!port.mode.update) continue;
    return Error("from", absl::StrCat(std::string(what),
                                      " over an updating step isn't implemented: rows of its input replace each "
                                      "other (key ",
                                      ColumnNames(port.schema, port.mode.key), "): put it before the updating step",
                                      OrOnClose(port.closes)));
  }
  return true;
}

bool StepCheck::AddOutput(const Column& column, std::optional<PortColumn> origin, std::string_view field) {
  if (!IsColumnName(column.name)) {
    return Error(field, absl::StrCat("column '", column.name, "': ", kColumnNames));
  }
  if (step_.output.Find(column.name)) {
    return Error(field, absl::StrCat("column '", column.name, "' is there twice; give one of them another name"));
  }
  step_.output.Add(column);
  step_.origin.push_back(origin);
  return true;
}

bool StepCheck::AddSide(SideTopic side, std::string_view field) {
  const bool good = CheckTopicName(side.topic, PathOf(field), &diagnostics_);
  step_.sides.push_back({std::move(side), PathOf(field)});
  return good;
}

std::vector<PortNames> OperatorSyntax::Ports(const topology::Step& yaml) const {
  return {{"", "from", true, {yaml.from().begin(), yaml.from().end()}}};
}

const OperatorSyntax* OperatorOf(const OperatorList& operators, const Diagnostics& diagnostics,
                                 const std::string& path) {
  const OperatorList found = OperatorsOf(operators, diagnostics, path);
  return found.size() == 1 ? found[0] : nullptr;
}

bool CheckOperator(const topology::Step& yaml, const OperatorList& operators, const Plan& plan, bool input,
                   Diagnostics* diagnostics, LogicalStep* step) {
  StepCheck check(yaml, plan, diagnostics, step);
  const OperatorSyntax* syntax = Which(operators, *diagnostics, check);
  return syntax != nullptr && syntax->CheckAlone(check) && input && syntax->Check(check);
}

}  // namespace tidemark
