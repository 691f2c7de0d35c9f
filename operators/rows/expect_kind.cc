// expect, as the planner and others see it.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/rows/expect.h"
#include "operators/rows/spec.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

const char* ElseText(ExpectSpec::Else otherwise) {
  switch (otherwise) {
    case ExpectSpec::Else::kWarn:
      return "warn";
    case ExpectSpec::Else::kDrop:
      return "drop";
    case ExpectSpec::Else::kDeadLetter:
      return "dead_letter";
    case ExpectSpec::Else::kStop:
      return "stop";
  }
  return "";
}

class ExpectKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "expect"; }
  WholeBatches whole_batches() const override { return WholeBatches::kKeeps; }
  std::string Describe(const Node& node) const override {
    std::vector<std::string> rules;
    for (const ExpectSpec::Rule& rule : node.spec.As<ExpectSpec>().rules) {
      rules.push_back(absl::StrCat(rule.name, " (", rule.that, ", else ", ElseText(rule.otherwise),
                                   rule.at_most ? ", at most " + AtMostText(*rule.at_most) : "", ")"));
    }
    return absl::StrCat("expect ", absl::StrJoin(rules, ", "));
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return ExpectOperator::Make(node, node.spec.As<ExpectSpec>());
  }
  // Rules have no state, shares have. What they are of stands with them, so any of them may come and go.
  std::string Fingerprint(const Node& node) const override {
    return HasShares(node.spec.As<ExpectSpec>()) ? "shares of broken rules" : "";
  }
  // All columns are read: they go to the dead letters, the log and the message that ends the run.
};

class Expect final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "expect"; }
  std::vector<std::string_view> beside() const override { return {"expect"}; }
  // Beside `batch` rules are about batches, and that step's.
  bool Has(const Diagnostics& diagnostics, const std::string& path) const override {
    return diagnostics.Present(path + "/expect") && !diagnostics.Present(path + "/batch");
  }
  bool Check(StepCheck& check) const override {
    check.SameColumns();
    if (!check.NeedsAppend("expect")) return false;
    ExpectSpec spec;
    bool good = true;
    for (const topology::Expectation& yaml : check.yaml().expect()) {
      const std::string at = absl::StrCat("expect/", yaml.name());
      ExpectSpec::Rule rule{yaml.name(), yaml.that()};
      rule.otherwise = yaml.else_() == "warn"   ? ExpectSpec::Else::kWarn
                       : yaml.else_() == "drop" ? ExpectSpec::Else::kDrop
                       : yaml.else_() == "stop" ? ExpectSpec::Else::kStop
                                                : ExpectSpec::Else::kDeadLetter;
      if (yaml.else_() == "reject_batch") {
        good = check.Error(at + "/else",
                           "reject_batch rejects the batch of the row: this rule goes into the `expect` of the batch "
                           "step, beside `batch`");
      }
      if (!IsName(yaml.name())) {
        good = check.Error(at, "a rule's name has letters, digits, '_' and '-', up to 100 of them");
        continue;
      }
      const auto condition = check.Compile<Expression>(yaml.that(), at + "/that");
      if (!condition) {
        good = false;
      } else if (condition->type().kind != Kind::kBool) {
        good = check.Error(at + "/that",
                           absl::StrCat("expected a condition (bool), this is ", TypeName(condition->type())));
      }
      if (!yaml.at_most().empty()) good = CheckAtMost(check, yaml.at_most(), at + "/at_most", &rule) && good;
      spec.rules.push_back(std::move(rule));
    }
    if (HasShares(spec)) check.in().needs = check.in().needs.With(Hidden::kTime).With(Hidden::kWatermark);
    if (good && spec.rules.empty()) good = check.Error("expect", "at least one rule is needed");
    check.step().may_fail = true;
    check.step().spec = std::move(spec);
    return good;
  }

 private:
  static bool CheckAtMost(StepCheck& check, const std::string& text, const std::string& at, ExpectSpec::Rule* rule) {
    rule->at_most = ParseAtMost(text);
    if (!rule->at_most) {
      return check.Error(at,
                         absl::StrCat("expected a share of the rows and a stretch of event time of at least 1s, such "
                                      "as 1% per 5m or 0.01% per 1h, found '",
                                      text, "'"));
    }
    if (rule->otherwise != ExpectSpec::Else::kStop) return true;
    return check.Error(at,
                       "with `else: stop` the first row that breaks the rule ends the run: leave at_most out, or say "
                       "what becomes of the rows up to it, `else: dead_letter`, drop or warn");
  }
};

}  // namespace

const OperatorKind& ExpectSpec::Kind() {
  static const ExpectKind kind;
  return kind;
}
const OperatorSyntax& ExpectSyntax() {
  static const Expect syntax;
  return syntax;
}

}  // namespace tidemark
