#include "src/expr/coerce.h"

#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>

#include "src/base/suggest.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"

namespace tidemark::internal {
namespace {

template <typename T>
BoundPtr LiteralOf(const Type& type, T value, bool untyped = false) {
  Writer<T> out;
  if (!out.Open(type, 1).ok()) return nullptr;
  out.Set(0, value);
  auto values = out.Finish(/*constant=*/true);
  return values.ok() ? MakeLiteral(type, values->array, untyped) : nullptr;
}

// A frame of one row and no columns, for what is computed at compile time.
const arrow::RecordBatch& OneRow() {
  static const auto batch = arrow::RecordBatch::Make(arrow::schema(arrow::FieldVector{}), 1, arrow::ArrayVector{});
  return *batch;
}

// The literal that `expr` is, if it is one of those it can be computed from; `failure` gets the row error if it fails.
BoundPtr Fold(const BoundPtr& expr, std::string* failure) {
  for (const BoundPtr& child : expr->children()) {
    if (child->literal() == nullptr) return expr;
  }
  std::vector<RowError> errors;
  Frame frame(OneRow(), &errors);
  auto values = expr->Evaluate(frame);
  if (!errors.empty() && failure != nullptr) *failure = errors[0].message;
  if (!values.ok() || !errors.empty() || values->array->length() != 1) return expr;
  return MakeLiteral(expr->type(), values->array, /*untyped=*/false);
}

std::optional<Type> TypeByName(std::string_view name) {
  if (auto type = ParseType(name)) return type;
  struct Alias {
    std::string_view name;
    Kind kind;
  };
  static constexpr Alias kAliases[] = {
      {"boolean", Kind::kBool},    {"int4", Kind::kInt32},      {"int", Kind::kInt32},
      {"integer", Kind::kInt32},   {"int8", Kind::kInt64},      {"bigint", Kind::kInt64},
      {"float8", Kind::kDouble},   {"float", Kind::kDouble},    {"text", Kind::kString},
      {"varchar", Kind::kString},  {"bytea", Kind::kBytes},     {"timestamptz", Kind::kTimestamp},
      {"numeric", Kind::kDecimal}, {"decimal", Kind::kDecimal}, {"jsonb", Kind::kJson}};
  for (const Alias& alias : kAliases) {
    if (alias.name == name) return Type{alias.kind};
  }
  return std::nullopt;
}

// A decimal without precision and scale has precision 0 here.
absl::StatusOr<Type> TypeOf(const TypeRef& ref, int position) {
  auto found = TypeByName(ref.name);
  if (!found) {
    if (ref.name == "int2") return ErrorAt(position, "smallint isn't supported; use int32");
    if (ref.name == "float4") return ErrorAt(position, "real isn't supported; use double");
    if (ref.name == "bpchar" || ref.name == "char") return ErrorAt(position, "char isn't supported; use string");
    static const std::vector<std::string> kNames = {
        "bool",      "int32",       "int64",        "double",       "string",  "bytes",   "date",   "decimal",
        "timestamp", "timestamp_s", "timestamp_ms", "timestamp_us", "boolean", "integer", "bigint", "text",
        "varchar",   "numeric",     "bytea",        "timestamptz",  "float8",  "json"};
    return ErrorAt(position, absl::StrCat("unknown type '", ref.name, "'", DidYouMean(ref.name, kNames)));
  }
  Type type = *found;
  if (ref.name == "timestamp") type.form = kLocalForm;
  if (ref.modifiers.empty()) return type;
  if (type.kind != Kind::kDecimal) {
    return ErrorAt(position, absl::StrCat("a length or precision of ", ref.name, " isn't supported",
                                          type.kind == Kind::kString ? "; use left(x, n)" : ""));
  }
  type.precision = ref.modifiers[0];
  type.scale = ref.modifiers.size() > 1 ? ref.modifiers[1] : 0;
  if (type.precision < 1 || type.precision > kMaxDigits || type.scale < 0 || type.scale > type.precision) {
    return ErrorAt(position, "a decimal has a precision of 1 to 38 and a scale of 0 to its precision");
  }
  return type;
}

std::string_view LiteralText(const BoundExpr& expr) { return Reader<std::string_view>({expr.literal(), true})[0]; }

// A string literal as the decimal that its own digits make.
absl::StatusOr<BoundPtr> LiteralAsDecimal(const BoundPtr& expr, int position) {
  if (IsNullLiteral(*expr)) return MakeNull(Type{Kind::kDecimal, {}, kMaxDigits, 0}, false);
  std::string_view text = LiteralText(*expr);
  DecimalError error;
  auto parsed = ParseDecimal(text, /*scale=*/-1, &error);
  if (parsed) return DecimalLiteral(parsed->value, parsed->precision, parsed->scale);
  return ErrorAt(position, error == DecimalError::kTooLong
                               ? "a number of more than 38 digits"
                               : absl::StrCat("invalid input syntax for type numeric: \"", std::string(text), "\""));
}

// The decimal that holds what either holds, as far as 38 digits go.
Type WiderDecimal(const Type& a, const Type& b) {
  int scale = std::max(a.scale, b.scale);
  int whole = std::max(a.precision - a.scale, b.precision - b.scale);
  return Type{Kind::kDecimal, {}, std::min(kMaxDigits, whole + scale), scale};
}

absl::StatusOr<BoundPtr> Convert(const BoundPtr& expr, const Type& target, int position, bool quiet) {
  const Type& from = expr->type();
  if (from == target) return expr;
  Kernel kernel = CastKernel(from.kind, target.kind);
  if (kernel == nullptr) {
    return ErrorAt(position, absl::StrCat("cannot cast ", TypeName(from), " to ", TypeName(target)));
  }
  bool fallible = CastMayFail(from, target);
  if (quiet && fallible) return Fold(MakeQuietCall(kernel, target, {expr}), nullptr);
  std::string failure;
  BoundPtr call = Fold(MakeCall(kernel, target, expr->nullable(), fallible, {expr}), &failure);
  if (!failure.empty() && expr->untyped()) return ErrorAt(position, failure);
  return call;
}

}  // namespace

bool IsNumeric(Kind kind) {
  return kind == Kind::kInt32 || kind == Kind::kInt64 || kind == Kind::kDouble || kind == Kind::kDecimal;
}

BoundPtr Call(Kernel kernel, Type type, bool nullable, bool fallible, std::vector<BoundPtr> args,
              PreparedPtr prepared) {
  return Fold(MakeCall(kernel, type, nullable, fallible, std::move(args), std::move(prepared)), nullptr);
}

BoundPtr StrictCall(Kernel kernel, Type type, bool fallible, std::vector<BoundPtr> args, PreparedPtr prepared) {
  bool nullable = std::any_of(args.begin(), args.end(), [](const BoundPtr& arg) { return arg->nullable(); });
  return Call(kernel, type, nullable, fallible, std::move(args), std::move(prepared));
}

bool IsNullLiteral(const BoundExpr& expr) { return expr.literal() != nullptr && expr.literal()->null_count() > 0; }

std::optional<std::string_view> ConstantText(const BoundExpr& expr) {
  if (expr.type().kind != Kind::kString || expr.literal() == nullptr || IsNullLiteral(expr)) return std::nullopt;
  return Reader<std::string_view>({expr.literal(), true})[0];
}

BoundPtr Int32Literal(int32_t value) { return LiteralOf(Type{Kind::kInt32}, value); }
BoundPtr Int64Literal(int64_t value) { return LiteralOf(Type{Kind::kInt64}, value); }
BoundPtr DoubleLiteral(double value) { return LiteralOf(Type{Kind::kDouble}, value); }
BoundPtr BoolLiteral(bool value) { return LiteralOf(Type{Kind::kBool}, value); }
BoundPtr TextLiteral(std::string_view value, bool untyped) { return LiteralOf(Type{Kind::kString}, value, untyped); }
BoundPtr DecimalLiteral(__int128 value, int precision, int scale) {
  return LiteralOf(Type{Kind::kDecimal, {}, precision, scale}, value);
}

Type AsDecimal(const Type& type) {
  if (type.kind == Kind::kDecimal) return type;
  return Type{Kind::kDecimal, {}, type.kind == Kind::kInt32 ? 10 : 19, 0};
}

std::optional<Kind> CommonNumber(const Type& a, const Type& b) {
  if (!IsNumeric(a.kind) || !IsNumeric(b.kind)) return std::nullopt;
  for (Kind kind : {Kind::kDouble, Kind::kDecimal, Kind::kInt64}) {
    if (a.kind == kind || b.kind == kind) return kind;
  }
  return Kind::kInt32;
}

absl::StatusOr<Type> CommonType(std::string_view what, int position, const std::vector<BoundPtr>& exprs) {
  std::optional<Type> common;
  std::vector<const BoundExpr*> literals;
  for (const BoundPtr& expr : exprs) {
    const Type& type = expr->type();
    if (expr->untyped()) {
      if (!IsNullLiteral(*expr)) literals.push_back(expr.get());
      continue;
    }
    if (!common || common == type) {
      common = type;
    } else if (auto number = CommonNumber(*common, type)) {
      common = number == Kind::kDecimal ? WiderDecimal(AsDecimal(*common), AsDecimal(type)) : Type{*number};
    } else if (common->kind == Kind::kDate && type.kind == Kind::kTimestamp) {
      common = type;
    } else if (common->kind == type.kind || (common->kind == Kind::kTimestamp && type.kind == Kind::kDate)) {
      // Timestamps of several forms: the first one's; of points in time and local ones: points.
      if (IsLocal(*common) && type.kind == Kind::kTimestamp) common = type;
    } else {
      return ErrorAt(position, absl::StrCat(std::string(what), " mixes ", TypeName(*common), " and ", TypeName(type),
                                            "; cast one of them"));
    }
  }
  // Among decimals a string literal brings digits of its own.
  for (const BoundExpr* expr : literals) {
    DecimalError error;
    if (common && common->kind == Kind::kDecimal) {
      auto parsed = ParseDecimal(LiteralText(*expr), /*scale=*/-1, &error);
      if (parsed) common = WiderDecimal(*common, Type{Kind::kDecimal, {}, parsed->precision, parsed->scale});
    }
  }
  return common.value_or(Type{Kind::kString});
}

absl::StatusOr<BoundPtr> Coerce(BoundPtr expr, const Type& target, int position) {
  // NULL takes any type without a conversion.
  if (expr->untyped() && IsNullLiteral(*expr)) return MakeNull(target, false);
  return Convert(expr, target, position, /*quiet=*/false);
}

absl::StatusOr<BoundPtr> CoerceToKind(BoundPtr expr, Kind kind, int position) {
  if (expr->type().kind == kind && !expr->untyped()) return expr;
  if (kind != Kind::kDecimal) return Coerce(std::move(expr), Type{kind}, position);
  if (expr->untyped()) return LiteralAsDecimal(expr, position);
  return Coerce(expr, AsDecimal(expr->type()), position);
}

absl::StatusOr<BoundPtr> Cast(BoundPtr expr, const TypeRef& to, int position, bool quiet) {
  TM_ASSIGN_OR_RETURN(Type target, TypeOf(to, position));
  if (target.kind == Kind::kDecimal && target.precision == 0) {
    if (expr->untyped() && !quiet) return LiteralAsDecimal(expr, position);
    Kind from = expr->type().kind;
    if (!IsNumeric(from) || from == Kind::kDouble) {
      return ErrorAt(position, absl::StrCat("a cast of ", TypeName(expr->type()),
                                            " to decimal states precision and scale, as in decimal(18,4)"));
    }
    target = AsDecimal(expr->type());
  }
  if (!quiet) return Coerce(std::move(expr), target, position);
  if (expr->untyped() && IsNullLiteral(*expr)) return MakeNull(target, false);
  return Convert(expr, target, position, quiet);
}

}  // namespace tidemark::internal
