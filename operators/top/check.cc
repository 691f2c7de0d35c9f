// The check of top.
#include <algorithm>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "operators/top/spec.h"
#include "src/base/suggest.h"
#include "src/plan/step_check.h"

namespace tidemark {
namespace {

bool CheckOrder(StepCheck& check, TopSpec* spec) {
  const topology::Top& yaml = check.yaml().top();
  const Schema& input = check.in().schema;
  std::set<size_t> used(spec->by.begin(), spec->by.end());
  for (int i = 0; i < yaml.order_size(); ++i) {
    const std::string field = absl::StrCat("top/order/", i);
    const std::string& item = yaml.order(i);
    std::string name = item, direction;
    if (const size_t space = item.find_last_of(' '); space != std::string::npos && !input.Find(item)) {
      direction = absl::AsciiStrToLower(item.substr(space + 1));
      name = std::string(absl::StripAsciiWhitespace(item.substr(0, space)));
    }
    const auto column = input.Find(name);
    if (!direction.empty() && direction != "asc" && direction != "desc") {
      check.Error(field, absl::StrCat("expected 'column', 'column asc' or 'column desc', found '", item, "'"));
    } else if (!column) {
      check.Error(field, absl::StrCat("unknown column '", name, "' of the input", DidYouMean(name, input.Names())));
    } else if (input[*column].type.kind == Kind::kJson) {
      check.Error(field, absl::StrCat("column ", name, kJsonIsNoKey));
    } else if (std::find_if(spec->order.begin(), spec->order.end(),
                            [&](const TopSpec::Order& o) { return o.column == *column; }) != spec->order.end()) {
      check.Error(field, absl::StrCat("column '", name, "' stands here twice"));
    } else {
      spec->order.push_back({*column, direction == "desc"});
      used.insert(*column);
    }
  }
  // Ties: the other columns, ascending. Those of the group are equal within it.
  for (size_t i = 0; i < input.size(); ++i) {
    if (!used.contains(i)) spec->order.push_back({i, false});
  }
  return !check.Broken();
}

bool CheckEmit(StepCheck& check, TopSpec* spec) {
  const topology::Step& yaml = check.yaml();
  const LogicalPort& input = check.in();
  if (yaml.emit() == "every_record") {
    return check.Error("emit",
                       "every_record is for aggregates: a list changes by rows that come and rows that go; use "
                       "emit: on_update");
  }
  spec->on_update = yaml.has_emit() ? yaml.emit() == "on_update" : spec->input_updates;
  if (!spec->on_update && spec->input_updates) {
    return check.Error(
        "emit", absl::StrCat("rows of the input replace each other (key ", ColumnNames(input.schema, input.mode.key),
                             "), so a list is never complete: use emit: on_update"));
  }
  if (!spec->on_update && !input.window_columns) {
    return check.Error(
        "top",
        "top needs to know when a group is complete: its input must be a windowed step (with its window_start "
        "and window_end), or the list is put out as it changes, with emit: on_update");
  }
  if (spec->on_update && !spec->input_updates && yaml.top().rank().empty()) {
    return check.Error("top",
                       "with emit: on_update rows replace each other by their place in the list: it needs a name, "
                       "as in rank: place");
  }
  return true;
}

class Top final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "top"; }
  std::vector<std::string_view> beside() const override { return {"emit"}; }

  bool CheckAlone(StepCheck& check) const override {
    if (check.Broken(field())) return false;
    const topology::Top& yaml = check.yaml().top();
    if (yaml.k() < 1 || yaml.k() > 1'000'000) check.Error("top/k", "expected 1 to 1000000");
    if (yaml.order().empty()) check.Error("top/order", "at least one column is needed");
    return !check.Broken();
  }
  bool Check(StepCheck& check) const override;
};

bool Top::Check(StepCheck& check) const {
  const topology::Top& yaml = check.yaml().top();
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  TopSpec spec;
  spec.k = yaml.k();
  const auto by = check.Find(yaml.by(), "top/by");
  if (!by) return false;
  spec.by = *by;
  spec.input_updates = input.mode.update;
  spec.input_key = input.mode.key;
  if (!CheckEmit(check, &spec)) return false;
  if (!spec.on_update) {
    for (const size_t c : {input.window_columns->first, input.window_columns->second}) {
      if (std::find(spec.by.begin(), spec.by.end(), c) == spec.by.end()) spec.by.push_back(c);
    }
  }
  if (!CheckOrder(check, &spec)) return false;
  // The group as the user named it; window columns only where there is nothing else to tell tasks apart.
  input.together = by->empty() ? spec.by : *by;
  check.SameColumns();
  spec.rank = yaml.rank();
  if (!spec.rank.empty() && !check.AddOutput({spec.rank, {.kind = Kind::kInt64}, false}, std::nullopt, "top/rank"))
    return false;
  // A rank is held by one row of its group at a time; without ranks, rows stay told apart as they were.
  step.mode.update = spec.on_update;
  step.timely = input.timely && !spec.on_update;
  step.closes = spec.on_update && !spec.input_updates && input.window_columns ? step.name : input.closes;
  if (spec.on_update && !spec.rank.empty()) {
    step.mode.key = spec.by;
    step.mode.key.push_back(step.output.size() - 1);
  }
  step.ordered = false;
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorSyntax& TopSyntax() {
  static const Top syntax;
  return syntax;
}

}  // namespace tidemark
