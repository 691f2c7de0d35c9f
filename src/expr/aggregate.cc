#include <algorithm>
#include <iterator>
#include <set>

#include <absl/strings/numbers.h>
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
                           {"string_agg", AggregateFunction::kStringAgg},
                           {"array_agg", AggregateFunction::kArrayAgg},
                           {"min_by", AggregateFunction::kMinBy},
                           {"max_by", AggregateFunction::kMaxBy},
                           {"approx_count_distinct", AggregateFunction::kApproxCountDistinct},
                           {"approx_percentile", AggregateFunction::kApproxPercentile},
                           {"lag", AggregateFunction::kLag}};

constexpr int64_t kMostValues = 1'000'000;  // of a LIMIT
constexpr int64_t kMostRowsBack = 10'000;   // of lag

bool ContainsAggregate(const Node& node) {
  if (node.kind == Node::Kind::kCall && internal::IsAggregateName(node.text)) return true;
  for (const Node& arg : node.args) {
    if (ContainsAggregate(arg)) return true;
  }
  return false;
}

// How many arguments there are, and that those which aren't of the rows are literals.
absl::Status CheckArguments(const Node& node) {
  const auto is_integer = [&](size_t a) { return node.args.size() > a && node.args[a].kind == Node::Kind::kInteger; };
  const size_t count = node.args.size();
  if (node.text == "string_agg") {
    if (count < 2 || count > 3 || node.args[1].kind != Node::Kind::kString || (count == 3 && !is_integer(2))) {
      return ErrorAt(node.position,
                     "string_agg takes a text and what stands between, and may take how many at most: string_agg(name, "
                     "', '), string_agg(name, ', ', 10 order by place)");
    }
  } else if (node.text == "array_agg") {
    if (count < 1 || count > 2 || (count == 2 && !is_integer(1))) {
      return ErrorAt(
          node.position,
          "array_agg takes a value, and may take how many at most: array_agg(name), array_agg(name, 10 order "
          "by place desc)");
    }
  } else if (node.text == "lag") {
    if (count < 1 || count > 2 || (count == 2 && !is_integer(1))) {
      return ErrorAt(node.position, "lag takes a value, and may take how many rows before: lag(price), lag(price, 2)");
    }
  } else if (node.text == "min_by" || node.text == "max_by") {
    if (count != 2) {
      return ErrorAt(node.position,
                     absl::StrCat(node.text, " takes a value and what to order by: ", node.text, "(name, place)"));
    }
  } else if (node.text == "approx_percentile") {
    const bool number = count == 2 && (is_integer(1) || node.args[1].kind == Node::Kind::kDecimal);
    if (!number) {
      return ErrorAt(node.position,
                     "approx_percentile takes a number and a share from 0 to 1: approx_percentile(ms, 0.95)");
    }
  } else if (count != (node.star ? 0u : 1u)) {
    return ErrorAt(node.position, absl::StrCat(node.text, " takes one argument"));
  }
  return absl::OkStatus();
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
  const bool of_many = node.text == "string_agg" || node.text == "array_agg";
  const bool ordered = node.refused == "ORDER BY" && of_many;
  if (node.refused == "ORDER BY" && !ordered) {
    return ErrorAt(
        node.position,
        "ORDER BY is supported in array_agg and string_agg; first and last follow the rows' order, min_by and "
        "max_by take what to order by");
  }
  if (!node.refused.empty() && !distinct_count && !ordered) {
    return ErrorAt(node.position, absl::StrCat(node.refused, " isn't supported in an aggregate"));
  }
  TM_RETURN_IF_ERROR(CheckArguments(node));
  for (const Node& by : node.order) {
    if (ContainsAggregate(by)) return ErrorAt(by.position, "ORDER BY looks at the rows, not at aggregates of them");
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
    case AggregateFunction::kArrayAgg:
      return Type{Kind::kJson};
    case AggregateFunction::kApproxCountDistinct:
      if (argument.kind == Kind::kJson) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " doesn't compare json; cast it to string"));
      }
      return Type{Kind::kInt64};
    case AggregateFunction::kApproxPercentile:
      if (!number) {
        return ErrorAt(node.args[0].position, absl::StrCat(node.text, " takes a number, not ", TypeName(argument)));
      }
      return Type{Kind::kDouble};
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
    case AggregateFunction::kMinBy:
    case AggregateFunction::kMaxBy:
    case AggregateFunction::kLag:
      return argument;
  }
  return argument;
}

// The integer literal at `arg`, from 1 to `most`; `otherwise` where there is none.
absl::StatusOr<int64_t> Count(const Node& node, size_t arg, int64_t most, int64_t otherwise) {
  if (node.args.size() <= arg) return otherwise;
  int64_t count = 0;
  if (!absl::SimpleAtoi(node.args[arg].text, &count) || count < 1 || count > most) {
    return ErrorAt(node.args[arg].position, absl::StrCat("expected 1 to ", most));
  }
  return count;
}

Node AsDouble(Node node) {
  Node cast;
  cast.kind = Node::Kind::kCast;
  cast.position = node.position;
  cast.type.name = "float8";
  cast.args.push_back(std::move(node));
  return cast;
}

}  // namespace

namespace internal {

bool IsAggregateName(std::string_view name) {
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const Name& entry) { return entry.name == name; });
}

}  // namespace internal

std::vector<size_t> Aggregate::columns() const {
  std::set<size_t> columns;
  const auto add = [&](const Expression& part) { columns.insert(part.columns().begin(), part.columns().end()); };
  if (argument) add(*argument);
  if (filter) add(*filter);
  for (const Order& each : order) add(each.by);
  return {columns.begin(), columns.end()};
}

bool Aggregate::fallible() const {
  return (argument && argument->fallible()) || (filter && filter->fallible()) ||
         std::any_of(order.begin(), order.end(), [](const Order& each) { return each.by.fallible(); });
}

bool Aggregate::by_row_order() const {
  const bool of_many = function == AggregateFunction::kStringAgg || function == AggregateFunction::kArrayAgg;
  return function == AggregateFunction::kFirst || function == AggregateFunction::kLast || (of_many && order.empty());
}

absl::Status Aggregate::CompileOrder(const internal::Node& node, const Schema& input) {
  const bool by = function == AggregateFunction::kMinBy || function == AggregateFunction::kMaxBy;
  const auto add = [&](const Node& text, bool descending) -> absl::Status {
    TM_ASSIGN_OR_RETURN(Expression expression, Expression::FromNode(text, input));
    if (expression.type().kind == Kind::kJson) {
      return ErrorAt(text.position, "json has no order; cast it to string, or order by a member of it");
    }
    order.push_back({std::move(expression), descending});
    return absl::OkStatus();
  };
  if (by) return add(node.args[1], function == AggregateFunction::kMaxBy);
  for (size_t i = 0; i < node.order.size(); ++i) TM_RETURN_IF_ERROR(add(node.order[i], node.descending[i]));
  return absl::OkStatus();
}

absl::Status Aggregate::ReadLiterals(const internal::Node& node) {
  switch (function) {
    case AggregateFunction::kStringAgg: {
      separator = node.args[1].text;
      TM_ASSIGN_OR_RETURN(limit, Count(node, 2, kMostValues, 0));
      return absl::OkStatus();
    }
    case AggregateFunction::kArrayAgg: {
      TM_ASSIGN_OR_RETURN(limit, Count(node, 1, kMostValues, 0));
      return absl::OkStatus();
    }
    case AggregateFunction::kLag: {
      TM_ASSIGN_OR_RETURN(limit, Count(node, 1, kMostRowsBack, 1));
      return absl::OkStatus();
    }
    case AggregateFunction::kApproxPercentile:
      if (!absl::SimpleAtod(node.args[1].text, &fraction) || !(fraction >= 0 && fraction <= 1)) {
        return ErrorAt(node.args[1].position, "expected a share from 0 to 1, as 0.95");
      }
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

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
  if (aggregate.function == AggregateFunction::kApproxPercentile) {
    TM_ASSIGN_OR_RETURN(aggregate.argument, Expression::FromNode(AsDouble(node.args[0]), input));
  }
  TM_RETURN_IF_ERROR(aggregate.CompileOrder(node, input));
  TM_RETURN_IF_ERROR(aggregate.ReadLiterals(node));
  aggregate.nullable = node.text != "count" && node.text != "approx_count_distinct";
  return aggregate;
}

}  // namespace tidemark
