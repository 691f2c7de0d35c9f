#include <algorithm>
#include <iterator>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <arrow/array.h>

#include "src/base/status.h"
#include "src/expr/binder.h"
#include "src/expr/catalogue.h"
#include "src/expr/coerce.h"

namespace tidemark::internal {
namespace {

// What SQL writes where other languages write this; "" where it is SQL's.
const char* InSql(std::string_view other) {
  if (other == "==") return "; equal is written =";
  if (other == "&&") return "; and is written AND";
  if (other == "unary !" || other == "unary !!") return "; not is written NOT";
  if (other == "=~" || other == "unary ~") return "; text is matched with ~ or LIKE";
  if (other == "||") return "; or is written OR, and || joins texts";
  return "";
}

absl::Status DoesNotApply(const Node& node, const BoundExpr& left, const BoundExpr& right) {
  const bool joins = node.text == "+" && (left.type().kind == Kind::kString || right.type().kind == Kind::kString);
  return ErrorAt(node.position, absl::StrCat("operator ", absl::AsciiStrToUpper(node.text), " doesn't apply to ",
                                             TypeName(left.type()), " and ", TypeName(right.type()),
                                             joins ? "; || joins texts" : InSql(node.text)));
}

// What a difference of timestamps is: a decimal of seconds, exact to the microsecond.
Type SecondsType() { return Type{.kind = Kind::kDecimal, .precision = 20, .scale = 6}; }

bool IsTime(Kind kind) { return kind == Kind::kDate || kind == Kind::kTimestamp; }

}  // namespace

absl::StatusOr<BoundPtr> Binder::Operator(const Node& node) {
  const std::string& op = node.text;
  static constexpr std::string_view kComparisons[] = {
      "=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"};
  if (std::find(std::begin(kComparisons), std::end(kComparisons), op) != std::end(kComparisons)) {
    TM_ASSIGN_OR_RETURN(BoundPtr of_interval, CompareWithInterval(node));
    if (of_interval != nullptr) return of_interval;
    TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
    return Compare(node, std::move(args[0]), std::move(args[1]));
  }
  if (op == "+" || op == "-" || op == "*" || op == "/" || op == "%") return Arithmetic(node);
  if (op == "||") return Join(node);
  static constexpr std::string_view kNamed[] = {"^", "~", "!~", "~*", "!~*", "?"};
  if (std::find(std::begin(kNamed), std::end(kNamed), op) != std::end(kNamed)) {
    TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
    return CallByName(op, std::move(args), node.position);
  }
  if (op == "unary -" || op == "unary +") return Negate(node);
  // What is left of PostgreSQL's operators: bits, containment.
  bool symbol = !op.empty() && !absl::ascii_isalnum(op[0]) && op[0] != '_' && (op[0] & 0x80) == 0;
  if (symbol || op.starts_with("unary ")) {
    return ErrorAt(node.position, absl::StrCat("operator ", op.starts_with("unary ") ? op.substr(6) : op,
                                               " isn't supported", InSql(op)));
  }
  return BoundPtr();
}

bool Binder::IsTimeDifference(const Node& node) {
  if (node.kind != Node::Kind::kCall || node.text != "-") return false;
  auto left = Bind(node.args[0]), difference = Bind(node);
  return left.ok() && IsTime((*left)->type().kind) && difference.ok() && (*difference)->type() == SecondsType();
}

absl::StatusOr<BoundPtr> Binder::CompareWithInterval(const Node& node) {
  for (size_t side : {0u, 1u}) {
    TM_ASSIGN_OR_RETURN(auto term, AsInterval(node.args[side]));
    if (!term) continue;
    const Node& other = node.args[1 - side];
    if (!IsTimeDifference(other) || term->factor != nullptr) {
      return ErrorAt(node.position, "an interval can only be compared with a difference of timestamps");
    }
    if (term->interval.months != 0) {
      return ErrorAt(node.position, "a difference of timestamps can't be compared with months or years");
    }
    TM_ASSIGN_OR_RETURN(BoundPtr difference, Bind(other));
    BoundPtr seconds = DecimalLiteral(term->interval.us, SecondsType().precision, SecondsType().scale);
    return side == 0 ? Compare(node, std::move(seconds), std::move(difference))
                     : Compare(node, std::move(difference), std::move(seconds));
  }
  return BoundPtr();
}

absl::StatusOr<BoundPtr> Binder::Compare(const Node& node, BoundPtr left, BoundPtr right) {
  Kind kind = Kind::kString;
  if (left->untyped() || right->untyped()) {
    if (!left->untyped()) kind = left->type().kind;
    if (!right->untyped()) kind = right->type().kind;
  } else if (auto number = CommonNumber(left->type(), right->type())) {
    kind = *number;
  } else if (IsTime(left->type().kind) && IsTime(right->type().kind)) {
    kind = left->type().kind == right->type().kind ? left->type().kind : Kind::kTimestamp;
  } else if (left->type().kind == right->type().kind) {
    kind = left->type().kind;
  } else {
    return ErrorAt(node.position,
                   absl::StrCat("operator ", absl::AsciiStrToUpper(node.text), " doesn't compare ",
                                TypeName(left->type()), " with ", TypeName(right->type()), "; cast one of them"));
  }
  if (kind == Kind::kJson) return ErrorAt(node.position, kJsonIsNotCompared);
  TM_ASSIGN_OR_RETURN(left, CoerceToKind(left, kind, node.args[0].position));
  TM_ASSIGN_OR_RETURN(right, CoerceToKind(right, kind, node.args[1].position));
  Kernel kernel = CompareKernel(node.text, kind);
  Type type{Kind::kBool};
  if (node.text.starts_with("is ")) {
    return internal::Call(kernel, type, /*nullable=*/false, /*fallible=*/false, {std::move(left), std::move(right)});
  }
  return StrictCall(kernel, type, /*fallible=*/false, {std::move(left), std::move(right)});
}

absl::StatusOr<BoundPtr> Binder::Arithmetic(const Node& node) {
  char op = node.text[0];
  if (op == '+' || op == '-') {
    TM_ASSIGN_OR_RETURN(auto right_interval, AsInterval(node.args[1]));
    if (right_interval) return AddInterval(node, node.args[0], *right_interval, op == '+' ? 1 : -1);
    if (op == '+') {
      TM_ASSIGN_OR_RETURN(auto left_interval, AsInterval(node.args[0]));
      if (left_interval) return AddInterval(node, node.args[1], *left_interval, 1);
    }
  }
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  BoundPtr left = std::move(args[0]), right = std::move(args[1]);
  if (left->untyped() && right->untyped()) {
    return ErrorAt(node.position, absl::StrCat("operator ", node.text, " needs an operand with a type; cast one"));
  }
  if (IsTime(left->type().kind) || IsTime(right->type().kind)) return DateArithmetic(node, left, right);
  std::optional<Kind> kind;
  if (left->untyped() || right->untyped()) {
    const Type& typed = left->untyped() ? right->type() : left->type();
    if (IsNumeric(typed.kind)) kind = typed.kind;
  } else {
    kind = CommonNumber(left->type(), right->type());
  }
  Kernel kernel = kind ? ArithmeticKernel(op, *kind) : nullptr;
  if (kernel == nullptr) return DoesNotApply(node, *left, *right);
  TM_ASSIGN_OR_RETURN(left, CoerceToKind(left, *kind, node.args[0].position));
  TM_ASSIGN_OR_RETURN(right, CoerceToKind(right, *kind, node.args[1].position));
  Type type{*kind};
  if (kind == Kind::kDecimal) {
    auto result = DecimalResult(op, left->type(), right->type());
    if (!result) {
      return ErrorAt(node.position,
                     absl::StrCat("the product of ", TypeName(left->type()), " and ", TypeName(right->type()),
                                  " has more than 38 places; round one of them"));
    }
    type = *result;
  }
  return StrictCall(kernel, type, /*fallible=*/true, {std::move(left), std::move(right)});
}

absl::StatusOr<BoundPtr> Binder::DateArithmetic(const Node& node, BoundPtr left, BoundPtr right) {
  char op = node.text[0];
  Kind a = left->type().kind, b = right->type().kind;
  bool typed = !left->untyped() && !right->untyped();
  if (typed && op == '-' && IsTime(a) && IsTime(b)) {
    if (a == Kind::kDate && b == Kind::kDate) {
      return StrictCall(DateDifferenceKernel(), Type{Kind::kInt32}, /*fallible=*/true, {left, right});
    }
    Args times;
    for (const BoundPtr& time : {left, right}) {
      TM_ASSIGN_OR_RETURN(BoundPtr timestamp, CoerceToKind(time, Kind::kTimestamp, node.position));
      times.push_back(std::move(timestamp));
    }
    return StrictCall(TimeDifferenceKernel(), SecondsType(), /*fallible=*/false, std::move(times));
  }
  if (op == '+' && a == Kind::kInt32 && b == Kind::kDate) {
    std::swap(left, right);
    std::swap(a, b);
  }
  if (typed && (op == '+' || op == '-') && a == Kind::kDate && b == Kind::kInt32) {
    return StrictCall(DateShiftKernel(op), Type{Kind::kDate}, /*fallible=*/true, {left, right});
  }
  return DoesNotApply(node, *left, *right);
}

absl::StatusOr<BoundPtr> Binder::Negate(const Node& node) {
  TM_ASSIGN_OR_RETURN(BoundPtr arg, Bind(node.args[0]));
  if (arg->untyped()) {
    TM_ASSIGN_OR_RETURN(arg, CoerceToKind(arg, Kind::kDouble, node.args[0].position));
  }
  Kernel kernel = NegateKernel(arg->type().kind);
  if (kernel == nullptr) {
    return ErrorAt(node.position,
                   absl::StrCat("operator ", node.text.substr(6), " doesn't apply to ", TypeName(arg->type())));
  }
  if (node.text == "unary +") return arg;
  Type type = arg->type();
  return StrictCall(kernel, type, /*fallible=*/type.kind == Kind::kInt32 || type.kind == Kind::kInt64,
                    {std::move(arg)});
}

// ||: text with anything, whose text it takes; bytes with bytes.
absl::StatusOr<BoundPtr> Binder::Join(const Node& node) {
  TM_ASSIGN_OR_RETURN(Args args, BindAll(node.args));
  bool bytes = true, text = false;
  for (const BoundPtr& arg : args) {
    bytes = bytes && (arg->untyped() || arg->type().kind == Kind::kBytes);
    text = text || arg->type().kind == Kind::kString;
  }
  bytes = bytes && !(args[0]->untyped() && args[1]->untyped());
  if (!bytes && !text) return DoesNotApply(node, *args[0], *args[1]);
  for (size_t i = 0; i < args.size(); ++i) {
    TM_ASSIGN_OR_RETURN(args[i], CoerceToKind(args[i], bytes ? Kind::kBytes : Kind::kString, node.args[i].position));
  }
  return CallByName("||", std::move(args), node.position);
}

absl::StatusOr<std::optional<Binder::IntervalTerm>> Binder::AsInterval(const Node& node) {
  if (node.kind == Node::Kind::kCast && node.type.name == "interval") {
    if (!node.type.modifiers.empty() || node.args[0].kind != Node::Kind::kString) {
      return ErrorAt(node.position, "an interval is written interval '1 hour'");
    }
    auto interval = ParseInterval(node.args[0].text);
    if (!interval) {
      return ErrorAt(node.args[0].position,
                     absl::StrCat("'", node.args[0].text, "' isn't an interval; write, for example, '1 day 2 hours'"));
    }
    return IntervalTerm{*interval, nullptr};
  }
  if (node.kind != Node::Kind::kCall) return std::nullopt;
  if (node.text == "unary -") {
    TM_ASSIGN_OR_RETURN(auto term, AsInterval(node.args[0]));
    if (term) term->interval = {-term->interval.months, -term->interval.us};
    return term;
  }
  if (node.text != "*") return std::nullopt;
  for (size_t side : {0u, 1u}) {
    TM_ASSIGN_OR_RETURN(auto term, AsInterval(node.args[side]));
    if (!term) continue;
    const Node& other = node.args[1 - side];
    TM_ASSIGN_OR_RETURN(BoundPtr factor, Bind(other));
    if (!IsNumeric(factor->type().kind) || term->factor != nullptr) {
      return ErrorAt(node.position, "an interval can be multiplied by one number");
    }
    if (term->interval.months != 0 && factor->type().kind != Kind::kInt32 && factor->type().kind != Kind::kInt64) {
      return ErrorAt(node.position, "an interval of months or years can be multiplied by an integer only");
    }
    TM_ASSIGN_OR_RETURN(term->factor, CoerceToKind(factor, Kind::kDouble, other.position));
    return term;
  }
  return std::nullopt;
}

absl::StatusOr<BoundPtr> Binder::AddInterval(const Node& node, const Node& time, const IntervalTerm& term, int sign) {
  TM_ASSIGN_OR_RETURN(BoundPtr base, Bind(time));
  if (base->untyped() || !IsTime(base->type().kind)) {
    return ErrorAt(node.position, absl::StrCat("an interval can't be added to ", TypeName(base->type()),
                                               ", only to a date or timestamp"));
  }
  TM_ASSIGN_OR_RETURN(base, CoerceToKind(base, Kind::kTimestamp, time.position));
  Type type = base->type();
  return StrictCall(AddIntervalKernel(), type, /*fallible=*/true,
                    {std::move(base), Int64Literal(sign * term.interval.months), Int64Literal(sign * term.interval.us),
                     term.factor != nullptr ? term.factor : DoubleLiteral(1)});
}

}  // namespace tidemark::internal
