#include "operators/window/from_now.h"

#include <optional>
#include <set>

#include "operators/window/spec.h"
#include "src/expr/expression.h"

namespace tidemark {
namespace {

// Of a row whose argument is NULL it keeps nothing.
bool PassesNullOver(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kCount:
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
    case AggregateFunction::kVarSamp:
    case AggregateFunction::kVarPop:
    case AggregateFunction::kStddevSamp:
    case AggregateFunction::kStddevPop:
    case AggregateFunction::kCountDistinct:
    case AggregateFunction::kApproxCountDistinct:
      return true;
    default:
      return false;
  }
}

}  // namespace

ReadFromNow ColumnsFromNow(const Node& node) {
  if (node.kind != Node::Kind::kOperator || &node.spec.kind() != &WindowSpec::Kind()) return {};
  const auto& spec = node.spec.As<WindowSpec>();
  if (spec.phase == OperatorPhase::kFinal) return {};
  std::set<size_t> values, passed_over;
  for (const AggregateItem& item : spec.aggregates) {
    if (!item.from_now) continue;
    const auto aggregate = Aggregate::Compile(item.expression, spec.rows);
    if (!aggregate.ok()) continue;  // was compiled before
    const std::optional<size_t> column =
        aggregate->argument && !aggregate->filter ? aggregate->argument->AsColumn() : std::nullopt;
    if (column && PassesNullOver(aggregate->function)) {
      passed_over.insert(*column);
      continue;
    }
    for (const size_t c : aggregate->columns()) values.insert(c);
  }
  return {{values.begin(), values.end()}, {passed_over.begin(), passed_over.end()}};
}

}  // namespace tidemark
