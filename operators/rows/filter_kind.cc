// filter, as the planner and others see it.
#include <absl/strings/str_cat.h>

#include "operators/rows/filter.h"
#include "operators/rows/spec.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

class FilterKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "filter"; }
  WholeBatches whole_batches() const override { return WholeBatches::kKeeps; }
  std::string Describe(const Node& node) const override {
    return absl::StrCat("filter ", node.spec.As<FilterSpec>().expression);
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return FilterOperator::Make(node, node.spec.As<FilterSpec>());
  }
  bool LeavesOut(const Node& /*node*/, size_t port) const override { return port == 0; }
  bool Reads(const Node& node, const ColumnFlags& wanted, std::vector<ColumnFlags>* read) const override {
    (*read)[0] = wanted;
    ReadBy(node.spec.As<FilterSpec>().expression, node.in().schema, &(*read)[0]);
    return true;
  }
};

class Filter final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "filter"; }
  bool Check(StepCheck& check) const override {
    check.SameColumns();
    check.step().spec = FilterSpec{check.yaml().filter()};
    const auto expression = check.Compile<Expression>(check.yaml().filter(), "filter");
    if (!expression) return false;
    check.step().may_fail = expression->fallible();
    if (expression->type().kind != Kind::kBool) {
      return check.Error("filter", absl::StrCat("expected a condition (bool), this is ", TypeName(expression->type())));
    }
    return true;
  }
};

}  // namespace

const OperatorKind& FilterSpec::Kind() {
  static const FilterKind kind;
  return kind;
}
const OperatorSyntax& FilterSyntax() {
  static const Filter syntax;
  return syntax;
}

void ReadBy(const std::string& expression, const Schema& schema, ColumnFlags* read) {
  const absl::StatusOr<Expression> compiled = Expression::Compile(expression, schema);
  for (const size_t c : compiled->columns()) (*read)[c] = true;
}

}  // namespace tidemark
