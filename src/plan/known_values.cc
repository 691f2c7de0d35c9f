#include "src/plan/known_values.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "src/plan/logical.h"
#include "src/plan/topic_patterns.h"

namespace tidemark {

std::optional<std::string> ConstantOf(const Expression& expression) {
  const Kind kind = expression.type().kind;
  if (!expression.columns().empty() || expression.fallible()) return std::nullopt;
  if (kind == Kind::kDouble || kind == Kind::kBytes || kind == Kind::kJson) return std::nullopt;
  const auto row = arrow::RecordBatch::Make(arrow::schema({}), 1, arrow::ArrayVector());
  std::vector<RowError> errors;
  const auto values = expression.Evaluate(*row, &errors);
  if (!values.ok() || !errors.empty() || (*values)->length() != 1 || (*values)->IsNull(0)) return std::nullopt;
  const auto value = (*values)->GetScalar(0);
  if (!value.ok()) return std::nullopt;
  if (kind != Kind::kString) return (*value)->ToString();
  return static_cast<const arrow::BaseBinaryScalar&>(**value).value->ToString();
}

std::vector<KnownValues> KnownOf(const Plan& plan, const SourcePlan& source) {
  std::vector<KnownValues> known(source.rows().size());
  // The topic of an intake is called as Tidemark likes, that of a pattern is one of many, also where nobody has looked
  // which there are.
  if (source.intake() || PatternOf(plan, source.declared()) != nullptr) return known;
  for (size_t c = 0; c < known.size(); ++c) {
    if (source.columns[c].from == SourceColumn::From::kTopic) known[c] = {{source.topic}};
  }
  return known;
}

void CarryKnown(LogicalStep* step) {
  step->values.resize(step->output.size());
  // A column that two inputs are joined on may hold the value of either.
  if (step->ports.size() != 1) return;
  const LogicalPort& port = step->in();
  for (size_t c = 0; c < step->output.size() && c < step->origin.size(); ++c) {
    if (!step->origin[c]) continue;
    const size_t from = step->origin[c]->column;
    if (!step->values[c] && from < port.values.size()) step->values[c] = port.values[from];
    if (!step->time_column && port.time_column == from) step->time_column = c;
  }
}

}  // namespace tidemark
