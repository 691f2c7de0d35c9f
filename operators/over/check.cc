// The check of over.
#include <absl/strings/str_cat.h>

#include "operators/over/spec.h"
#include "src/expr/expression.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

constexpr int64_t kMostRows = 10'000;

bool CheckItem(StepCheck& check, const topology::Entry& item, OverSpec* spec) {
  const std::string field = "aggregates/" + item.name();
  const auto aggregate = check.Compile<Aggregate>(item.value(), field);
  if (!aggregate) return false;
  check.step().may_fail = check.step().may_fail || aggregate->fallible();
  const bool lag = aggregate->function == AggregateFunction::kLag;
  if (lag && !aggregate->order.empty()) return check.Error(field, "lag follows event time and takes no ORDER BY");
  if (lag && aggregate->filter) {
    return check.Error(field, "FILTER doesn't go with lag, which is the value of a row; put a filter step in front");
  }
  if (lag && spec->range_us > 0) {
    return check.Error(field,
                       "lag counts rows, however old, while `range` lets them go: give it an `over` step of its own");
  }
  if (!lag && spec->range_us == 0 && spec->rows == 0) {
    return check.Error(field,
                       "which rows does it see? Give range: a duration, or rows: a number; all that ever came are "
                       "`group_by` with emit: every_record");
  }
  if (aggregate->function == AggregateFunction::kApproxCountDistinct) {
    return check.Error(field,
                       "rows leave the frame, which approx_count_distinct can't forget; use count(distinct ...)");
  }
  spec->items.push_back({item.name(), item.value()});
  return check.AddOutput({item.name(), aggregate->type, aggregate->nullable}, std::nullopt, field);
}

class Over final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "over"; }
  std::vector<std::string_view> beside() const override { return {"aggregates"}; }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;
};

bool Over::CheckAlone(StepCheck& check) const {
  if (check.Broken(field())) return false;
  const topology::Over& yaml = check.yaml().over();
  if (yaml.has_range() && yaml.has_rows()) {
    check.Error("over/rows", "a frame is of a time or of a number of rows: `range` or `rows`");
  }
  if (yaml.has_range() && yaml.range() <= 0) check.Error("over/range", "must be longer than nothing");
  if (yaml.has_rows() && (yaml.rows() < 1 || yaml.rows() > kMostRows)) {
    check.Error("over/rows", absl::StrCat("expected 1 to ", kMostRows));
  }
  if (check.yaml().aggregates().empty() && !check.Lost("aggregates"))
    check.Error(check.Present("aggregates") ? "aggregates" : "", "at least one aggregate is needed");
  if (yaml.has_late()) check.AddSide({"late", yaml.late().topic()}, "over/late/topic");
  return !check.Broken();
}

bool Over::Check(StepCheck& check) const {
  const topology::Over& yaml = check.yaml().over();
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  if (!check.NeedsAppend("over")) return false;
  OverSpec spec;
  const auto by = check.Find(yaml.by(), "over/by");
  if (!by) return false;
  spec.by = *by;
  spec.range_us = yaml.range();
  spec.rows = yaml.rows();
  spec.grace_us = yaml.grace();
  if (yaml.has_late()) spec.late_topic = yaml.late().topic();
  spec.ordered = input.ordered;
  check.SameColumns();
  bool all_lag = true, good = true;
  for (const topology::Entry& item : check.yaml().aggregates()) {
    good = CheckItem(check, item, &spec) && good;
    const auto aggregate = Aggregate::Compile(item.value(), input.schema);
    all_lag = all_lag && aggregate.ok() && aggregate->function == AggregateFunction::kLag;
  }
  if (!good) return false;
  if (all_lag && spec.rows > 0) {
    return check.Error("over/rows", "`rows` says what aggregates see, and there is only lag: leave it out");
  }
  input.together = spec.by;
  input.needs = input.needs.With(Hidden::kWatermark);
  if (spec.ordered) {
    input.needs = input.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  }
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorSyntax& OverSyntax() {
  static const Over syntax;
  return syntax;
}

}  // namespace tidemark
