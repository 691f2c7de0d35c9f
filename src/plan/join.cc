// Joins with global tables.
#include <algorithm>
#include <map>

#include <absl/strings/str_join.h>
#include <arrow/type.h>

#include "src/base/suggest.h"
#include "src/plan/operator_check.h"

namespace tidemark {

bool OperatorCheck::JoinOn(const TablePlan& table, JoinSpec* spec) {
  const Schema columns = table.schema();
  std::vector<std::string> key_names;
  for (const size_t k : table.key) key_names.push_back(columns[k].name);
  std::map<size_t, size_t> stream_of;  // by table column
  for (const topology::Entry& on : yaml_.join().on()) {
    const std::string field = "join/on/" + on.name();
    const std::string& table_name = on.value().empty() ? on.name() : on.value();
    const auto left = step_.input.Find(on.name());
    const auto right = columns.Find(table_name);
    if (!left) {
      Error(field,
            absl::StrCat("unknown column '", on.name(), "' of the input", DidYouMean(on.name(), step_.input.Names())));
    }
    if (!right || std::find(table.key.begin(), table.key.end(), *right) == table.key.end()) {
      Error(field, absl::StrCat("'", table_name, "' isn't a key column of table ", table.name,
                                DidYouMean(table_name, key_names)));
    } else if (left && ArrowType(step_.input[*left].type)->ToString() != ArrowType(columns[*right].type)->ToString()) {
      Error(field,
            absl::StrCat("'", on.name(), "' is ", TypeName(step_.input[*left].type), ", but '", table_name,
                         "' of table ", table.name, " is ", TypeName(columns[*right].type), "; cast one of them"));
    } else if (left && !stream_of.emplace(*right, *left).second) {
      Error(field, absl::StrCat("'", table_name, "' of table ", table.name, " stands here twice"));
    }
  }
  if (Broken()) return false;
  for (const size_t k : table.key) {
    if (!stream_of.contains(k)) {
      return Error("join/on", absl::StrCat("the whole key of table ", table.name, " is needed (",
                                           absl::StrJoin(key_names, ", "), "): ", columns[k].name, " is missing"));
    }
    spec->on.emplace_back(stream_of.at(k), k);
  }
  return true;
}

bool OperatorCheck::JoinColumns(const TablePlan& table, JoinSpec* spec) {
  const Schema columns = table.schema();
  if (Present("join/columns")) {
    const auto named = FindColumns(yaml_.join().columns(), columns, step_.path + "/join/columns", "table " + table.name,
                                   &diagnostics_);
    if (!named) return false;
    spec->columns = *named;
  } else {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (std::find(table.key.begin(), table.key.end(), i) == table.key.end()) spec->columns.push_back(i);
    }
  }
  for (const size_t c : spec->columns) {
    Column column = columns[c];
    column.name = yaml_.join().prefix() + column.name;
    column.nullable = column.nullable || spec->left;
    if (step_.output.Find(column.name)) {
      return Error("join", absl::StrCat("the input has a column '", column.name,
                                        "' already; use prefix, or name others in columns"));
    }
    if (!AddOutput(column, std::nullopt, "join")) return false;
  }
  return true;
}

const TablePlan* OperatorCheck::Table() const {
  const auto table = std::find_if(plan_.tables.begin(), plan_.tables.end(),
                                  [&](const TablePlan& t) { return t.name == yaml_.join().table(); });
  return table == plan_.tables.end() ? nullptr : &*table;
}

bool OperatorCheck::JoinAlone() {
  const topology::Join& yaml = yaml_.join();
  // Whatever else is wrong with the step; a table that couldn't be read has been reported.
  if (Table() == nullptr && !yaml.table().empty()) {
    std::vector<std::string> names;
    for (const TablePlan& t : plan_.tables) names.push_back(t.name);
    Error("join/table", absl::StrCat("unknown table '", yaml.table(), "'",
                                     names.empty() ? "; there is no `tables:`" : DidYouMean(yaml.table(), names)));
  }
  if (yaml.has_unmatched()) {
    CheckTopicName(yaml.unmatched().topic(), step_.path + "/join/unmatched/topic", &diagnostics_);
    if (yaml.type() == "left")
      Error("join/unmatched", "a left join keeps unmatched rows; `unmatched` goes with an inner join");
  }
  return !Broken();
}

bool OperatorCheck::Join() {
  const topology::Join& yaml = yaml_.join();
  const TablePlan* table = Table();
  if (diagnostics_.Broken("tables/" + table->name)) return false;
  SameColumns();
  JoinSpec spec;
  spec.table = table->name;
  spec.left = yaml.type() == "left";
  if (yaml.has_unmatched()) {
    spec.unmatched_topic = yaml.unmatched().topic();
    if (step_.input_mode.update)
      Error("join/unmatched", "rows of an updating step replace each other: no topic can hold them");
  }
  // What takes a row back meets the table as it is then, and not the version that the row was joined with: rows would
  // be left standing that nothing ever takes back.
  if (step_.input_mode.update && !table->topic.empty()) {
    Error("join/table", absl::StrCat("rows of an updating step (key ", ColumnNames(step_.input, step_.input_mode.key),
                                     ") can't be joined with table ", table->name,
                                     ", which changes while they stand: join before the updating step, use "
                                     "emit: on_close there, or read the table from a file"));
  }
  if (!JoinOn(*table, &spec) || !JoinColumns(*table, &spec) || Broken()) return false;
  step_.spec = std::move(spec);
  return true;
}

}  // namespace tidemark
