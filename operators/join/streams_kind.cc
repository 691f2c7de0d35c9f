// The join of two streams, as the planner and others see it.
#include <algorithm>
#include <numeric>

#include <absl/strings/str_cat.h>

#include "operators/join/both_sides.h"
#include "operators/join/streams.h"
#include "operators/join/streams_spec.h"
#include "src/plan/step_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

class StreamJoinKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "join"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<StreamJoinSpec>();
    return absl::StrCat(TypeOf(spec), " join of streams on (", ColumnNames(node.in(0).schema, spec.on[0]), ") = (",
                        ColumnNames(node.in(1).schema, spec.on[1]), ") from ", FormatDuration(spec.before_us),
                        " before to ", FormatDuration(spec.after_us), " after, grace ", FormatDuration(spec.grace_us));
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return std::make_unique<StreamJoin>(node, node.spec.As<StreamJoinSpec>());
  }

  int64_t HoldsUs(const Node& node) const override {
    const auto& spec = node.spec.As<StreamJoinSpec>();
    int64_t reach = 0;
    // Rows without match that have left memory come when their bucket is over.
    for (const size_t s : {0, 1}) reach = std::max(reach, spec.outer[s] ? spec.reach_us(s) + spec.bucket_us() : 0);
    return spec.grace_us + reach + 1;
  }

  // Pairs are new rows.
  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }
  // What is kept is said by the step alone, whoever reads it.
  bool Reads(const Node& node, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* read) const override {
    const auto& spec = node.spec.As<StreamJoinSpec>();
    for (const size_t s : {0, 1}) {
      if (spec.late_topic[s]) return false;
      for (const size_t c : spec.kept(s, node.in(0).schema.size())) (*read)[s][c] = true;
    }
    return true;
  }
  void Renumber(size_t port, const ColumnList& position, Node* node) const override {
    auto& spec = node->spec.As<StreamJoinSpec>();
    for (size_t& c : spec.on[port]) c = position[c];
    if (port == 0) return;
    for (size_t& c : spec.columns) c = position[c];
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<StreamJoinSpec>();
    const Schema& left = node.in(0).schema;
    const Schema& right = node.in(1).schema;
    return absl::StrCat("stream join ", TypeOf(spec), " by ", ColumnTypes(left, spec.on[0]), " and ",
                        ColumnTypes(right, spec.on[1]), " within ", spec.before_us, "us and ", spec.after_us, "us of ",
                        ColumnTypes(left, spec.kept(0, left.size())), " and ",
                        ColumnTypes(right, spec.kept(1, left.size())));
  }
  ColumnList Keeps(const Node& node, size_t port) const override {
    return node.spec.As<StreamJoinSpec>().kept(port, node.in(0).schema.size());
  }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    const size_t left = node.in(0).schema.size();
    if (column < left) return PortColumn(column, 0);
    return PortColumn(node.spec.As<StreamJoinSpec>().columns[column - left], 1);
  }

 private:
  static std::string TypeOf(const StreamJoinSpec& spec) {
    if (spec.outer[0]) return spec.outer[1] ? "full" : "left";
    return spec.outer[1] ? "right" : "inner";
  }
};

}  // namespace

ColumnList StreamJoinSpec::kept(size_t side, size_t left_columns) const {
  ColumnList kept = columns;
  if (side == 0) {
    kept.resize(left_columns);
    std::iota(kept.begin(), kept.end(), size_t{0});
  }
  for (const size_t c : on[side]) {
    if (std::find(kept.begin(), kept.end(), c) == kept.end()) kept.push_back(c);
  }
  return kept;
}

bool CheckStreamJoinAlone(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (!check.Present("join/within") && !check.Broken("join/within")) {
    check.Error("join", "a join of streams says how far their times may lie apart: within: { before: 5m, after: 1m }");
  }
  if (yaml.on().empty() && !check.Broken("join/on")) check.Error("join/on", "at least one column is needed");
  if (yaml.has_unmatched()) {
    check.Error("join/unmatched",
                "`unmatched` goes with a table; with type: left, right or full rows without match come with NULLs");
  }
  if (yaml.late().has_left()) check.AddSide({kLateSides[0], yaml.late().left(), 0}, "join/late/left");
  if (yaml.late().has_right()) check.AddSide({kLateSides[1], yaml.late().right(), 1}, "join/late/right");
  return !check.Broken();
}

bool CheckStreamJoin(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (check.in(0).mode.update && check.in(1).mode.update) {
    return check.Error("join/stream",
                       "rows of both sides replace each other, so they are joined as tables: `table: { from: STEP }` "
                       "instead of `stream` and `within`");
  }
  if (!check.NeedsAppend("a join of streams")) return false;
  StreamJoinSpec spec;
  spec.before_us = yaml.within().before();
  spec.after_us = yaml.within().after();
  spec.grace_us = yaml.grace();
  spec.outer = {yaml.type() == "left" || yaml.type() == "full", yaml.type() == "right" || yaml.type() == "full"};
  spec.late_topic = {yaml.late().has_left(), yaml.late().has_right()};
  LogicalStep& step = check.step();
  step.mode = {};
  if (!CheckEqualColumns(check, "the stream", &spec.on) ||
      !AddBothSides(check, "the stream", spec.on, spec.outer, &spec.columns)) {
    return false;
  }
  for (const size_t s : {0, 1}) {
    check.in(s).needs = check.in(s).needs.With(Hidden::kWatermark);
    check.in(s).together = spec.on[s];
  }
  step.window_columns.reset();
  step.ordered = false;
  step.spec = std::move(spec);
  return true;
}

const OperatorKind& StreamJoinSpec::Kind() {
  static const StreamJoinKind kind;
  return kind;
}

}  // namespace tidemark
