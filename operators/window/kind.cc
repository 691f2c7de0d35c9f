// Windows and group_by, as others than the planner's check see them.
#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/window/hopping.h"
#include "operators/window/panes.h"
#include "operators/window/partial.h"
#include "operators/window/partial_schema.h"
#include "operators/window/results.h"
#include "operators/window/sessions.h"
#include "operators/window/spec.h"
#include "src/expr/expression.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

// Positions in `rows` of what the aggregates read, ascending, none twice.
ColumnList ArgumentsOf(const WindowSpec& spec) {
  std::set<size_t> columns;
  for (const AggregateItem& item : spec.aggregates) {
    const auto aggregate = Aggregate::Compile(item.expression, spec.rows);
    if (!aggregate.ok()) continue;
    for (const size_t column : aggregate->columns()) columns.insert(column);
  }
  return {columns.begin(), columns.end()};
}

class WindowKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "window"; }
  std::string Describe(const Node& node) const override;

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    if (spec.gap_us > 0) return MakeSessionResults(node, spec);
    if (spec.phase == OperatorPhase::kPartial) return MakeWindowPartial(node, spec);
    return panes::Shared(spec) ? MakeHoppingResults(node, spec) : MakeWindowResults(node, spec);
  }

  OperatorPhase phase(const Node& node) const override { return node.spec.As<WindowSpec>().phase; }
  std::optional<TwoPhases> Split(const OperatorSpec& spec) const override;
  int64_t HoldsUs(const Node& node) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    return std::max(spec.size_us, spec.cumulative_us) + spec.gap_us + spec.grace_us + (spec.gap_us > 0 ? 1 : 0);
  }

  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }
  bool Reads(const Node& node, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* read) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    if (spec.phase == OperatorPhase::kFinal || spec.late_topic) return false;
    for (const size_t c : spec.group_by) (*read)[0][c] = true;
    for (const size_t c : ArgumentsOf(spec)) (*read)[0][c] = true;
    return true;
  }
  void Renumber(size_t /*port*/, const ColumnList& position, Node* node) const override {
    auto& spec = node->spec.As<WindowSpec>();
    for (size_t& c : spec.group_by) c = position[c];
    spec.rows = node->in().schema;
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    if (spec.phase == OperatorPhase::kPartial) return "";
    std::string text = spec.gap_us > 0 ? absl::StrCat("sessions ", spec.gap_us, "us apart ")
                                       : absl::StrCat("window ", spec.size_us, "us every ", spec.every_us, "us ");
    if (spec.calendar) text = absl::StrCat("window of a calendar ", spec.calendar_unit, " in ", spec.time_zone, " ");
    if (spec.cumulative_us > 0) absl::StrAppend(&text, "cumulative ", spec.cumulative_us, "us ");
    if (spec.offset_us != 0) absl::StrAppend(&text, "from ", spec.offset_us, "us ");
    absl::StrAppend(&text, "by ", ColumnTypes(spec.rows, spec.group_by), ":");
    for (const AggregateItem& item : spec.aggregates) absl::StrAppend(&text, " ", item.expression, ";");
    // Other values are kept where rows are taken back, and partials don't tell.
    if (spec.input_updates) absl::StrAppend(&text, " of changes");
    // Which goes on with what was kept for each window (src/runtime/widening.h), and no former version with it.
    if (panes::Shared(spec)) absl::StrAppend(&text, " in panes");
    return text;
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    ColumnList columns = spec.group_by;
    for (const size_t c : ArgumentsOf(spec)) columns.push_back(c);
    return columns;
  }
  std::string Aggregated(const Node& node) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    return absl::StrJoin(ArgumentsOf(spec), ", ", [&](std::string* out, size_t c) {
      absl::StrAppend(out, spec.rows[c].name, " ", TypeName(spec.rows[c].type));
    });
  }
  std::vector<GrownFrom> Grown(const OperatorSpec& spec) const override;
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    const auto& spec = node.spec.As<WindowSpec>();
    if (column >= spec.group_by.size()) return std::nullopt;
    return spec.phase == OperatorPhase::kFinal ? column : spec.group_by[column];
  }
  bool KeepsTime(const Node& /*node*/) const override { return false; }
};

// Without the last ones, and then without one of the others.
std::vector<GrownFrom> WindowKind::Grown(const OperatorSpec& spec) const {
  std::vector<GrownFrom> grown;
  const std::vector<AggregateItem>& aggregates = spec.As<WindowSpec>().aggregates;
  const auto n = static_cast<int64_t>(aggregates.size());
  const auto without = [&](int64_t begin, int64_t end) {
    GrownFrom& from = grown.emplace_back(GrownFrom{.former = spec, .at_end = end == n});
    std::vector<AggregateItem>& former = from.former.As<WindowSpec>().aggregates;
    former.erase(former.begin() + begin, former.begin() + end);
    for (int64_t i = begin; i < end; ++i) from.added.push_back(aggregates[static_cast<size_t>(i)].name);
    from.said = from.at_end && aggregates[static_cast<size_t>(begin)].from_now;
  };
  for (int64_t last = n - 1; last > 0; --last) without(last, n);
  for (int64_t one = 0; one + 1 < n; ++one) without(one, one + 1);
  return grown;
}

std::string WindowKind::Describe(const Node& node) const {
  const auto& spec = node.spec.As<WindowSpec>();
  std::string out;
  if (spec.gap_us > 0) {
    out = absl::StrCat("sessions, gap ", FormatDuration(spec.gap_us), ", grace ", FormatDuration(spec.grace_us));
  } else if (spec.size_us == 0) {
    out = "aggregate over all time";
  } else if (spec.calendar) {
    out = absl::StrCat("window of a ", spec.calendar_unit, " in ", spec.time_zone, ", grace ",
                       FormatDuration(spec.grace_us));
  } else if (spec.cumulative_us > 0) {
    out = absl::StrCat("cumulative window ", FormatDuration(spec.cumulative_us), " every ",
                       FormatDuration(spec.every_us), ", grace ", FormatDuration(spec.grace_us));
  } else if (spec.every_us == spec.size_us) {
    out = absl::StrCat("tumbling window ", FormatDuration(spec.size_us), ", grace ", FormatDuration(spec.grace_us));
  } else {
    out = absl::StrCat("hopping window ", FormatDuration(spec.size_us), " every ", FormatDuration(spec.every_us),
                       ", grace ", FormatDuration(spec.grace_us));
  }
  if (spec.offset_us != 0) absl::StrAppend(&out, ", offset ", FormatDuration(spec.offset_us));
  absl::StrAppend(&out, ", group by (", ColumnNames(spec.rows, spec.group_by),
                  "): ", absl::StrJoin(spec.aggregates, ", ", [](std::string* s, const AggregateItem& item) {
                    absl::StrAppend(s, item.name, " = ", item.expression, item.from_now ? " from now on" : "");
                  }));
  absl::StrAppend(&out,
                  spec.every_record ? ", on every record"
                  : spec.on_update  ? ", on update"
                                    : ", on close",
                  spec.keep_us > 0 ? ", keep " + FormatDuration(spec.keep_us) : "",
                  spec.late_topic ? ", late to " + *spec.late_topic : "");
  if (spec.phase == OperatorPhase::kPartial) return "partial phase of: " + out;
  if (spec.phase == OperatorPhase::kFinal) return "final phase of: " + out;
  return out;
}

// Groups stand first in partials and in results. One group for everything is spread by its windows.
std::optional<TwoPhases> WindowKind::Split(const OperatorSpec& spec) const {
  auto phase = spec.As<WindowSpec>();
  // Partials are of commits, and of windows whose ends are known.
  if (phase.every_record || phase.gap_us > 0) return std::nullopt;
  const PartialLayout layout = MakePartialLayout(phase);
  TwoPhases out;
  out.between = layout.schema;
  // Cumulative windows of one start go on into each other, in one task.
  if (layout.window_start && phase.cumulative_us == 0) out.spread.emplace(*layout.window_start, phase.group_by.size());
  phase.phase = OperatorPhase::kPartial;
  out.partial = phase;
  phase.phase = OperatorPhase::kFinal;
  out.final = std::move(phase);
  return out;
}

}  // namespace

const OperatorKind& WindowSpec::Kind() {
  static const WindowKind kind;
  return kind;
}

}  // namespace tidemark
