// Which operator a step has, and all of them but joins and aggregates.
#include <algorithm>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/operator_check.h"

namespace tidemark {
namespace {

constexpr int64_t kHour = 3600 * kSecond;

}  // namespace

std::optional<std::string> OperatorCheck::Which() {
  std::vector<std::string> operators;
  for (const char* name : {"filter", "project", "dedup", "join", "window", "top", "repartition", "custom"}) {
    if (Present(name)) operators.push_back(name);
  }
  const bool all_time = !Present("window") && (Present("group_by") || Present("aggregates"));
  if (all_time) operators.push_back("group_by");
  for (const std::string field : {"group_by", "aggregates", "emit"}) {
    const bool with_top = field == "emit" && Present("top");
    if (operators.size() == 1 && !all_time && !Present("window") && !with_top && Present(field.c_str())) {
      const char* others = field == "emit" ? ", group_by or top" : " or group_by";
      Error(field, absl::StrCat("'", field, "' goes with window", others, ", not with ", operators[0]));
    }
  }
  if (operators.size() == 1) return operators[0];
  if (!operators.empty() || !Broken()) {
    Error("", operators.empty()
                  ? std::string("a step has an operator: filter, project, dedup, join, window, group_by, top, "
                                "repartition or custom")
                  : absl::StrCat("a step has one operator, this one has ", absl::StrJoin(operators, " and "),
                                 "; make them steps of their own"));
  }
  return std::nullopt;
}

bool OperatorCheck::Alone() {
  const auto which = Which();
  if (!which) return false;
  which_ = *which;
  if (which_ == "join") return JoinAlone();
  // What couldn't be read isn't accused of what it may not say.
  if (diagnostics_.Broken(absl::StrCat(step_.path, "/", which_))) return false;
  if (which_ == "dedup") return DedupAlone();
  if (which_ == "top") return TopAlone();
  if (which_ == "repartition") return RepartitionAlone();
  if (which_ == "custom") return CustomAlone();
  if (which_ == "window" || which_ == "group_by") return WindowAlone();
  return true;
}

bool OperatorCheck::Run() {
  if (which_ == "filter") return Filter();
  if (which_ == "project") return Project();
  if (which_ == "dedup") return Dedup();
  if (which_ == "join") return Join();
  if (which_ == "top") return Top();
  if (which_ == "repartition") return Repartition();
  if (which_ == "custom") return Custom();
  return Window();
}

void OperatorCheck::SameColumns() {
  step_.output = step_.input;
  step_.mode = step_.input_mode;
  step_.origin.clear();
  for (size_t i = 0; i < step_.input.size(); ++i) step_.origin.push_back(i);
}

bool OperatorCheck::NeedsAppend(std::string_view what) {
  if (!step_.input_mode.update) return true;
  return Error("from", absl::StrCat(std::string(what),
                                    " over an updating step isn't implemented: rows of its input replace each "
                                    "other (key ",
                                    ColumnNames(step_.input, step_.input_mode.key),
                                    "): put it before the updating step", OrOnClose(step_.input_closes)));
}

bool OperatorCheck::AddOutput(const Column& column, std::optional<size_t> origin, const std::string& field) {
  if (column.name.empty() || column.name.substr(0, 2) == "__") {
    return Error(field, absl::StrCat("column '", column.name, "': names are not empty and don't start with __"));
  }
  if (step_.output.Find(column.name)) {
    return Error(field, absl::StrCat("column '", column.name, "' is there twice; give one of them another name"));
  }
  step_.output.Add(column);
  step_.origin.push_back(origin);
  return true;
}

bool OperatorCheck::Filter() {
  SameColumns();
  step_.spec = FilterSpec{yaml_.filter()};
  const auto expression = Compile<Expression>(yaml_.filter(), "filter");
  if (!expression) return false;
  step_.may_fail = expression->fallible();
  if (expression->type().kind != Kind::kBool) {
    return Error("filter", absl::StrCat("expected a condition (bool), this is ", TypeName(expression->type())));
  }
  return true;
}

bool OperatorCheck::Project() {
  ProjectSpec spec;
  std::set<std::string> named;
  for (const topology::Entry& item : yaml_.project()) named.insert(item.name());
  for (const topology::Entry& item : yaml_.project()) {
    const std::string field = "project/" + item.name();
    if (item.name() == "*") {
      if (item.value() != "true") {
        Error(field, absl::StrCat("\"*\": true keeps all columns; found '", item.value(), "'"));
        continue;
      }
      for (size_t i = 0; i < step_.input.size(); ++i) {
        if (named.contains(step_.input[i].name)) continue;
        AddOutput(step_.input[i], i, field);
        spec.items.push_back({step_.input[i].name, QuoteIdentifier(step_.input[i].name)});
      }
      continue;
    }
    const auto expression = Compile<Expression>(item.value(), field);
    if (!expression) continue;
    step_.may_fail = step_.may_fail || expression->fallible();
    AddOutput({item.name(), expression->type(), expression->nullable()}, expression->AsColumn(), field);
    spec.items.push_back({item.name(), item.value()});
  }
  if (spec.items.empty() && !Broken()) Error("project", "at least one column is needed");
  if (Broken()) return false;
  const auto output_of = [&](size_t input) -> std::optional<size_t> {
    const auto it = std::find(step_.origin.begin(), step_.origin.end(), std::optional<size_t>(input));
    if (it == step_.origin.end()) return std::nullopt;
    return static_cast<size_t>(it - step_.origin.begin());
  };
  step_.mode.update = step_.input_mode.update;
  for (const size_t key : step_.input_mode.key) {
    const auto column = output_of(key);
    if (!column) {
      return Error("project", absl::StrCat("rows of the input replace each other by (",
                                           ColumnNames(step_.input, step_.input_mode.key), "): keep column ",
                                           step_.input[key].name));
    }
    step_.mode.key.push_back(*column);
  }
  if (step_.window_columns) {
    const auto start = output_of(step_.window_columns->first), end = output_of(step_.window_columns->second);
    step_.window_columns.reset();
    if (start && end) step_.window_columns.emplace(*start, *end);
  }
  step_.spec = std::move(spec);
  return true;
}

bool OperatorCheck::DedupAlone() {
  if (yaml_.dedup().by().empty()) Error("dedup/by", "at least one column is needed");
  if (yaml_.dedup().within() <= 0) Error("dedup/within", "within must be longer than nothing");
  return !Broken();
}

bool OperatorCheck::Dedup() {
  SameColumns();
  const topology::Dedup& yaml = yaml_.dedup();
  DedupSpec spec;
  const auto by = FindColumns(yaml.by(), step_.input, step_.path + "/dedup/by", "the input", &diagnostics_);
  if (by) spec.by = *by;
  spec.within_us = yaml.within();
  spec.grace_us = yaml.has_grace() ? yaml.grace() : std::min(spec.within_us, kHour);
  spec.keep_last = yaml.keep() == "last";
  if (spec.keep_last && !step_.ordered) {
    Error("dedup/keep", "keep: last follows the order of source rows, which results of windows and tops don't have");
  }
  if (!NeedsAppend("dedup") || Broken()) return false;
  step_.needs = step_.needs.With(Hidden::kWatermark);
  if (spec.keep_last) {
    step_.needs = step_.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  }
  step_.together = spec.by;
  step_.spec = std::move(spec);
  return true;
}

bool OperatorCheck::TopOrder(TopSpec* spec) {
  std::set<size_t> used(spec->by.begin(), spec->by.end());
  for (int i = 0; i < yaml_.top().order_size(); ++i) {
    const std::string field = absl::StrCat("top/order/", i);
    const std::string& item = yaml_.top().order(i);
    std::string name = item, direction;
    if (const size_t space = item.find_last_of(' '); space != std::string::npos && !step_.input.Find(item)) {
      direction = absl::AsciiStrToLower(item.substr(space + 1));
      name = std::string(absl::StripAsciiWhitespace(item.substr(0, space)));
    }
    const auto column = step_.input.Find(name);
    if (!direction.empty() && direction != "asc" && direction != "desc") {
      Error(field, absl::StrCat("expected 'column', 'column asc' or 'column desc', found '", item, "'"));
    } else if (!column) {
      Error(field, absl::StrCat("unknown column '", name, "' of the input", DidYouMean(name, step_.input.Names())));
    } else if (std::find_if(spec->order.begin(), spec->order.end(),
                            [&](const TopSpec::Order& o) { return o.column == *column; }) != spec->order.end()) {
      Error(field, absl::StrCat("column '", name, "' stands here twice"));
    } else {
      spec->order.push_back({*column, direction == "desc"});
      used.insert(*column);
    }
  }
  // Ties: the other columns, ascending. Those of the group are equal within it.
  for (size_t i = 0; i < step_.input.size(); ++i) {
    if (!used.contains(i)) spec->order.push_back({i, false});
  }
  return !Broken();
}

bool OperatorCheck::TopAlone() {
  if (yaml_.top().k() < 1 || yaml_.top().k() > 1'000'000) Error("top/k", "expected 1 to 1000000");
  if (yaml_.top().order().empty()) Error("top/order", "at least one column is needed");
  return !Broken();
}

bool OperatorCheck::TopEmit(TopSpec* spec) {
  spec->on_update = yaml_.has_emit() ? yaml_.emit() == "on_update" : spec->input_updates;
  if (!spec->on_update && spec->input_updates) {
    return Error("emit", absl::StrCat("rows of the input replace each other (key ",
                                      ColumnNames(step_.input, step_.input_mode.key),
                                      "), so a list is never complete: use emit: on_update"));
  }
  if (!spec->on_update && !step_.window_columns) {
    return Error("top",
                 "top needs to know when a group is complete: its input must be a windowed step (with its window_start "
                 "and window_end), or the list is put out as it changes, with emit: on_update");
  }
  if (spec->on_update && !spec->input_updates && yaml_.top().rank().empty()) {
    return Error("top",
                 "with emit: on_update rows replace each other by their place in the list: it needs a name, "
                 "as in rank: place");
  }
  return true;
}

bool OperatorCheck::Top() {
  TopSpec spec;
  spec.k = yaml_.top().k();
  const auto by = FindColumns(yaml_.top().by(), step_.input, step_.path + "/top/by", "the input", &diagnostics_);
  if (!by) return false;
  spec.by = *by;
  spec.input_updates = step_.input_mode.update;
  spec.input_key = step_.input_mode.key;
  if (!TopEmit(&spec)) return false;
  if (!spec.on_update) {
    for (const size_t c : {step_.window_columns->first, step_.window_columns->second}) {
      if (std::find(spec.by.begin(), spec.by.end(), c) == spec.by.end()) spec.by.push_back(c);
    }
  }
  if (!TopOrder(&spec)) return false;
  // The group as the user named it; window columns only where there is nothing else to tell tasks apart.
  step_.together = by->empty() ? spec.by : *by;
  SameColumns();
  spec.rank = yaml_.top().rank();
  if (!spec.rank.empty() && !AddOutput({spec.rank, {.kind = Kind::kInt64}, false}, std::nullopt, "top/rank"))
    return false;
  // A rank is held by one row of its group at a time; without ranks, rows stay told apart as they were.
  step_.mode.update = spec.on_update;
  step_.closes = spec.on_update && !spec.input_updates && step_.window_columns ? step_.name : step_.input_closes;
  if (spec.on_update && !spec.rank.empty()) {
    step_.mode.key = spec.by;
    step_.mode.key.push_back(step_.output.size() - 1);
  }
  step_.ordered = false;
  step_.spec = std::move(spec);
  return true;
}

bool OperatorCheck::RepartitionAlone() {
  if (yaml_.repartition().by().empty()) Error("repartition/by", "at least one column is needed");
  if (yaml_.repartition().partitions() < 0 || yaml_.repartition().partitions() > 100'000) {
    Error("repartition/partitions", "expected 1 or more, or 0 for as many as the largest input has");
  }
  return !Broken();
}

bool OperatorCheck::Repartition() {
  SameColumns();
  const auto by =
      FindColumns(yaml_.repartition().by(), step_.input, step_.path + "/repartition/by", "the input", &diagnostics_);
  if (!by) return false;
  step_.partitions = yaml_.repartition().partitions();
  for (const size_t c : *by) {
    if (!step_.input_mode.update) break;
    if (std::find(step_.input_mode.key.begin(), step_.input_mode.key.end(), c) != step_.input_mode.key.end()) continue;
    return Error("repartition/by",
                 absl::StrCat("rows of the input replace each other by (",
                              ColumnNames(step_.input, step_.input_mode.key), "), which ", step_.input[c].name,
                              " isn't part of: a row could change its partition. "
                              "Repartition before the updating step"));
  }
  step_.repartition = *by;
  step_.spec = PassSpec{};
  return true;
}

bool CheckOperator(const topology::Step& yaml, const Plan& plan, bool input, Diagnostics* diagnostics,
                   LogicalStep* step) {
  OperatorCheck check(yaml, plan, diagnostics, step);
  return check.Alone() && input && check.Run();
}

}  // namespace tidemark
