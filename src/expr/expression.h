// SQL expressions: parsed by PostgreSQL's own parser (libpg_query), type-checked against a schema, evaluated a batch at
// a time on Arrow arrays. Semantics are PostgreSQL 15's: docs/expressions.md lists every deviation.
//
// Compiled expressions are immutable; any thread may evaluate one. Only visible columns can be named.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"

namespace tidemark {

// A row that an expression failed on ("division by zero"). Rows are positions in the batch.
struct RowError {
  int64_t row = 0;
  std::string message;
};

// Where in the expression's text an error of Compile lies, as a 0-based byte position; nothing if unknown.
std::optional<int> ErrorPosition(const absl::Status& status);

namespace internal {
class BoundExpr;  // the typed tree, bound.h
struct Node;      // the syntax tree, parse.h
}  // namespace internal

class Expression {
 public:
  // InvalidArgument, with ErrorPosition, for a syntax error, an unknown column or function (the message names the
  // nearest valid one), a type error, or a construct that isn't supported (named).
  static absl::StatusOr<Expression> Compile(std::string_view sql, const Schema& input);

  // The type of the result; a literal NULL alone has type string.
  const Type& type() const;
  bool nullable() const;
  // Whether a row can fail. False is a promise.
  bool fallible() const;
  // Positions in the input schema of the columns it reads, ascending.
  const std::vector<size_t>& columns() const;
  // The column's position if the expression is nothing but a column.
  std::optional<size_t> AsColumn() const;

  // One value a row, in ArrowType(type()). A row that fails gets an entry in `errors` (ascending rows, at most one a
  // row) and NULL. The batch's visible columns must have the schema of Compile. An error status only for defects.
  absl::StatusOr<std::shared_ptr<arrow::Array>> Evaluate(const arrow::RecordBatch& rows,
                                                         std::vector<RowError>* errors) const;

 private:
  friend struct Aggregate;
  static absl::StatusOr<Expression> FromNode(const internal::Node& node, const Schema& input);

  std::shared_ptr<const internal::BoundExpr> root_;
  std::vector<size_t> columns_;
};

enum class AggregateFunction {
  kCountStar,
  kCount,
  kSum,
  kMin,
  kMax,
  kAvg,
  kFirst,
  kLast,
  kBoolAnd,
  kBoolOr,
  kVarSamp,
  kVarPop,
  kStddevSamp,
  kStddevPop,
  kCountDistinct,
  kMode,
  kStringAgg,
  kArrayAgg,
  kMinBy,
  kMaxBy,
  kApproxCountDistinct,
  kApproxPercentile,
  kLag,
};

// "count(*)", "sum(price * quantity) filter (where paid)": one aggregate call over an expression. Result types are
// PostgreSQL's, except: sum of int32 and int64 is int64 (accumulated in 128 bits, out of range is an error of the
// result row), avg, variance and stddev of any integer or double are double, sum and avg of decimal(p,s) are
// decimal(38,s). first, last, and without an ORDER BY of their own string_agg and array_agg, follow the order of rows.
// mode(x) is the most frequent value, of several the smallest. min_by(x, y) is x of the row with the smallest y, max_by
// of the largest; of several such rows it is the smallest x, NULL after all. array_agg is a JSON array. lag(x, n) is no
// aggregate of a group: only the operator `over` knows rows that come before others.
struct Aggregate {
  struct Order {
    Expression by;
    bool descending = false;
  };

  AggregateFunction function = AggregateFunction::kCountStar;
  std::optional<Expression> argument;  // none for count(*)
  std::optional<Expression> filter;    // a condition: other rows don't count, and the argument isn't computed for them
  std::vector<Order> order;            // of array_agg and string_agg; min_by and max_by have one
  std::string separator;               // of string_agg
  int64_t limit = 0;    // of array_agg and string_agg: so many values, 0: all; of lag: so many rows before
  double fraction = 0;  // of approx_percentile, 0 to 1
  Type type;
  bool nullable = false;  // everything but the counts

  static absl::StatusOr<Aggregate> Compile(std::string_view sql, const Schema& input);

  // Follows the order of source rows.
  bool by_row_order() const;

  // Of the input, those that it reads, ascending; and whether it can fail on a row.
  std::vector<size_t> columns() const;
  bool fallible() const;

 private:
  absl::Status CompileOrder(const internal::Node& node, const Schema& input);
  absl::Status ReadLiterals(const internal::Node& node);
};

}  // namespace tidemark
