// What a client asks of a view: a GET's parameters or a POST's JSON, checked against the view's columns. docs/views.md
// is the reference. Plain values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/value_text.h"
#include "src/expr/expression.h"
#include "src/views/store.h"

namespace tidemark {

// Rows whose column has one of these values, or lies between bounds. Values are cells as a row has them (store.h).
struct ViewCondition {
  struct Bound {
    std::string cell;
    bool inclusive = true;
  };
  size_t column = 0;
  std::vector<std::string> equal;  // sorted, none twice; empty: a range
  std::optional<Bound> low, high;

  bool range() const { return equal.empty(); }
  bool Holds(std::string_view cell) const;
};

struct ViewOrder {
  size_t column = 0;
  bool descending = false;
};

struct ViewQuestion {
  static constexpr int64_t kDefaultLimit = 100, kMostRows = 10'000;

  std::vector<ViewCondition> conditions;  // all hold; one a column
  std::optional<Expression> where;
  std::string where_text;
  std::vector<ViewOrder> order;  // as asked; rows that are equal in it stand in the order of the key
  std::vector<size_t> columns;   // that are told, in this order; empty: all
  int64_t limit = kDefaultLimit;
  std::string after;  // the cursor of an answer before; "": from the beginning
  std::optional<Offset> min_position;
  int64_t max_wait_us = 5'000'000;
};

// InvalidArgument: what is wrong, for the client.
absl::StatusOr<ViewQuestion> QuestionOfParameters(const std::vector<std::pair<std::string, std::string>>& parameters,
                                                  const Schema& schema);
absl::StatusOr<ViewQuestion> QuestionOfJson(std::string_view body, const Schema& schema);

// The bytes of a value in a row of the view: of text as it stands in a URL, or of a JSON token.
absl::StatusOr<std::string> CellOf(const Column& column, const ScalarText& value);

}  // namespace tidemark
