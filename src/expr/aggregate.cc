#include <algorithm>
#include <iterator>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/expr/bind.h"
#include "src/expr/decimal.h"
#include "src/expr/expression.h"
#include "src/expr/parse.h"

namespace tidemark {
namespace {

using internal::ErrorAt;
using internal::Node;

struct Name {
  std::string_view name;
  AggregateFunction function;
};
constexpr Name kNames[] = {{"count", AggregateFunction::kCount},
                           {"sum", AggregateFunction::kSum},
                           {"min", AggregateFunction::kMin},
                           {"max", AggregateFunction::kMax},
                           {"avg", AggregateFunction::kAvg},
                           {"first", AggregateFunction::kFirst},
                           {"last", AggregateFunction::kLast},
                           {"bool_and", AggregateFunction::kBoolAnd},
                           {"bool_or", AggregateFunction::kBoolOr},
                           {"variance", AggregateFunction::kVarSamp},
                           {"var_samp", AggregateFunction::kVarSamp},
                           {"var_pop", AggregateFunction::kVarPop},
                           {"stddev", AggregateFunction::kStddevSamp},
                           {"stddev_samp", AggregateFunction::kStddevSamp},
                           {"stddev_pop", AggregateFunction::kStddevPop},
                           {"mode", AggregateFunction::kMode},
                           {"string_agg", AggregateFunction::kStringAgg}};

bool ContainsAggregate(const Node& node) {
  if (node.kind == Node::Kind::kCall && internal::IsAggregateName(node.text)) return true;
  for (const Node& arg : node.args) {
    if (ContainsAggregate(arg)) return true;
  }
  return false;
}

// The whole of the text must be one call; says what to do where it isn't.
absl::Status CheckCall(const Node& node) {
  if (node.kind != Node::Kind::kCall || !internal::IsAggregateName(node.text)) {
    if (ContainsAggregate(node)) {
      return ErrorAt(node.position,
                     "an aggregate stands alone; compute with its result in a project step that follows");
    }
    if (node.kind == Node::Kind::kColumn && internal::IsAggregateName(node.text)) {
      return ErrorAt(node.position, absl::StrCat("expected an aggregate; write ", node.text,
                                                 node.text == "count" ? "(*)" : "(column)"));
    }
    std::vector<std::string> names;
    for (const Name& entry : kNames) names.emplace_back(entry.name);
    const std::string meant = DidYouMean(node.text, names);
    return ErrorAt(node.position, absl::StrCat("expected an aggregate", meant.empty() ? ", one of " : meant,
                                               meant.empty() ? absl::StrJoin(names, ", ") : ""));
  }
  const bool distinct_count = node.refused == "DISTINCT" && node.text == "count";
  if (node.refused == "DISTINCT" && !distinct_count) {
    return ErrorAt(node.position, "DISTINCT is supported in count alone; put a dedup step in front");
  }
  if (node.refused == "ORDER BY") {
    return ErrorAt(node.position,
                   "ORDER BY in an aggregate isn't supported; first, last and string_agg follow the rows' order");
  }
  if (!node.refused.empty() && !distinct_count) {
    return ErrorAt(node.position, absl::StrCat(node.refused, " isn't supported in an aggregate"));
  }
  if (node.text == "string_agg") {
    if (node.args.size() != 2 || node.args[1].kind != Node::Kind::kString) {
      return ErrorAt(node.position, "string_agg takes a text and what stands between: string_agg(name, ', ')");
    }
  } else if (node.args.size() != (node.star ? 0u : 1u)) {
    return ErrorAt(node.position, absl::StrCat(node.text, " takes one argument"));
  }
  for (const Node& arg : node.args) {
    if (ContainsAggregate(arg)) return ErrorAt(arg.position, "an aggregate of an aggregate needs a step of its own");
  }
  for (const Node& filter : node.filter) {
    if (ContainsAggregate(filter))
      return ErrorAt(filter.position, "FILTER looks at the rows, not at aggregates of them");
  }
  return absl::OkStatus();
}

// The type of the result over arguments of that type.
absl::StatusOr<Type> ResultType(AggregateFunction function, const Node& node, const Type& argument) {
  bool number = argument.kind == Kind::kInt32 || argument.kind == Kind::kInt64 || argument.kind == Kind::kDouble ||
                argument.kind == Kind::kDecimal;
  switch (function) {
    case AggregateFunction::kCountStar:
    case AggregateFunction::kCount:
      return Type{Kind::kInt64};
    case AggregateFunction::kCountDistinct:
    case AggregateFunction::kMode:
      if (argument.kind == Kind::kJson) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " doesn't compare json; cast it to string"));
      }
      return function == AggregateFunction::kMode ? argument : Type{Kind::kInt64};
    case AggregateFunction::kStringAgg:
      if (argument.kind != Kind::kString) {
        return ErrorAt(node.args[0].position, absl::StrCat("string_agg takes a string, not ", TypeName(argument)));
      }
      return argument;
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg: {
      if (!number) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " takes a number, not ", TypeName(argument)));
      }
      if (argument.kind == Kind::kDecimal) {
        return Type{Kind::kDecimal, {}, internal::kMaxDigits, argument.scale};
      }
      bool fraction = argument.kind == Kind::kDouble || function == AggregateFunction::kAvg;
      return Type{fraction ? Kind::kDouble : Kind::kInt64};
    }
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
      if (argument.kind == Kind::kBool || argument.kind == Kind::kBytes || argument.kind == Kind::kJson) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " doesn't take ", TypeName(argument)));
      }
      return argument;
    case AggregateFunction::kBoolAnd:
    case AggregateFunction::kBoolOr:
      if (argument.kind != Kind::kBool) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " takes a bool, not ", TypeName(argument)));
      }
      return argument;
    case AggregateFunction::kVarSamp:
    case AggregateFunction::kVarPop:
    case AggregateFunction::kStddevSamp:
    case AggregateFunction::kStddevPop:
      if (argument.kind == Kind::kDecimal) {
        return ErrorAt(node.args[0].position,
                       absl::StrCat(node.text, " of a decimal isn't implemented; cast it to double"));
      }
      if (!number) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " takes a number, not ", TypeName(argument)));
      }
      return Type{Kind::kDouble};
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return argument;
  }
  return argument;
}

}  // namespace

namespace internal {

bool IsAggregateName(std::string_view name) {
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const Name& entry) { return entry.name == name; });
}

}  // namespace internal

std::vector<size_t> Aggregate::columns() const {
  std::set<size_t> columns;
  for (const auto* part : {&argument, &filter}) {
    if (*part) columns.insert((*part)->columns().begin(), (*part)->columns().end());
  }
  return {columns.begin(), columns.end()};
}

bool Aggregate::fallible() const { return (argument && argument->fallible()) || (filter && filter->fallible()); }

absl::StatusOr<Aggregate> Aggregate::Compile(std::string_view sql, const Schema& input) {
  TM_ASSIGN_OR_RETURN(Node node, internal::Parse(sql));
  TM_RETURN_IF_ERROR(CheckCall(node));
  Aggregate aggregate;
  for (const Name& entry : kNames) {
    if (entry.name == node.text) aggregate.function = entry.function;
  }
  if (node.refused == "DISTINCT") aggregate.function = AggregateFunction::kCountDistinct;
  for (const Node& filter : node.filter) {
    TM_ASSIGN_OR_RETURN(aggregate.filter, Expression::FromNode(filter, input));
    if (aggregate.filter->type().kind != Kind::kBool) {
      return ErrorAt(filter.position,
                     absl::StrCat("FILTER takes a condition (bool), this is ", TypeName(aggregate.filter->type())));
    }
  }
  if (node.star) {
    if (aggregate.function != AggregateFunction::kCount) {
      return ErrorAt(node.position, absl::StrCat(node.text, "(*) doesn't exist; only count(*) does"));
    }
    aggregate.function = AggregateFunction::kCountStar;
    aggregate.type = Type{Kind::kInt64};
    return aggregate;
  }
  TM_ASSIGN_OR_RETURN(aggregate.argument, Expression::FromNode(node.args[0], input));
  TM_ASSIGN_OR_RETURN(aggregate.type, ResultType(aggregate.function, node, aggregate.argument->type()));
  if (aggregate.function == AggregateFunction::kStringAgg) aggregate.separator = node.args[1].text;
  aggregate.nullable = node.text != "count";
  return aggregate;
}

}  // namespace tidemark
