// Types at compile time: which type several expressions have in common, how one becomes the other, what a type is
// called. The rules are PostgreSQL's, with a decimal's precision and scale part of its type.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/expr/bound.h"
#include "src/expr/kernels.h"
#include "src/expr/parse.h"

namespace tidemark::internal {

bool IsNumeric(Kind kind);

// A call of a kernel, computed right away if all its arguments are literals and it doesn't fail on them.
BoundPtr Call(Kernel kernel, Type type, bool nullable, bool fallible, std::vector<BoundPtr> args,
              PreparedPtr prepared = nullptr);
// NULL where an argument is.
BoundPtr StrictCall(Kernel kernel, Type type, bool fallible, std::vector<BoundPtr> args,
                    PreparedPtr prepared = nullptr);
// The text of a string literal; nothing for any other expression, and for NULL.
std::optional<std::string_view> ConstantText(const BoundExpr& expr);
bool IsNullLiteral(const BoundExpr& expr);

// Literals of the types that the binder itself makes.
BoundPtr Int32Literal(int32_t value);
BoundPtr Int64Literal(int64_t value);
BoundPtr DoubleLiteral(double value);
BoundPtr BoolLiteral(bool value);
BoundPtr TextLiteral(std::string_view value, bool untyped);
BoundPtr DecimalLiteral(__int128 value, int precision, int scale);

// The type of decimal that holds every value of a numeric type: decimal(10,0) for int32.
Type AsDecimal(const Type& type);

// The type that all of them take (CASE branches, IN items, coalesce), or an error that begins with `what`.
absl::StatusOr<Type> CommonType(std::string_view what, int position, const std::vector<BoundPtr>& exprs);
// The numeric type in which an operator works on both; nothing unless both are numeric.
std::optional<Kind> CommonNumber(const Type& a, const Type& b);

// `expr` as `target`. A string literal without a type of its own is read as the target's, an error of which is an
// error here and now; as a decimal it keeps the digits it has.
absl::StatusOr<BoundPtr> Coerce(BoundPtr expr, const Type& target, int position);
// Coerce without touching the precision and scale of decimals.
absl::StatusOr<BoundPtr> CoerceToKind(BoundPtr expr, Kind kind, int position);

// CAST and ::, or try_cast where a value that doesn't convert is NULL.
absl::StatusOr<BoundPtr> Cast(BoundPtr expr, const TypeRef& to, int position, bool quiet);

}  // namespace tidemark::internal
