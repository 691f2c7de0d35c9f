#include "operators/window/partial_schema.h"

#include <numeric>
#include <string>

#include <absl/strings/str_cat.h>

#include "operators/window/accumulator.h"
#include "operators/window/arguments.h"
#include "operators/window/panes.h"
#include "src/expr/expression.h"

namespace tidemark {
namespace {

constexpr Type kInt64Type{.kind = Kind::kInt64};
constexpr Type kInt32Type{.kind = Kind::kInt32};

// What a sum over values of this type is accumulated in.
Type SumType(const Type& argument) {
  switch (argument.kind) {
    case Kind::kInt32:
    case Kind::kInt64:
      return {.kind = Kind::kDecimal, .precision = 38, .scale = 0};
    case Kind::kDecimal:
      return {.kind = Kind::kDecimal, .precision = 38, .scale = argument.scale};
    default:
      return {.kind = Kind::kDouble};
  }
}

void AddAggregate(const Aggregate& aggregate, size_t number, bool changes, bool from_now, Schema* schema) {
  const auto add = [&](const char* part, Type type, bool nullable) {
    schema->Add({absl::StrCat("__partial_", number, "_", part), type, nullable || from_now});
  };
  const bool count =
      aggregate.function == AggregateFunction::kCountStar || aggregate.function == AggregateFunction::kCount;
  if ((changes && !count) || IsSpread(aggregate.function) || IsOfAllValues(aggregate.function))
    return add("change", {.kind = Kind::kBytes}, false);
  const Type argument = aggregate.argument ? ArgumentType(aggregate) : kInt64Type;
  switch (aggregate.function) {
    case AggregateFunction::kCountStar:
    case AggregateFunction::kCount:
      add("count", kInt64Type, false);
      break;
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      add("sum", SumType(argument), true);
      // What rounding has taken from the sum so far.
      if (SumType(argument).kind == Kind::kDouble) add("lost", SumType(argument), true);
      if (aggregate.function == AggregateFunction::kAvg) add("count", kInt64Type, false);
      break;
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kMinBy:
    case AggregateFunction::kMaxBy:
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
      add("value", argument, true);
      break;
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      add("value", argument, true);
      add("time", kInt64Type, true);
      add("source", kInt32Type, true);
      add("partition", kInt32Type, true);
      add("offset", kInt64Type, true);
      break;
    default:
      break;  // as changes
  }
}

}  // namespace

PartialLayout MakePartialLayout(const WindowSpec& spec, const std::vector<Aggregate>& aggregates) {
  PartialLayout layout;
  for (const size_t column : spec.group_by) layout.schema.Add(spec.rows[column]);
  if (spec.size_us > 0) {
    const bool panes = panes::Shared(spec);
    layout.window_start = layout.schema.size();
    layout.schema.Add({"__partial_window_start", {.kind = Kind::kTimestamp, .form = TimestampForm::kMicros}, panes});
    if (panes) {
      layout.windows = layout.schema.size();
      layout.schema.Add({"__partial_windows", kInt32Type, true});
    }
  }
  layout.rows = layout.schema.size();
  layout.schema.Add({"__partial_rows", kInt64Type, false});
  if (spec.input_updates) {
    layout.taken = layout.schema.size();
    layout.schema.Add({"__partial_taken", kInt64Type, false});
  }
  for (size_t i = 0; i < aggregates.size(); ++i) {
    layout.aggregates.push_back(layout.schema.size());
    AddAggregate(aggregates[i], i, spec.input_updates, spec.aggregates[i].from_now, &layout.schema);
  }
  return layout;
}

PartialLayout MakePartialLayout(const WindowSpec& spec) {
  std::vector<Aggregate> aggregates;
  for (const AggregateItem& item : spec.aggregates) {
    aggregates.push_back(Aggregate::Compile(item.expression, spec.rows).value());
  }
  return MakePartialLayout(spec, aggregates);
}

RowCodec GroupCodec(const WindowSpec& spec, const PartialLayout& layout) {
  if (spec.phase == WindowSpec::Phase::kSingle) return RowCodec::Key(spec.rows, spec.group_by);
  std::vector<size_t> columns(spec.group_by.size());
  std::iota(columns.begin(), columns.end(), 0);
  return RowCodec::Key(layout.schema, columns);
}

Schema PartialSchema(const WindowSpec& spec) { return MakePartialLayout(spec).schema; }

}  // namespace tidemark
