// The join with the versions of a table's rows, as the planner and others see it.
#include <algorithm>
#include <numeric>

#include <absl/strings/str_cat.h>

#include "operators/join/both_sides.h"
#include "operators/join/versioned.h"
#include "operators/join/versioned_spec.h"
#include "operators/rows/spec.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

class VersionedJoinKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "join"; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<VersionedJoinSpec>();
    return absl::StrCat(spec.left ? "left" : "inner", " join with versions of a ",
                        spec.changes ? "changing table on (" : "table on (", ColumnNames(node.in(0).schema, spec.on[0]),
                        ") = (", ColumnNames(node.in(1).schema, spec.on[1]), ") as of ",
                        spec.as_of.empty() ? "the row's time" : spec.as_of, ", kept ", FormatDuration(spec.keep_us),
                        ", grace ", FormatDuration(spec.grace_us));
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return VersionedJoin::Make(node, node.spec.As<VersionedJoinSpec>());
  }

  int64_t HoldsUs(const Node& node) const override {
    const auto& spec = node.spec.As<VersionedJoinSpec>();
    return spec.grace_us + spec.most_ahead_us() + 1;
  }

  // Rows that wait are kept whole; what is kept of versions is said by the step alone, whoever reads it.
  bool Reads(const Node& node, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* read) const override {
    const auto& spec = node.spec.As<VersionedJoinSpec>();
    if (spec.late_topic) return false;
    (*read)[0].assign((*read)[0].size(), true);
    for (const size_t c : Keeps(node, 1)) (*read)[1][c] = true;
    if (!spec.deleted.empty()) ReadBy(spec.deleted, node.in(1).schema, &(*read)[1]);
    return true;
  }
  void Renumber(size_t port, const ColumnList& position, Node* node) const override {
    auto& spec = node->spec.As<VersionedJoinSpec>();
    for (size_t& c : spec.on[port]) c = position[c];
    if (port == 0) return;
    for (size_t& c : spec.columns) c = position[c];
  }

  std::string Fingerprint(const Node& node) const override {
    const auto& spec = node.spec.As<VersionedJoinSpec>();
    const Schema& table = node.in(1).schema;
    return absl::StrCat("versioned join by ", ColumnTypes(node.in(0).schema, spec.on[0]), " and ",
                        ColumnTypes(table, spec.on[1]), " of ", ColumnTypes(node.in(0).schema, Keeps(node, 0)), " and ",
                        ColumnTypes(table, spec.columns), spec.changes ? ", changes" : "");
  }
  ColumnList Keeps(const Node& node, size_t port) const override {
    const auto& spec = node.spec.As<VersionedJoinSpec>();
    ColumnList kept = spec.columns;
    if (port == 0) {
      kept.resize(node.in(0).schema.size());
      std::iota(kept.begin(), kept.end(), size_t{0});
      return kept;
    }
    for (const size_t c : spec.on[1]) {
      if (std::find(kept.begin(), kept.end(), c) == kept.end()) kept.push_back(c);
    }
    return kept;
  }
  std::optional<PortColumn> Origin(const Node& node, size_t column) const override {
    const size_t stream = node.in(0).schema.size();
    if (column < stream) return PortColumn(column, 0);
    return PortColumn(node.spec.As<VersionedJoinSpec>().columns[column - stream], 1);
  }
};

constexpr char kOf[] = "the table";

std::string OrOnClose(const LogicalPort& port) {
  if (port.closes.empty()) return "";
  return absl::StrCat(": say emit: on_close in step ", port.closes,
                      ", which gives each of its rows once, when it is the last");
}

// The stream's rows stand; the table's stand too, or are those of a source of changes, each of which has a time and a
// place of its own. Update steps that emit at commits have neither: which rows there were depends on when these were.
bool CheckSides(StepCheck& check) {
  const LogicalPort &stream = check.in(0), &table = check.in(1);
  if (stream.mode.update) {
    return check.Error(
        "from", absl::StrCat("rows of the input replace each other (key ", ColumnNames(stream.schema, stream.mode.key),
                             "), and those of a join with versions stand: join before the updating step, or join two "
                             "tables, with an updating step as `table.from` and without `versioned`",
                             OrOnClose(stream)));
  }
  if (!table.mode.update || table.ordered) return true;
  return check.Error(
      "join/table/from",
      absl::StrCat("rows of the table are replaced when something is committed, so which of them there were at a time "
                   "depends on commits",
                   table.closes.empty()
                       ? ". A table of versions is a source, one of changes (`key`) too, or a step whose rows stand: a "
                         "window with emit: on_close, or `over`, which has a running aggregate as of each row. For the "
                         "rows that "
                         "both have now make a table of the input too"
                       : OrOnClose(table)));
}

// Changes of one row must meet in one key, and no other row in it.
bool CheckTableKey(StepCheck& check, const VersionedJoinSpec& spec) {
  if (!spec.changes) return true;
  for (const char* field : {"join/grace", "join/late"}) {
    if (!check.Present(field)) continue;
    return check.Error(field,
                       "rows of the table replace each other, in their order: none of them is late, so leave it out");
  }
  const Schema& table = check.in(1).schema;
  for (const size_t c : check.in(1).mode.key) {
    if (std::find(spec.on[1].begin(), spec.on[1].end(), c) != spec.on[1].end()) continue;
    return check.Error(
        "join/on", absl::StrCat("rows of the table replace each other by (", ColumnNames(table, check.in(1).mode.key),
                                "), and `on` must name all of these: without '", table[c].name,
                                "' several of them would be versions of one, and the end of one the end of all"));
  }
  return true;
}

bool CheckAsOf(StepCheck& check, VersionedJoinSpec* spec) {
  spec->as_of = check.yaml().join().as_of();
  if (!check.Present("join/as_of")) return true;
  const auto as_of = check.Compile<Expression>(spec->as_of, "join/as_of", 0);
  if (!as_of) return false;
  check.step().may_fail = true;
  if (as_of->type().kind == Kind::kTimestamp) return true;
  return check.Error("join/as_of", absl::StrCat("expected a time (a timestamp), this is ", TypeName(as_of->type())));
}

bool CheckDeleted(StepCheck& check, VersionedJoinSpec* spec) {
  spec->deleted = check.yaml().join().versioned().deleted();
  if (!check.Present("join/versioned/deleted")) return true;
  const auto deleted = check.Compile<Expression>(spec->deleted, "join/versioned/deleted", 1);
  if (!deleted) return false;
  check.step().may_fail = check.step().may_fail || deleted->fallible();
  if (deleted->type().kind == Kind::kBool) return true;
  return check.Error("join/versioned/deleted",
                     absl::StrCat("expected a condition (bool), this is ", TypeName(deleted->type())));
}

}  // namespace

bool CheckVersionedJoinAlone(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (yaml.on().empty() && !check.Broken("join/on")) check.Error("join/on", "at least one column is needed");
  if (check.Present("join/within")) check.Error("join/within", "'within' goes with `stream`, not with `table`");
  if (yaml.late().has_left()) {
    check.Error("join/late/left",
                "rows of the stream are never late for a table's versions; `late: { right: ... }` is");
  }
  if (yaml.type() == "right" || yaml.type() == "full") {
    check.Error(
        "join/type",
        "a table's rows come with none of the stream's: `right` and `full` go with `stream`, and with a join of "
        "two tables, without `versioned`");
  }
  if (check.Present("join/versioned/ahead") && yaml.as_of().empty()) {
    check.Error("join/versioned/ahead", "'ahead' goes with `as_of`: a row's own time isn't ahead of it");
  }
  if (yaml.has_unmatched()) {
    check.AddSide({kUnmatched, yaml.unmatched().topic(), 0}, "join/unmatched/topic");
    if (yaml.type() == "left") {
      check.Error("join/unmatched", "a left join keeps unmatched rows; `unmatched` goes with an inner join");
    }
  }
  if (yaml.late().has_right()) check.AddSide({kLateVersions, yaml.late().right(), 1}, "join/late/right");
  return !check.Broken();
}

bool CheckVersionedJoin(StepCheck& check) {
  const topology::Join& yaml = check.yaml().join();
  if (check.in(0).mode.update && check.in(1).mode.update) {
    return check.Error(
        "join/versioned",
        "rows of both sides replace each other: leave out `versioned`, and they are joined as tables, whose "
        "result is an updating step too");
  }
  if (!CheckSides(check)) return false;
  VersionedJoinSpec spec;
  spec.left = yaml.type() == "left";
  spec.changes = check.in(1).mode.update;
  spec.keep_us = yaml.has_versioned() ? yaml.versioned().keep() : kDefaultKeepUs;
  spec.ahead_us = yaml.versioned().has_ahead() ? yaml.versioned().ahead() : kSecond;
  spec.grace_us = yaml.grace();
  spec.expired_unmatched = yaml.versioned().on_expired() == "unmatched";
  spec.unmatched_topic = yaml.has_unmatched();
  spec.late_topic = yaml.late().has_right();
  LogicalStep& step = check.step();
  step.mode = {};
  step.may_fail = !spec.expired_unmatched;
  const bool times = CheckAsOf(check, &spec), deleted = CheckDeleted(check, &spec);
  if (!CheckEqualColumns(check, kOf, &spec.on) || !CheckTableKey(check, spec) || !times || !deleted ||
      !AddBothSides(check, kOf, spec.on, {spec.left, false}, &spec.columns)) {
    return false;
  }
  for (const size_t s : {0, 1}) {
    for (const Hidden h : {Hidden::kWatermark, Hidden::kSource, Hidden::kPartition, Hidden::kOffset}) {
      check.in(s).needs = check.in(s).needs.With(h);
    }
    check.in(s).together = spec.on[s];
  }
  step.spec = std::move(spec);
  return true;
}

const OperatorKind& VersionedJoinSpec::Kind() {
  static const VersionedJoinKind kind;
  return kind;
}

}  // namespace tidemark
