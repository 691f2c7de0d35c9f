// The join of two tables that change, as the planner and others see it.
#include <algorithm>
#include <numeric>

#include <absl/strings/str_cat.h>

#include "operators/join/both_sides.h"
#include "operators/join/tables.h"
#include "operators/join/tables_spec.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

constexpr char kOf[] = "the table";

class TableJoinKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "join"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<TableJoinSpec>();
    return absl::StrCat(TypeOf(spec), " join of tables on (", ColumnNames(node.in(0).schema, spec.on[0]), ") = (",
                        ColumnNames(node.in(1).schema, spec.on[1]), "), rows of both are kept");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return std::make_unique<TableJoin>(node, node.spec.As<TableJoinSpec>());
  }

  // Its rows are new rows.
  bool PassesRows(const Node& /*node*/, size_t /*port*/) const override { return false; }
  // What is kept is said by the step alone, whoever reads it.
  bool Reads(const Node& node, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* read) const override {
    for (const size_t s : {0, 1}) {
      for (const size_t c : Keeps(node, s)) (*read)[s][c] = true;
    }
    return true;
  }
  void Renumber(size_t port, const ColumnList& position, Node* node) const override {
    auto& spec = node->spec.As<TableJoinSpec>();
    for (size_t& c : spec.on[port]) c = position[c];
    for (size_t& c : spec.key[port]) c = position[c];
    if (port == 0) return;
    for (size_t& c : spec.columns) c = position[c];
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<TableJoinSpec>();
    std::string text = absl::StrCat("table join ", TypeOf(spec));
    for (const size_t s : {0, 1}) {
      const Schema& schema = node.in(s).schema;
      absl::StrAppend(&text, s == 0 ? " of " : " and ", ColumnTypes(schema, Keeps(node, s)), " by ",
                      ColumnTypes(schema, spec.on[s]), " and ", ColumnTypes(schema, spec.key[s]));
    }
    return text;
  }
  ColumnList Keeps(const Node& node, size_t port) const override {
    return node.spec.As<TableJoinSpec>().kept(port, node.in(0).schema.size());
  }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    const size_t left = node.in(0).schema.size();
    if (column < left) return PortColumn(column, 0);
    return PortColumn(node.spec.As<TableJoinSpec>().columns[column - left], 1);
  }

 private:
  static std::string TypeOf(const TableJoinSpec& spec) {
    if (spec.outer[0]) return spec.outer[1] ? "full" : "left";
    return spec.outer[1] ? "right" : "inner";
  }
};

bool Contains(const ColumnList& list, size_t column) {
  return std::find(list.begin(), list.end(), column) != list.end();
}

// The left's rows replace each other: where they stand, it is a join with versions.
bool NeedsTables(StepCheck& check) {
  if (check.in(1).mode.update) return true;
  return check.Error("join/table/from",
                     "rows of the table stand for good, and those of the input replace each other: a join of two "
                     "tables needs both to do so. Make a table of the former, a source with `key`, or a group_by with "
                     "emit: on_update and aggregates such as last(x)");
}

bool RefuseOfStreams(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  for (const char* field : {"as_of", "grace", "late"}) {
    const std::string path = absl::StrCat("join/", field);
    if (!check.Present(path)) continue;
    check.Error(path, absl::StrCat("'", field,
                                   "' goes with versioned: { keep: 1d }, which gives each row the table's row of its "
                                   "own time; a join of two tables has the rows that both have now"));
  }
  if (yaml.has_unmatched()) {
    check.Error(
        "join/unmatched",
        "rows of a join of tables come to match and cease to: no topic can hold those without; with type: left, "
        "right or full they come with NULLs");
  }
  return !check.Broken();
}

// With NULL in a column of `on` a row of either outer side stands alone: two of them mustn't have one key.
bool CheckRowsAlone(StepCheck& check, const TableJoinSpec& spec) {
  if (!spec.outer[0] || !spec.outer[1]) return true;
  const auto nullable = [&](size_t side, size_t c) { return check.in(side).schema[c].nullable; };
  for (const size_t s : {0, 1}) {
    if (!std::all_of(spec.key[s].begin(), spec.key[s].end(), [&](size_t c) { return nullable(s, c); })) return true;
  }
  for (size_t i = 0; i < spec.on[0].size(); ++i) {
    const size_t left = spec.on[0][i], right = spec.on[1][i];
    if (!nullable(0, left) || !nullable(1, right)) continue;
    return check.Error(
        "join/type",
        absl::StrCat("'", check.in(0).schema[left].name, "' of the input and '", check.in(1).schema[right].name,
                     "' of the table may both be NULL, and rows with NULL match nothing: of a full join "
                     "one of each side would stand, with one key. Make one of them a value in a project "
                     "step, as coalesce(x, '') does"));
  }
  return true;
}

// Rows of the output are told apart by what tells the left's apart, what tells the right's apart, and `on`, by which
// they may be moved.
bool CheckKey(StepCheck& check, TableJoinSpec* spec) {
  StepMode& mode = check.step().mode;
  mode.update = true;
  mode.key = check.in(0).mode.key;
  for (const size_t c : spec->on[0]) {
    if (!Contains(mode.key, c)) mode.key.push_back(c);
  }
  const Schema& right = check.in(1).schema;
  for (const size_t c : spec->key[1]) {
    const auto at = std::find(spec->columns.begin(), spec->columns.end(), c);
    if (at == spec->columns.end()) {
      return check.Error("join/columns",
                         absl::StrCat("rows of the table replace each other by (",
                                      ColumnNames(right, check.in(1).mode.key), "): keep column ", right[c].name,
                                      ", by which several of them that match one row are told apart"));
    }
    mode.key.push_back(check.in(0).schema.size() + static_cast<size_t>(at - spec->columns.begin()));
  }
  return true;
}

}  // namespace

ColumnList TableJoinSpec::kept(size_t side, size_t left_columns) const {
  ColumnList kept = columns;
  if (side == 0) {
    kept.resize(left_columns);
    std::iota(kept.begin(), kept.end(), size_t{0});
  }
  for (const ColumnList* more : {&on[side], &key[side]}) {
    for (const size_t c : *more) {
      if (!Contains(kept, c)) kept.push_back(c);
    }
  }
  return kept;
}

bool CheckTableFromAlone(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (yaml.on().empty() && !check.Broken("join/on")) check.Error("join/on", "at least one column is needed");
  if (check.Present("join/within")) check.Error("join/within", "'within' goes with `stream`, not with `table`");
  return !check.Broken();
}

bool CheckTableJoin(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (!NeedsTables(check) || !RefuseOfStreams(check)) return false;
  TableJoinSpec spec;
  spec.outer = {yaml.type() == "left" || yaml.type() == "full", yaml.type() == "right" || yaml.type() == "full"};
  LogicalStep& step = check.step();
  if (!CheckEqualColumns(check, kOf, &spec.on) || !AddBothSides(check, kOf, spec.on, spec.outer, &spec.columns)) {
    return false;
  }
  for (const size_t s : {0, 1}) {
    for (const size_t c : check.in(s).mode.key) {
      if (!Contains(spec.on[s], c)) spec.key[s].push_back(c);
    }
    check.in(s).together = spec.on[s];
  }
  if (!CheckRowsAlone(check, spec) || !CheckKey(check, &spec)) return false;
  step.window_columns.reset();
  step.ordered = false;
  step.timely = false;  // a row stands for as long as both tables have theirs
  step.closes.clear();
  step.spec = std::move(spec);
  return true;
}

const OperatorKind& TableJoinSpec::Kind() {
  static const TableJoinKind kind;
  return kind;
}

}  // namespace tidemark
