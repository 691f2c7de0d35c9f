// `join` in a step: with a global table, which stands here, with another stream (streams_kind.cc), with the versions of
// a table of a step's rows (versioned_kind.cc), or of two tables (tables_kind.cc); and joins with global tables as the
// planner and others see them.
#include <algorithm>
#include <map>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/type.h>

#include "operators/join/join.h"
#include "operators/join/spec.h"
#include "operators/join/streams_spec.h"
#include "operators/join/tables_spec.h"
#include "operators/join/versioned_spec.h"
#include "src/base/suggest.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

class JoinKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "join"; }
  WholeBatches whole_batches() const override { return WholeBatches::kKeeps; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<JoinSpec>();
    ColumnList on;
    for (const auto& [stream, table] : spec.on) on.push_back(stream);
    return absl::StrCat(spec.left ? "left" : "inner", " join with ", spec.table, " on (",
                        ColumnNames(node.in().schema, on), ")",
                        spec.unmatched_topic ? ", unmatched to " + *spec.unmatched_topic : "");
  }

  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return std::make_unique<JoinOperator>(node, node.spec.As<JoinSpec>());
  }

  // Behind the columns of the input stand those of the table.
  bool LeavesOut(const Node& /*node*/, size_t port) const override { return port == 0; }
  bool Reads(const Node& node, const ColumnFlags& wanted, std::vector<ColumnFlags>* read) const override {
    const auto& spec = node.spec.As<JoinSpec>();
    ColumnFlags& stream = (*read)[0];
    std::copy_n(wanted.begin(), stream.size(), stream.begin());
    for (const auto& [column, table] : spec.on) stream[column] = true;
    return !spec.unmatched_topic;
  }
  void Renumber(size_t /*port*/, const ColumnList& position, Node* node) const override {
    for (auto& [stream, table] : node->spec.As<JoinSpec>().on) stream = position[stream];
  }
  void KeepMade(const ColumnList& made, Node* node) const override {
    auto& columns = node->spec.As<JoinSpec>().columns;
    ColumnList kept;
    for (const size_t c : made) kept.push_back(columns[c]);
    columns = std::move(kept);
  }

  std::string Made(const Node& node, size_t column) const override {
    return absl::StrCat("table ", node.spec.As<JoinSpec>().table, " ", node.output[column].name);
  }
};

class Join final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "join"; }
  std::vector<PortNames> Ports(const topology::Step& yaml) const override;
  std::vector<std::string> Tables(const topology::Step& yaml) const override {
    const topology::JoinTable& table = yaml.join().table();
    return table.has_name() ? std::vector<std::string>{table.name()} : std::vector<std::string>();
  }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;

 private:
  static const TablePlan* Table(const StepCheck& check);
  static bool Versioned(const StepCheck& check) {
    return check.Present("join/versioned") || check.Broken("join/versioned");
  }
  static void RefuseVersions(StepCheck& check, std::string_view why);
  static bool CheckOn(const TablePlan& table, StepCheck& check, JoinSpec* spec);
  static bool AddColumns(const TablePlan& table, StepCheck& check, JoinSpec* spec);
};

std::vector<PortNames> Join::Ports(const topology::Step& yaml) const {
  if (!yaml.join().table().from().empty()) {
    const bool versioned = yaml.join().has_versioned();
    return {{versioned ? "stream" : "left", "from", true, {yaml.from().begin(), yaml.from().end()}},
            {versioned ? "table" : "right",
             "join/table/from",
             true,
             {yaml.join().table().from().begin(), yaml.join().table().from().end()}}};
  }
  if (yaml.join().stream().empty()) return OperatorSyntax::Ports(yaml);
  return {{"left", "from", true, {yaml.from().begin(), yaml.from().end()}},
          {"right", "join/stream", true, {yaml.join().stream().begin(), yaml.join().stream().end()}}};
}

bool Join::CheckOn(const TablePlan& table, StepCheck& check, JoinSpec* spec) {
  const Schema& input = check.in().schema;
  const Schema columns = table.schema();
  std::vector<std::string> key_names;
  for (const size_t k : table.key) key_names.push_back(columns[k].name);
  std::map<size_t, size_t> stream_of;  // by table column
  for (const topology::Entry& on : check.yaml().join().on()) {
    const std::string field = "join/on/" + on.name();
    const std::string& table_name = on.value().empty() ? on.name() : on.value();
    const auto left = input.Find(on.name());
    const auto right = columns.Find(table_name);
    if (!left) {
      check.Error(field,
                  absl::StrCat("unknown column '", on.name(), "' of the input", DidYouMean(on.name(), input.Names())));
    }
    if (!right || std::find(table.key.begin(), table.key.end(), *right) == table.key.end()) {
      check.Error(field, absl::StrCat("'", table_name, "' isn't a key column of table ", table.name,
                                      DidYouMean(table_name, key_names)));
    } else if (left && input[*left].type.kind == Kind::kJson) {
      check.Error(field, absl::StrCat("column ", on.name(), kJsonIsNoKey));
    } else if (left && ArrowType(input[*left].type)->ToString() != ArrowType(columns[*right].type)->ToString()) {
      check.Error(
          field, absl::StrCat("'", on.name(), "' is ", TypeName(input[*left].type), ", but '", table_name,
                              "' of table ", table.name, " is ", TypeName(columns[*right].type), "; cast one of them"));
    } else if (left && !stream_of.emplace(*right, *left).second) {
      check.Error(field, absl::StrCat("'", table_name, "' of table ", table.name, " stands here twice"));
    }
  }
  if (check.Broken()) return false;
  for (const size_t k : table.key) {
    if (!stream_of.contains(k)) {
      return check.Error(
          "join/on", absl::StrCat("the whole key of table ", table.name, " is needed (", absl::StrJoin(key_names, ", "),
                                  "): ", columns[k].name, " is missing"));
    }
    spec->on.emplace_back(stream_of.at(k), k);
  }
  return true;
}

bool Join::AddColumns(const TablePlan& table, StepCheck& check, JoinSpec* spec) {
  const Schema columns = table.schema();
  if (check.Present("join/columns")) {
    const auto named = check.Find(check.yaml().join().columns(), "join/columns", columns, "table " + table.name);
    if (!named) return false;
    spec->columns = *named;
  } else {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (std::find(table.key.begin(), table.key.end(), i) == table.key.end()) spec->columns.push_back(i);
    }
  }
  for (const size_t c : spec->columns) {
    Column column = columns[c];
    column.name = check.yaml().join().prefix() + column.name;
    column.nullable = column.nullable || spec->left;
    if (check.step().output.Find(column.name)) {
      return check.Error("join", absl::StrCat("the input has a column '", column.name,
                                              "' already; use prefix, or name others in columns"));
    }
    if (!check.AddOutput(column, std::nullopt, "join")) return false;
  }
  return true;
}

void Join::RefuseVersions(StepCheck& check, std::string_view why) {
  for (const char* field : {"versioned", "as_of"}) {
    const std::string path = absl::StrCat("join/", field);
    if (check.Present(path)) check.Error(path, absl::StrCat("'", field, "' ", std::string(why)));
  }
}

const TablePlan* Join::Table(const StepCheck& check) {
  const auto table = std::find_if(check.plan().tables.begin(), check.plan().tables.end(),
                                  [&](const TablePlan& t) { return t.name == check.yaml().join().table().name(); });
  return table == check.plan().tables.end() ? nullptr : &*table;
}

bool Join::CheckAlone(StepCheck& check) const {
  const topology::Join& yaml = check.yaml().join();
  if (!yaml.stream().empty() || check.Broken("join/stream")) {
    if (yaml.has_table()) return check.Error("join", "a join is with a `table` or with a `stream`, not with both");
    RefuseVersions(check, "goes with `table: { from: STEP }`, not with `stream`");
    return CheckStreamJoinAlone(check);
  }
  if (!yaml.table().from().empty() || check.Broken("join/table/from")) {
    if (yaml.table().has_name()) {
      return check.Error("join/table", "a table is one of `tables:`, by its name, or `from` a step; not both");
    }
    return Versioned(check) ? CheckVersionedJoinAlone(check) : CheckTableFromAlone(check);
  }
  if (!yaml.table().has_name() && !check.Broken("join/table")) {
    return check.Error("join", "a join is with a `table` or with a `stream`: name one");
  }
  if (check.Present("join/within")) check.Error("join/within", "'within' goes with `stream`, not with `table`");
  for (const char* field : {"grace", "late"}) {
    const std::string path = absl::StrCat("join/", field);
    if (!check.Present(path)) continue;
    check.Error(path, absl::StrCat("'", field,
                                   "' goes with `stream` or `table: { from: STEP }`: of a table of `tables:` nothing "
                                   "is late"));
  }
  RefuseVersions(check,
                 "goes with `table: { from: STEP }`: of a table of `tables:` no versions are kept. Read its topic as a "
                 "source, and join with `table: { from: SOURCE }`");
  if (yaml.type() == "right" || yaml.type() == "full") {
    check.Error("join/type", "a table's rows come with none of the stream's: `right` and `full` go with `stream`");
  }
  // Whatever else is wrong with the step; a table that couldn't be read has been reported.
  if (Table(check) == nullptr && !yaml.table().name().empty()) {
    std::vector<std::string> names;
    for (const TablePlan& t : check.plan().tables) names.push_back(t.name);
    check.Error("join/table",
                absl::StrCat("unknown table '", yaml.table().name(), "'",
                             names.empty() ? "; there is no `tables:`" : DidYouMean(yaml.table().name(), names)));
  }
  if (yaml.has_unmatched()) {
    check.AddSide({"unmatched", yaml.unmatched().topic()}, "join/unmatched/topic");
    if (yaml.type() == "left")
      check.Error("join/unmatched", "a left join keeps unmatched rows; `unmatched` goes with an inner join");
  }
  return !check.Broken();
}

bool Join::Check(StepCheck& check) const {
  if (!check.yaml().join().stream().empty()) return CheckStreamJoin(check);
  if (!check.yaml().join().table().from().empty()) {
    if (Versioned(check)) return CheckVersionedJoin(check);
    if (check.in(0).mode.update) return CheckTableJoin(check);
    // Rows meet the table's row of their own time: versions kept for as long as nothing is said.
    if (check.Present("join/as_of")) {
      return check.Error("join/as_of", "'as_of' goes with versioned: { keep: 1d }: how far back may it ask?");
    }
    check.in(0).name = "stream";  // as with `versioned`, which may be said later
    check.in(1).name = "table";
    return CheckVersionedJoinAlone(check) && CheckVersionedJoin(check);
  }
  const topology::Join& yaml = check.yaml().join();
  const TablePlan* table = Table(check);
  if (check.TableBroken(table->name)) return false;
  check.SameColumns();
  JoinSpec spec;
  spec.table = table->name;
  spec.left = yaml.type() == "left";
  if (yaml.has_unmatched()) {
    spec.unmatched_topic = yaml.unmatched().topic();
    if (check.in().mode.update)
      check.Error("join/unmatched", "rows of an updating step replace each other: no topic can hold them");
  }
  // What takes a row back meets the table as it is then, and not the version that the row was joined with: rows would
  // be left standing that nothing ever takes back.
  const bool one_file = !table->changes() && table->file.find_first_of("*?") == std::string::npos &&
                        !absl::StartsWith(table->file, "s3://");
  if (check.in().mode.update && !one_file) {
    check.Error(
        "join/table",
        absl::StrCat(
            "rows of an updating step (key ", ColumnNames(check.in().schema, check.in().mode.key),
            ") can't be joined with table ", table->name,
            ", which changes while they stand: join before the updating step, use "
            "emit: on_close there, read the table from a file, one local file without `reload`, or make "
            "an updating step of it too, a source of changes (a table of a topic with `global: false` is one) or "
            "a group_by, and join with `table: { from: STEP }`"));
  }
  if (!CheckOn(*table, check, &spec) || !AddColumns(*table, check, &spec) || check.Broken()) return false;
  check.step().spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorKind& JoinSpec::Kind() {
  static const JoinKind kind;
  return kind;
}
const OperatorSyntax& JoinSyntax() {
  static const Join syntax;
  return syntax;
}

}  // namespace tidemark
