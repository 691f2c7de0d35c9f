// The typed tree that a compiled expression is, and the frame that it is evaluated in. Nodes are immutable and shared
// between threads; a frame belongs to one evaluation. Made by bind.cc, evaluated through Expression::Evaluate.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"
#include "src/expr/expression.h"

namespace tidemark::internal {

// What an expression yields over the rows of a frame: an array of one value a row or, where all rows share it, of
// exactly one value.
struct Values {
  std::shared_ptr<arrow::Array> array;
  bool constant = false;
};

// The rows that an expression is evaluated on: a whole batch, or the rows of it that a branch was taken for. Columns
// are gathered when first asked for, so an unused column costs nothing.
class Frame {
 public:
  // Both outlive the frame. Without `errors`, failures leave no trace but a NULL.
  Frame(const arrow::RecordBatch& batch, std::vector<RowError>* errors);
  // A frame of some rows of this one.
  Frame Select(absl::Span<const int32_t> rows) const;
  // The same rows, where failures leave no trace.
  Frame Quiet() const;

  int64_t rows() const { return rows_; }
  absl::StatusOr<Values> Column(size_t position);
  // Notes that the expression failed on a row, or on all of them.
  void Fail(int64_t row, std::string_view message);
  void FailAll(std::string_view message);

 private:
  const arrow::RecordBatch* batch_;
  std::vector<RowError>* errors_;
  int64_t rows_;
  bool whole_ = true;
  std::vector<int32_t> selection_;  // unless whole: the batch's row for each of ours
  absl::flat_hash_map<size_t, std::shared_ptr<arrow::Array>> gathered_;
};

class BoundExpr {
 public:
  virtual ~BoundExpr() = default;

  virtual absl::StatusOr<Values> Evaluate(Frame& frame) const = 0;
  virtual std::vector<std::shared_ptr<const BoundExpr>> children() const { return {}; }
  // The column that this is, the value that this is; null otherwise.
  virtual const size_t* column() const { return nullptr; }
  virtual std::shared_ptr<arrow::Array> literal() const { return nullptr; }

  const Type& type() const { return type_; }
  bool nullable() const { return nullable_; }
  // Whether a row may fail. What can't fail is evaluated on all rows, which is cheaper than choosing some.
  bool fallible() const { return fallible_; }
  // A string literal or NULL whose type the context still decides, as in PostgreSQL.
  bool untyped() const { return untyped_; }

 protected:
  BoundExpr(Type type, bool nullable, bool fallible, bool untyped = false)
      : type_(type), nullable_(nullable), fallible_(fallible), untyped_(untyped) {}

 private:
  Type type_;
  bool nullable_, fallible_, untyped_;
};

using BoundPtr = std::shared_ptr<const BoundExpr>;

// What a call has made of its constant arguments once, when it was compiled: a pattern, a format, a time zone. Each
// kernel that takes one knows its type.
struct Prepared {
  virtual ~Prepared() = default;
};
using PreparedPtr = std::shared_ptr<const Prepared>;

// A function over the values of its arguments: null where an argument is null unless it says otherwise. It reports rows
// that fail to the frame. `type` is the type of the result, `types` those of the arguments.
struct KernelCall {
  Frame& frame;
  const Type& type;
  absl::Span<const Type> types;
  absl::Span<const Values> args;
  const Prepared* prepared = nullptr;
};
using Kernel = absl::StatusOr<Values> (*)(KernelCall& call);

BoundPtr MakeColumn(size_t position, const Column& column);
// `array` holds the one value.
BoundPtr MakeLiteral(Type type, std::shared_ptr<arrow::Array> array, bool untyped);
BoundPtr MakeNull(Type type, bool untyped);
BoundPtr MakeCall(Kernel kernel, Type type, bool nullable, bool fallible, std::vector<BoundPtr> args,
                  PreparedPtr prepared = nullptr);
// As MakeCall, but a failing row is NULL.
BoundPtr MakeQuietCall(Kernel kernel, Type type, std::vector<BoundPtr> args);

// What chooses the rows that its parts are evaluated on (eval_choice.cc).
BoundPtr MakeAnd(std::vector<BoundPtr> args);
BoundPtr MakeOr(std::vector<BoundPtr> args);
// condition, result, ..., otherwise; all results of `type`.
BoundPtr MakeCase(Type type, std::vector<BoundPtr> args);
BoundPtr MakeCoalesce(Type type, std::vector<BoundPtr> args);

// subject IN (items), all of one type.
BoundPtr MakeIn(BoundPtr subject, std::vector<BoundPtr> items);

}  // namespace tidemark::internal
