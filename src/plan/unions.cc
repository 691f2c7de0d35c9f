#include "src/plan/unions.h"

#include <algorithm>
#include <optional>
#include <set>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

using Inputs = std::vector<const LogicalStep*>;

bool InKey(const LogicalStep& input, size_t column) {
  return std::find(input.mode.key.begin(), input.mode.key.end(), column) != input.mode.key.end();
}

// Null: any value.
const std::set<std::string>* Values(const LogicalStep& input, size_t column) {
  return column < input.values.size() && input.values[column] ? &*input.values[column] : nullptr;
}

// It has one value for good: a row that replaces another has the same.
bool IsConstant(const LogicalStep& input, size_t column) {
  const auto* const values = Values(input, column);
  return values != nullptr && values->size() == 1;
}

std::string Key(const LogicalStep& input) { return absl::StrCat("(", ColumnNames(input.output, input.mode.key), ")"); }

bool AllUpdate(const Inputs& inputs, const std::string& path, Diagnostics* diagnostics) {
  const LogicalStep *stands = nullptr, *replaces = nullptr;
  for (const LogicalStep* input : inputs) (input->mode.update ? replaces : stands) = input;
  if (stands == nullptr) return true;
  diagnostics->Error(
      path + "/from",
      absl::StrCat("a union has inputs of one kind: rows of '", replaces->name, "' replace each other by ",
                   Key(*replaces), ", those of '", stands->name, "' stand. Make a table of '", stands->name,
                   "', by a `group_by` of its key with aggregates such as last(x), or a source with `key`",
                   OrOnClose(replaces->closes)));
  return false;
}

// The columns of any input's key, ascending. In an input whose key lacks one of them it must be a constant, or a row
// could be replaced by one of another key.
std::optional<ColumnList> KeyOfAll(const Inputs& inputs, const std::string& path, Diagnostics* diagnostics) {
  std::set<size_t> key;
  for (const LogicalStep* input : inputs) key.insert(input->mode.key.begin(), input->mode.key.end());
  for (const LogicalStep* input : inputs) {
    for (const size_t column : key) {
      if (InKey(*input, column) || IsConstant(*input, column)) continue;
      const auto other = std::find_if(inputs.begin(), inputs.end(), [&](const auto* at) { return InKey(*at, column); });
      diagnostics->Error(
          path + "/from",
          absl::StrCat("a union of steps that update their rows needs one key: rows of '", (*other)->name,
                       "' replace each other by ", Key(**other), ", those of '", input->name, "' by ", Key(*input),
                       ". Bring them to one key in front of the union, as a `group_by` of it does"));
      return std::nullopt;
    }
  }
  return ColumnList(key.begin(), key.end());
}

// No two inputs have a value of it in common, and no row is replaced by one with another value of it.
bool TellsApart(const Inputs& inputs, size_t column) {
  std::set<std::string> seen;
  return std::all_of(inputs.begin(), inputs.end(), [&](const LogicalStep* input) {
    const auto* const values = Values(*input, column);
    if (values == nullptr || !(InKey(*input, column) || IsConstant(*input, column))) return false;
    return std::all_of(values->begin(), values->end(), [&](const std::string& v) { return seen.insert(v).second; });
  });
}

// One of the key where there is one: nothing is added to it then.
std::optional<size_t> ApartBy(const Inputs& inputs, const ColumnList& key) {
  for (const size_t column : key) {
    if (TellsApart(inputs, column)) return column;
  }
  for (size_t column = 0; column < inputs[0]->output.size(); ++column) {
    if (TellsApart(inputs, column)) return column;
  }
  return std::nullopt;
}

// " (shard is 'eu' in a and in b)": a constant that was to tell inputs apart, and is the same in two of them.
std::string SharedConstant(const Inputs& inputs) {
  for (size_t column = 0; column < inputs[0]->output.size(); ++column) {
    for (size_t a = 0; a < inputs.size(); ++a) {
      for (size_t b = a + 1; b < inputs.size(); ++b) {
        if (!IsConstant(*inputs[a], column) || !IsConstant(*inputs[b], column)) continue;
        const std::string& value = *Values(*inputs[a], column)->begin();
        if (value != *Values(*inputs[b], column)->begin()) continue;
        return absl::StrCat(" (", inputs[0]->output[column].name, " is '", value, "' in ", inputs[a]->name, " and in ",
                            inputs[b]->name, ")");
      }
    }
  }
  return "";
}

// The lines to write.
std::string Marked(const Inputs& inputs) {
  std::string column = "shard";
  while (inputs[0]->output.Find(column)) column += "_name";
  std::vector<std::string> steps, names;
  for (const LogicalStep* input : inputs) {
    names.push_back(absl::StrCat("marked_", input->name));
    steps.push_back(absl::StrCat(names.back(), ": { from: ", input->name, ", project: { \"*\": true, ", column, ": \"'",
                                 input->name, "'\" } }"));
  }
  return absl::StrCat("`", absl::StrJoin(steps, "`, `"), "`, and here `from: [", absl::StrJoin(names, ", "), "]`");
}

}  // namespace

bool UniteUpdates(const Inputs& inputs, const std::string& path, Diagnostics* diagnostics, LogicalPort* port) {
  if (!AllUpdate(inputs, path, diagnostics)) return false;
  std::optional<ColumnList> key = KeyOfAll(inputs, path, diagnostics);
  if (!key) return false;
  const std::optional<size_t> apart = ApartBy(inputs, *key);
  if (!apart) {
    diagnostics->Error(
        path + "/from",
        absl::StrCat(
            "rows of the inputs replace each other by (", ColumnNames(port->schema, *key),
            "), and where two inputs have a row of one key nothing tells these apart", SharedConstant(inputs),
            ". Give each input a constant of its own, in a column that becomes part of the key: ", Marked(inputs)));
    return false;
  }
  if (std::find(key->begin(), key->end(), *apart) == key->end()) key->push_back(*apart);
  std::sort(key->begin(), key->end());
  port->mode = {true, *std::move(key)};
  port->apart = apart;
  for (size_t column = 0; column < port->values.size(); ++column) {
    std::set<std::string> all;
    const bool known = std::all_of(inputs.begin(), inputs.end(), [&](const LogicalStep* input) {
      const auto* const values = Values(*input, column);
      if (values != nullptr) all.insert(values->begin(), values->end());
      return values != nullptr;
    });
    port->values[column] = known ? KnownValues(std::move(all)) : std::nullopt;
  }
  return true;
}

}  // namespace tidemark
