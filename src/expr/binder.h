// The binder's two halves: bind.cc has columns, literals, CASE and calls, bind_operator.cc the operators.
#pragma once

#include <optional>
#include <vector>

#include <absl/status/statusor.h>

#include "src/expr/bound.h"
#include "src/expr/calendar.h"
#include "src/expr/parse.h"

namespace tidemark::internal {

inline constexpr char kJsonIsNotCompared[] =
    "json has no equality and no order: its text is kept as it was written; compare a field, as in j ->> 'field'";

class Binder {
 public:
  explicit Binder(const Schema& input) : input_(input) {}

  absl::StatusOr<BoundPtr> Bind(const Node& node);

 private:
  using Args = std::vector<BoundPtr>;
  // "interval '1 hour'", perhaps times a number.
  struct IntervalTerm {
    Interval interval;
    BoundPtr factor;  // a double; null for 1
  };

  absl::StatusOr<Args> BindAll(const std::vector<Node>& nodes);
  absl::StatusOr<BoundPtr> Column(const Node& node);
  absl::StatusOr<BoundPtr> Case(const Node& node);
  absl::StatusOr<BoundPtr> Call(const Node& node);
  absl::StatusOr<BoundPtr> Function(const Node& node);
  absl::StatusOr<BoundPtr> TryCast(const Node& node);
  // concat, or concat_ws.
  absl::StatusOr<BoundPtr> Concat(const Node& node);
  absl::StatusOr<BoundPtr> Extract(const Node& node);
  absl::StatusOr<BoundPtr> DateTrunc(const Node& node);
  absl::StatusOr<BoundPtr> DateBin(const Node& node);
  absl::StatusOr<BoundPtr> AtTimeZone(const Node& node);
  // bind_json.cc. Null where the node is none of JSON's operators and functions.
  absl::StatusOr<BoundPtr> Json(const Node& node);
  absl::StatusOr<BoundPtr> JsonArgument(const Node& node);
  absl::StatusOr<BoundPtr> JsonPath(const Node& node, bool as_text);
  absl::StatusOr<BoundPtr> JsonPathText(const Node& node, bool as_text);
  absl::StatusOr<BoundPtr> JsonBuild(const Node& node, bool object);
  absl::StatusOr<BoundPtr> TimeZoneOf(const Node& node, PreparedPtr* prepared);
  absl::StatusOr<BoundPtr> NullIf(const Node& node);
  absl::StatusOr<BoundPtr> In(const Node& node);
  absl::StatusOr<BoundPtr> Like(const Node& node);
  absl::StatusOr<BoundPtr> Condition(const Node& node, std::string_view what);

  // Null where the node isn't an operator.
  absl::StatusOr<BoundPtr> Operator(const Node& node);
  absl::StatusOr<BoundPtr> Compare(const Node& node, BoundPtr left, BoundPtr right);
  absl::StatusOr<BoundPtr> Arithmetic(const Node& node);
  absl::StatusOr<BoundPtr> DateArithmetic(const Node& node, BoundPtr left, BoundPtr right);
  absl::StatusOr<BoundPtr> Negate(const Node& node);
  absl::StatusOr<BoundPtr> Join(const Node& node);
  // A difference of times against an interval; null where it isn't one.
  absl::StatusOr<BoundPtr> CompareWithInterval(const Node& node);
  bool IsTimeDifference(const Node& node);
  // Nothing where the node isn't an interval.
  absl::StatusOr<std::optional<IntervalTerm>> AsInterval(const Node& node);
  absl::StatusOr<BoundPtr> AddInterval(const Node& node, const Node& time, const IntervalTerm& term, int sign);

  const Schema& input_;
};

}  // namespace tidemark::internal
