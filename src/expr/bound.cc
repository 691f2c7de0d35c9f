#include "src/expr/bound.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/api_vector.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"

namespace tidemark::internal {
namespace {

class ColumnExpr final : public BoundExpr {
 public:
  ColumnExpr(size_t position, const Column& column)
      : BoundExpr(column.type, column.nullable, /*fallible=*/false), position_(position) {}

  absl::StatusOr<Values> Evaluate(Frame& frame) const override { return frame.Column(position_); }
  const size_t* column() const override { return &position_; }

 private:
  size_t position_;
};

class LiteralExpr final : public BoundExpr {
 public:
  LiteralExpr(Type type, std::shared_ptr<arrow::Array> array, bool untyped)
      : BoundExpr(type, array->null_count() > 0, /*fallible=*/false, untyped), array_(std::move(array)) {}

  absl::StatusOr<Values> Evaluate(Frame&) const override { return Values{array_, true}; }
  std::shared_ptr<arrow::Array> literal() const override { return array_; }

 private:
  std::shared_ptr<arrow::Array> array_;
};

class CallExpr final : public BoundExpr {
 public:
  CallExpr(Kernel kernel, Type type, bool nullable, bool fallible, bool quiet, std::vector<BoundPtr> args,
           PreparedPtr prepared)
      : BoundExpr(type, nullable, fallible),
        kernel_(kernel),
        quiet_(quiet),
        args_(std::move(args)),
        prepared_(std::move(prepared)) {
    for (const BoundPtr& arg : args_) types_.push_back(arg->type());
  }

  absl::StatusOr<Values> Evaluate(Frame& frame) const override {
    std::vector<Values> values;
    values.reserve(args_.size());
    for (const BoundPtr& arg : args_) {
      TM_ASSIGN_OR_RETURN(Values value, arg->Evaluate(frame));
      values.push_back(std::move(value));
    }
    if (quiet_) {
      Frame quiet = frame.Quiet();
      KernelCall call{quiet, type(), types_, values, prepared_.get()};
      return kernel_(call);
    }
    KernelCall call{frame, type(), types_, values, prepared_.get()};
    return kernel_(call);
  }
  std::vector<BoundPtr> children() const override { return args_; }

 private:
  Kernel kernel_;
  bool quiet_;
  std::vector<BoundPtr> args_;
  std::vector<Type> types_;
  PreparedPtr prepared_;
};

bool AnyFallible(const std::vector<BoundPtr>& args) {
  for (const BoundPtr& arg : args) {
    if (arg->fallible()) return true;
  }
  return false;
}

}  // namespace

Frame::Frame(const arrow::RecordBatch& batch, std::vector<RowError>* errors)
    : batch_(&batch), errors_(errors), rows_(batch.num_rows()) {}

Frame Frame::Select(absl::Span<const int32_t> rows) const {
  Frame frame(*batch_, errors_);
  frame.whole_ = false;
  frame.rows_ = static_cast<int64_t>(rows.size());
  frame.selection_.assign(rows.begin(), rows.end());
  if (!whole_) {
    for (int32_t& row : frame.selection_) row = selection_[static_cast<size_t>(row)];
  }
  return frame;
}

Frame Frame::Quiet() const {
  Frame frame(*batch_, nullptr);
  frame.rows_ = rows_;
  return frame;
}

absl::StatusOr<Values> Frame::Column(size_t position) {
  const std::shared_ptr<arrow::Array>& column = batch_->column(static_cast<int>(position));
  if (whole_) return Values{column, false};
  std::shared_ptr<arrow::Array>& gathered = gathered_[position];
  if (!gathered) {
    auto indices = std::make_shared<arrow::Int32Array>(rows_, arrow::Buffer::Wrap(selection_));
    TM_ASSIGN_OR_RETURN(gathered,
                        FromArrow(arrow::compute::Take(*column, *indices, arrow::compute::TakeOptions::NoBoundsCheck()),
                                  "choosing rows for an expression"));
  }
  return Values{gathered, false};
}

void Frame::Fail(int64_t row, std::string_view message) {
  if (errors_ == nullptr) return;
  int64_t at = whole_ ? row : selection_[static_cast<size_t>(row)];
  errors_->push_back({at, std::string(message)});
}

void Frame::FailAll(std::string_view message) {
  for (int64_t row = 0; row < rows_; ++row) Fail(row, message);
}

BoundPtr MakeColumn(size_t position, const Column& column) { return std::make_shared<ColumnExpr>(position, column); }

BoundPtr MakeLiteral(Type type, std::shared_ptr<arrow::Array> array, bool untyped) {
  return std::make_shared<LiteralExpr>(type, std::move(array), untyped);
}

BoundPtr MakeNull(Type type, bool untyped) {
  return MakeLiteral(type, arrow::MakeArrayOfNull(ArrowType(type), 1).ValueOrDie(), untyped);
}

BoundPtr MakeCall(Kernel kernel, Type type, bool nullable, bool fallible, std::vector<BoundPtr> args,
                  PreparedPtr prepared) {
  fallible = fallible || AnyFallible(args);
  return std::make_shared<CallExpr>(kernel, type, nullable, fallible, /*quiet=*/false, std::move(args),
                                    std::move(prepared));
}

BoundPtr MakeQuietCall(Kernel kernel, Type type, std::vector<BoundPtr> args) {
  bool fallible = AnyFallible(args);
  return std::make_shared<CallExpr>(kernel, type, /*nullable=*/true, fallible, /*quiet=*/true, std::move(args),
                                    nullptr);
}

}  // namespace tidemark::internal
