#include "src/expr/expression.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/initialize.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>

#include "src/base/status.h"
#include "src/expr/bind.h"
#include "src/expr/bound.h"
#include "src/expr/coerce.h"
#include "src/expr/parse.h"

namespace tidemark {
namespace {

void CollectColumns(const internal::BoundExpr& expr, std::set<size_t>* out) {
  if (const size_t* column = expr.column()) out->insert(*column);
  for (const auto& child : expr.children()) CollectColumns(*child, out);
}

// One error a row, that of the part evaluated first.
void KeepFirst(std::vector<RowError>* errors) {
  std::stable_sort(errors->begin(), errors->end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  auto same_row = [](const RowError& a, const RowError& b) { return a.row == b.row; };
  errors->erase(std::unique(errors->begin(), errors->end(), same_row), errors->end());
}

// A failed part reads as NULL, which coalesce, say, has replaced: the row's result is NULL all the same.
absl::StatusOr<std::shared_ptr<arrow::Array>> WithNulls(const std::shared_ptr<arrow::Array>& array,
                                                        const std::vector<RowError>& errors) {
  arrow::BooleanBuilder failed;
  auto what = "marking failed rows";
  TM_RETURN_IF_ERROR(FromArrow(failed.AppendValues(std::vector<bool>(static_cast<size_t>(array->length()))), what));
  TM_ASSIGN_OR_RETURN(auto mask, FromArrow(failed.Finish(), what));
  uint8_t* bits = mask->data()->buffers[1]->mutable_data();
  for (const RowError& error : errors) arrow::bit_util::SetBit(bits, error.row);
  auto nulls = arrow::MakeNullScalar(array->type());
  TM_ASSIGN_OR_RETURN(auto result, FromArrow(arrow::compute::IfElse(mask, nulls, array), what));
  return result.make_array();
}

}  // namespace

std::optional<int> ErrorPosition(const absl::Status& status) {
  auto payload = status.GetPayload("tidemark/expression-position");
  if (!payload) return std::nullopt;
  std::string text(*payload);
  int position = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), position);
  if (code != std::errc()) return std::nullopt;
  return position;
}

absl::StatusOr<Expression> Expression::Compile(std::string_view sql, const Schema& input) {
  TM_ASSIGN_OR_RETURN(internal::Node node, internal::Parse(sql));
  return FromNode(node, input);
}

absl::StatusOr<Expression> Expression::FromNode(const internal::Node& node, const Schema& input) {
  static const arrow::Status kernels = arrow::compute::Initialize();
  TM_RETURN_IF_ERROR(FromArrow(kernels, "loading Arrow's compute kernels"));
  Expression expression;
  TM_ASSIGN_OR_RETURN(expression.root_, internal::Bind(node, input));
  if (internal::IsLocal(expression.root_->type())) {
    // A cast to timestamp of what is one leaves it as it is, a column too.
    const auto parts = expression.root_->children();
    if (parts.size() == 1 && parts[0]->type() == Type{Kind::kTimestamp}) expression.root_ = parts[0];
    TM_ASSIGN_OR_RETURN(expression.root_, internal::Coerce(expression.root_, Type{Kind::kTimestamp}, node.position));
  }
  std::set<size_t> columns;
  CollectColumns(*expression.root_, &columns);
  expression.columns_.assign(columns.begin(), columns.end());
  return expression;
}

const Type& Expression::type() const { return root_->type(); }
bool Expression::nullable() const { return root_->nullable(); }
bool Expression::fallible() const { return root_->fallible(); }
const std::vector<size_t>& Expression::columns() const { return columns_; }

std::optional<size_t> Expression::AsColumn() const {
  const size_t* column = root_->column();
  return column != nullptr ? std::optional<size_t>(*column) : std::nullopt;
}

absl::StatusOr<std::shared_ptr<arrow::Array>> Expression::Evaluate(const arrow::RecordBatch& rows,
                                                                   std::vector<RowError>* errors) const {
  std::vector<RowError> failed;
  internal::Frame frame(rows, &failed);
  TM_ASSIGN_OR_RETURN(internal::Values values, root_->Evaluate(frame));
  std::shared_ptr<arrow::Array> array = std::move(values.array);
  if (values.constant) {
    auto what = "repeating a constant";
    TM_ASSIGN_OR_RETURN(auto value, FromArrow(array->GetScalar(0), what));
    TM_ASSIGN_OR_RETURN(array, FromArrow(arrow::MakeArrayFromScalar(*value, rows.num_rows()), what));
  }
  if (failed.empty()) return array;
  KeepFirst(&failed);
  TM_ASSIGN_OR_RETURN(array, WithNulls(array, failed));
  errors->insert(errors->end(), std::make_move_iterator(failed.begin()), std::make_move_iterator(failed.end()));
  return array;
}

}  // namespace tidemark
