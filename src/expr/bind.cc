#include "src/expr/bind.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/expr/binder.h"
#include "src/expr/catalogue.h"
#include "src/expr/coerce.h"
#include "src/expr/decimal.h"

namespace tidemark::internal {
namespace {

absl::StatusOr<BoundPtr> Number(const Node& node) {
  const char* end = node.text.data() + node.text.size();
  int64_t value = 0;
  auto [stop, code] = std::from_chars(node.text.data(), end, value);
  if (node.kind == Node::Kind::kInteger && stop == end && code == std::errc()) {
    if (value >= INT32_MIN && value <= INT32_MAX) return Int32Literal(static_cast<int32_t>(value));
    return Int64Literal(value);
  }
  DecimalError error;
  auto parsed = ParseDecimal(node.text, /*scale=*/-1, &error);
  if (!parsed) return ErrorAt(node.position, "a number of more than 38 digits");
  return DecimalLiteral(parsed->value, parsed->precision, parsed->scale);
}

// The field of extract and the unit of date_trunc: "Hours" is "hour".
std::string UnitName(std::string_view text) {
  std::string name = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  static constexpr std::pair<std::string_view, std::string_view> kOthers[] = {{"centuries", "century"},
                                                                              {"millennia", "millennium"},
                                                                              {"millisecond", "milliseconds"},
                                                                              {"microsecond", "microseconds"}};
  for (const auto& [other, unit] : kOthers) {
    if (name == other) return std::string(unit);
  }
  static constexpr std::string_view kPlurals[] = {"seconds", "minutes",  "hours", "days",   "weeks",
                                                  "months",  "quarters", "years", "decades"};
  if (std::find(std::begin(kPlurals), std::end(kPlurals), name) != std::end(kPlurals)) name.pop_back();
  return name;
}

absl::Status TakesArguments(const Node& node, size_t least, size_t most) {
  if (node.args.size() >= least && node.args.size() <= most) return absl::OkStatus();
  std::string count = least == most ? absl::StrCat(least) : absl::StrCat(least, " or ", most);
  return ErrorAt(node.position, absl::StrCat(node.text, " takes ", count, most == 1 ? " argument" : " arguments"));
}

}  // namespace

absl::StatusOr<BoundPtr> Bind(const Node& node, const Schema& input) { return Binder(input).Bind(node); }

absl::StatusOr<BoundPtr> Binder::Bind(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return MakeNull(Type{Kind::kString}, /*untyped=*/true);
    case Node::Kind::kBool:
      return BoolLiteral(node.text == "true");
    case Node::Kind::kInteger:
    case Node::Kind::kDecimal:
      return Number(node);
    case Node::Kind::kString:
      return TextLiteral(node.text, /*untyped=*/true);
    case Node::Kind::kColumn:
      return Column(node);
    case Node::Kind::kCast: {
      if (node.type.name == "interval") {
        return ErrorAt(node.position, "an interval can only be added to or subtracted from a date or timestamp");
      }
      TM_ASSIGN_OR_RETURN(BoundPtr operand, Bind(node.args[0]));
      // A bad literal is at fault itself, anything else the cast.
      int position = operand->untyped() ? node.args[0].position : node.position;
      return Cast(operand, node.type, position, /*quiet=*/false);
    }
    case Node::Kind::kCase:
      return Case(node);
    case Node::Kind::kCall:
      return Call(node);
  }
  return absl::InternalError("unknown syntax node");
}

absl::StatusOr<Binder::Args> Binder::BindAll(const std::vector<Node>& nodes) {
  Args args;
  for (const Node& node : nodes) {
    TM_ASSIGN_OR_RETURN(BoundPtr arg, Bind(node));
    args.push_back(std::move(arg));
  }
  return args;
}

absl::StatusOr<BoundPtr> Binder::Column(const Node& node) {
  auto found = input_.Find(node.text);
  if (!found && !node.quoted) {
    found = input_.Find(absl::AsciiStrToLower(node.text));
  }
  if (!found) {
    const char* const text = node.quoted && !Nearest(node.text, input_.Names()) ? "; text stands in single quotes" : "";
    return ErrorAt(node.position,
                   absl::StrCat("unknown column '", node.text, "'", DidYouMean(node.text, input_.Names()), text));
  }
  return MakeColumn(*found, input_[*found]);
}

absl::StatusOr<BoundPtr> Binder::Condition(const Node& node, std::string_view what) {
  TM_ASSIGN_OR_RETURN(BoundPtr test, Bind(node));
  if (test->untyped()) return CoerceToKind(test, Kind::kBool, node.position);
  if (test->type().kind == Kind::kBool) return test;
  return ErrorAt(node.position,
                 absl::StrCat(std::string(what), " takes a condition (bool), not ", TypeName(test->type())));
}

absl::StatusOr<BoundPtr> Binder::Case(const Node& node) {
  Args args, results;
  for (size_t i = 0; i < node.args.size(); ++i) {
    bool condition = i % 2 == 0 && i + 1 < node.args.size();
    TM_ASSIGN_OR_RETURN(BoundPtr arg, condition ? Condition(node.args[i], "CASE WHEN") : Bind(node.args[i]));
    if (!condition) results.push_back(arg);
    args.push_back(std::move(arg));
  }
  TM_ASSIGN_OR_RETURN(Type type, CommonType("CASE", node.position, results));
  for (size_t i = 0; i < args.size(); ++i) {
    if (i % 2 == 0 && i + 1 < args.size()) continue;
    TM_ASSIGN_OR_RETURN(args[i], Coerce(args[i], type, node.args[i].position));
  }
  return MakeCase(type, std::move(args));
}

absl::StatusOr<BoundPtr> Binder::Call(const Node& node) {
  if (!node.refused.empty()) {
    return ErrorAt(node.position, absl::StrCat(node.refused, " isn't supported in a call of ", node.text));
  }
  TM_ASSIGN_OR_RETURN(BoundPtr result, Json(node));
  if (result != nullptr) return result;
  TM_ASSIGN_OR_RETURN(result, Operator(node));
  if (result != nullptr) return result;
  if (node.text == "and" || node.text == "or") {
    Args args;
    for (const Node& arg : node.args) {
      TM_ASSIGN_OR_RETURN(BoundPtr test, Condition(arg, node.text == "and" ? "AND" : "OR"));
      args.push_back(std::move(test));
    }
    return node.text == "and" ? MakeAnd(std::move(args)) : MakeOr(std::move(args));
  }
  if (Kernel truth = TruthKernel(node.text)) {
    bool of_any = node.text == "is null" || node.text == "is not null";
    TM_ASSIGN_OR_RETURN(BoundPtr arg,
                        of_any ? Bind(node.args[0]) : Condition(node.args[0], absl::AsciiStrToUpper(node.text)));
    bool nullable = node.text == "not" && arg->nullable();
    return internal::Call(truth, Type{Kind::kBool}, nullable, /*fallible=*/false, {std::move(arg)});
  }
  return Function(node);
}

absl::StatusOr<BoundPtr> Binder::Function(const Node& node) {
  const std::string& name = node.text;
  if (name == "in") return In(node);
  if (name == "like" || name == "ilike") return Like(node);
  if (name == "nullif") return NullIf(node);
  if (name == "concat" || name == "concat_ws") return Concat(node);
  if (name == "extract" || name == "date_part") return Extract(node);
  if (name == "date_trunc") return DateTrunc(node);
  if (name == "try_cast") return TryCast(node);
  if (name == "timezone") return AtTimeZone(node);
  if (name == "date_bin") return DateBin(node);
  if (name == "regexp_match") {
    return ErrorAt(node.position,
                   "regexp_match makes an array; take one of it, as in (regexp_match(text, pattern))[1]");
  }
  if (name == "coalesce" || name == "greatest" || name == "least") {
    TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
    TM_ASSIGN_OR_RETURN(Type type, CommonType(name, node.position, args));
    if (name != "coalesce" && type.kind == Kind::kJson) return ErrorAt(node.position, kJsonIsNotCompared);
    bool nullable = true;
    for (size_t i = 0; i < args.size(); ++i) {
      TM_ASSIGN_OR_RETURN(args[i], Coerce(args[i], type, node.args[i].position));
      nullable = nullable && args[i]->nullable();
    }
    if (name == "coalesce") return MakeCoalesce(type, std::move(args));
    return internal::Call(ExtremeKernel(name == "greatest"), type, nullable, /*fallible=*/false, std::move(args));
  }
  if (name == "date" && node.args.size() == 1) {
    TM_ASSIGN_OR_RETURN(BoundPtr arg, Bind(node.args[0]));
    return Cast(arg, TypeRef{"date", {}}, node.args[0].position, /*quiet=*/false);
  }
  if (IsAggregateName(name)) {
    return ErrorAt(node.position, absl::StrCat(name, " is an aggregate: it stands alone in the aggregates of a step"));
  }
  if (IsOfTheMoment(name)) {
    return ErrorAt(node.position, absl::StrCat(name, "()", kInputAlone));
  }
  if (!IsFunction(name)) {
    const std::string instead = InsteadOf(name);
    const std::string hint = instead.empty() ? DidYouMean(name, FunctionNames()) : "; write " + instead;
    return ErrorAt(node.position, absl::StrCat("unknown function '", name, "'", hint));
  }
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  return CallByName(name, std::move(args), node.position);
}

// try_cast(x, 'decimal(10,2)'), try_cast(x, int64): PostgreSQL's grammar has no TRY_CAST(x AS type).
absl::StatusOr<BoundPtr> Binder::TryCast(const Node& node) {
  TM_RETURN_IF_ERROR(TakesArguments(node, 2, 2));
  TM_ASSIGN_OR_RETURN(BoundPtr operand, Bind(node.args[0]));
  const Node& type = node.args[1];
  TypeRef ref;
  if (type.kind == Node::Kind::kColumn) {
    ref.name = absl::AsciiStrToLower(type.text);
  } else if (type.kind == Node::Kind::kString) {
    auto parsed = Parse(absl::StrCat("NULL::", type.text));
    if (!parsed.ok() || parsed->kind != Node::Kind::kCast) {
      return ErrorAt(type.position, absl::StrCat("'", type.text, "' isn't a type"));
    }
    ref = parsed->type;
  } else {
    return ErrorAt(type.position, "the second argument of try_cast is the name of a type, as in 'int64'");
  }
  return Cast(operand, ref, type.position, /*quiet=*/true);
}

absl::StatusOr<BoundPtr> Binder::Concat(const Node& node) {
  const bool with_separator = node.text == "concat_ws";
  if (node.args.size() < (with_separator ? 2 : 1)) {
    return ErrorAt(node.position,
                   absl::StrCat(node.text, " takes at least ", with_separator ? "two arguments" : "one argument"));
  }
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i]->type().kind == Kind::kBool) {
      args[i] = StrictCall(BoolLetterKernel(), Type{Kind::kString}, /*fallible=*/false, {args[i]});
    } else {
      TM_ASSIGN_OR_RETURN(args[i], Coerce(args[i], Type{Kind::kString}, node.args[i].position));
    }
  }
  const bool nullable = with_separator && args[0]->nullable();
  return internal::Call(with_separator ? ConcatWithKernel() : ConcatKernel(), Type{Kind::kString}, nullable,
                        /*fallible=*/false, std::move(args));
}

absl::StatusOr<BoundPtr> Binder::Extract(const Node& node) {
  TM_RETURN_IF_ERROR(TakesArguments(node, 2, 2));
  if (node.args[0].kind != Node::Kind::kString) {
    return ErrorAt(node.args[0].position, absl::StrCat("the field of ", node.text, " is a constant, as in 'hour'"));
  }
  TM_ASSIGN_OR_RETURN(BoundPtr from, Bind(node.args[1]));
  if (from->untyped()) {
    TM_ASSIGN_OR_RETURN(from, CoerceToKind(from, Kind::kTimestamp, node.args[1].position));
  }
  Kind kind = from->type().kind;
  if (IsTimeDifference(node.args[1]) && UnitName(node.args[0].text) == "epoch") {
    return node.text == "extract" ? from : CoerceToKind(from, Kind::kDouble, node.position);
  }
  if (kind != Kind::kTimestamp && kind != Kind::kDate) {
    return ErrorAt(node.args[1].position,
                   absl::StrCat(node.text, " takes a date or timestamp, not ", TypeName(from->type())));
  }
  std::string field = UnitName(node.args[0].text);
  auto type = ExtractType(field, kind);
  if (!type) {
    return ErrorAt(node.args[0].position, absl::StrCat("'", field, "' can't be extracted from a ",
                                                       kind == Kind::kDate ? "date" : "timestamp"));
  }
  BoundPtr call = StrictCall(ExtractKernel(kind), *type, /*fallible=*/false,
                             {TextLiteral(field, /*untyped=*/false), std::move(from)});
  return node.text == "extract" ? call : CoerceToKind(call, Kind::kDouble, node.position);
}

absl::StatusOr<BoundPtr> Binder::DateTrunc(const Node& node) {
  TM_RETURN_IF_ERROR(TakesArguments(node, 2, 3));
  std::string unit = UnitName(node.args[0].text);
  if (node.args[0].kind != Node::Kind::kString || !FindTruncUnit(unit)) {
    return ErrorAt(node.args[0].position,
                   absl::StrCat("'", unit, "' isn't a unit of date_trunc (microseconds to millennium)"));
  }
  TM_ASSIGN_OR_RETURN(BoundPtr time, Bind(node.args[1]));
  if (!time->untyped() && time->type().kind != Kind::kTimestamp && time->type().kind != Kind::kDate) {
    return ErrorAt(node.args[1].position,
                   absl::StrCat("date_trunc takes a date or timestamp, not ", TypeName(time->type())));
  }
  TM_ASSIGN_OR_RETURN(time, CoerceToKind(time, Kind::kTimestamp, node.args[1].position));
  Type type = time->type();
  if (node.args.size() == 3) {
    if (IsLocal(type)) return ErrorAt(node.args[1].position, "date_trunc with a time zone takes a point in time");
    PreparedPtr prepared;
    TM_ASSIGN_OR_RETURN(BoundPtr zone, TimeZoneOf(node.args[2], &prepared));
    return StrictCall(DateTruncZoneKernel(), type, /*fallible=*/true,
                      {std::move(zone), TextLiteral(unit, /*untyped=*/false), std::move(time)}, std::move(prepared));
  }
  return StrictCall(DateTruncKernel(), type, /*fallible=*/true,
                    {TextLiteral(unit, /*untyped=*/false), std::move(time)});
}

// date_bin(interval '15 minutes', time, origin).
absl::StatusOr<BoundPtr> Binder::DateBin(const Node& node) {
  TM_RETURN_IF_ERROR(TakesArguments(node, 3, 3));
  Node stride = node.args[0];
  if (stride.kind == Node::Kind::kString) {  // '15 minutes' alone is an interval here
    Node cast;
    cast.kind = Node::Kind::kCast;
    cast.position = stride.position;
    cast.type.name = "interval";
    cast.args.push_back(std::move(stride));
    stride = std::move(cast);
  }
  TM_ASSIGN_OR_RETURN(auto term, AsInterval(stride));
  if (!term || term->factor != nullptr) {
    return ErrorAt(node.args[0].position, "date_bin takes a constant interval, as in interval '15 minutes'");
  }
  if (term->interval.months != 0) {
    return ErrorAt(node.args[0].position, "timestamps cannot be binned into intervals containing months or years");
  }
  if (term->interval.us <= 0) return ErrorAt(node.args[0].position, "stride must be greater than zero");
  Args times;
  for (size_t i : {1u, 2u}) {
    TM_ASSIGN_OR_RETURN(BoundPtr time, Bind(node.args[i]));
    Kind kind = time->type().kind;
    if (!time->untyped() && kind != Kind::kTimestamp && kind != Kind::kDate) {
      return ErrorAt(node.args[i].position,
                     absl::StrCat("date_bin takes a date or timestamp, not ", TypeName(time->type())));
    }
    TM_ASSIGN_OR_RETURN(time, CoerceToKind(time, Kind::kTimestamp, node.args[i].position));
    times.push_back(std::move(time));
  }
  Type type = times[0]->type();
  return StrictCall(DateBinKernel(), type, /*fallible=*/true,
                    {Int64Literal(term->interval.us), std::move(times[0]), std::move(times[1])});
}

absl::StatusOr<BoundPtr> Binder::TimeZoneOf(const Node& node, PreparedPtr* prepared) {
  TM_ASSIGN_OR_RETURN(auto interval, AsInterval(node));
  if (interval) return ErrorAt(node.position, "an interval as a time zone isn't supported; name a zone");
  TM_ASSIGN_OR_RETURN(BoundPtr zone, Bind(node));
  if (zone->type().kind != Kind::kString) {
    return ErrorAt(node.position, absl::StrCat("a time zone is a string, not ", TypeName(zone->type())));
  }
  if (auto name = ConstantText(*zone)) {
    auto found = PrepareZone(*name);
    if (!found.ok()) return ErrorAt(node.position, std::string(found.status().message()));
    *prepared = *std::move(found);
  }
  return CoerceToKind(zone, Kind::kString, node.position);
}

// A point in time becomes what a clock there shows; what a clock there shows, a cast to timestamp or the result of
// another AT TIME ZONE, becomes the point in time.
absl::StatusOr<BoundPtr> Binder::AtTimeZone(const Node& node) {
  TM_RETURN_IF_ERROR(TakesArguments(node, 2, 2));
  PreparedPtr prepared;
  TM_ASSIGN_OR_RETURN(BoundPtr zone, TimeZoneOf(node.args[0], &prepared));
  TM_ASSIGN_OR_RETURN(BoundPtr time, Bind(node.args[1]));
  Kind kind = time->type().kind;
  if (!time->untyped() && kind != Kind::kTimestamp && kind != Kind::kDate) {
    return ErrorAt(node.args[1].position,
                   absl::StrCat("AT TIME ZONE takes a date or timestamp, not ", TypeName(time->type())));
  }
  TM_ASSIGN_OR_RETURN(time, CoerceToKind(time, Kind::kTimestamp, node.args[1].position));
  const bool to_local = !IsLocal(time->type());
  const Type type{Kind::kTimestamp, to_local ? kLocalForm : TimestampForm::kRfc3339};
  return StrictCall(AtZoneKernel(to_local), type, /*fallible=*/true, {std::move(zone), std::move(time)},
                    std::move(prepared));
}

absl::StatusOr<BoundPtr> Binder::NullIf(const Node& node) {
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  Node equal = node;
  equal.text.assign(1, '=');
  TM_ASSIGN_OR_RETURN(BoundPtr test, Compare(equal, args[0], args[1]));
  // The type that the first argument is compared in, which for integers and for times is its own.
  Type type = args[0]->type();
  auto number = CommonNumber(type, args[1]->type());
  bool typed = !args[0]->untyped() && !args[1]->untyped();
  if (typed && number == Kind::kDouble) type = Type{Kind::kDouble};
  if (typed && number == Kind::kDecimal) type = AsDecimal(type);
  TM_ASSIGN_OR_RETURN(BoundPtr value, Coerce(args[0], type, node.position));
  return MakeCase(type, {std::move(test), MakeNull(type, /*untyped=*/false), std::move(value)});
}

absl::StatusOr<BoundPtr> Binder::In(const Node& node) {
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  TM_ASSIGN_OR_RETURN(Type type, CommonType("IN", node.position, args));
  if (type.kind == Kind::kJson) return ErrorAt(node.position, kJsonIsNotCompared);
  for (size_t i = 0; i < args.size(); ++i) {
    TM_ASSIGN_OR_RETURN(args[i], Coerce(args[i], type, node.args[i].position));
  }
  BoundPtr subject = std::move(args.front());
  args.erase(args.begin());
  return MakeIn(std::move(subject), std::move(args));
}

absl::StatusOr<BoundPtr> Binder::Like(const Node& node) {
  const Node& pattern = node.args[1];
  std::vector<Node> parts = {node.args[0], pattern};
  if (pattern.kind == Node::Kind::kCall && pattern.text == "like_escape") {
    parts = {node.args[0], pattern.args[0], pattern.args[1]};
  }
  TM_ASSIGN_OR_RETURN(Args args, BindAll(parts));
  for (size_t i = 0; i < args.size(); ++i) {
    if (!args[i]->untyped() && args[i]->type().kind != Kind::kString) {
      return ErrorAt(parts[i].position, absl::StrCat("LIKE takes strings, not ", TypeName(args[i]->type())));
    }
    TM_ASSIGN_OR_RETURN(args[i], CoerceToKind(args[i], Kind::kString, parts[i].position));
    if (node.text == "ilike") {
      TM_ASSIGN_OR_RETURN(args[i], CallByName("lower", {args[i]}, parts[i].position));
    }
  }
  Kernel kernel = LikeKernel(/*with_escape=*/args.size() == 3);
  // A pattern may end with its escape character; a constant without one can't.
  bool plain = args.size() == 2 && pattern.kind == Node::Kind::kString && pattern.text.find('\\') == std::string::npos;
  return StrictCall(kernel, Type{Kind::kBool}, /*fallible=*/!plain, std::move(args));
}

}  // namespace tidemark::internal
