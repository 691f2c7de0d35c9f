#include "src/plan/dashboards.h"

#include <algorithm>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "proto/topology.pb.h"
#include "src/base/suggest.h"
#include "src/expr/expression.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

using Show = PanelSpec::Show;

constexpr int kMostPanels = 24;  // each follows its view, and a worker has so many streams
constexpr int64_t kMostRows = 10'000;
constexpr int64_t kTableRows = 50, kBarRows = 20, kLineRows = 500;

// One panel: what it asks of its view, checked against the view's columns.
class PanelCheck {
 public:
  PanelCheck(const topology::Panel& yaml, const SinkPlan& view, std::string path, Diagnostics* diagnostics)
      : yaml_(yaml), view_(view), path_(std::move(path)), diagnostics_(*diagnostics) {}

  PanelSpec Run() {
    PanelSpec panel;
    panel.name = yaml_.name();
    panel.title = yaml_.title().empty() ? yaml_.name() : yaml_.title();
    panel.view = view_.name;
    panel.show = yaml_.show() == "bars" ? Show::kBars : yaml_.show() == "line" ? Show::kLine : Show::kTable;
    panel.show == Show::kTable ? CheckTable(&panel) : CheckChart(&panel);
    if (yaml_.has_latest() && Compared(yaml_.latest(), "latest")) panel.latest = yaml_.latest();
    CheckWhere(&panel);
    CheckOrder(&panel);
    FindTimes(&panel);
    panel.limit = yaml_.has_limit()            ? yaml_.limit()
                  : panel.show == Show::kTable ? kTableRows
                  : panel.show == Show::kBars  ? kBarRows
                                               : kLineRows;
    if (panel.limit < 1 || panel.limit > kMostRows) Error("limit", absl::StrCat("1 to ", kMostRows, " rows"));
    return panel;
  }

 private:
  void Error(std::string_view field, std::string_view message) {
    diagnostics_.Error(absl::StrCat(path_, "/", std::string(field)), message);
  }

  const Column* Find(const std::string& name, std::string_view field) {
    if (const auto at = view_.schema.Find(name)) return &view_.schema[*at];
    std::vector<std::string> names;
    for (const Column& column : view_.schema.columns()) names.push_back(column.name);
    Error(field, absl::StrCat("unknown column '", name, "' of view ", view_.name, DidYouMean(name, names)));
    return nullptr;
  }

  bool Compared(const std::string& name, std::string_view field) {
    const Column* column = Find(name, field);
    if (column == nullptr) return false;
    if (column->type.kind != Kind::kJson) return true;
    Error(field, absl::StrCat("column ", name, " is json, which has no order"));
    return false;
  }

  bool Number(const std::string& name, std::string_view field) {
    const Column* column = Find(name, field);
    if (column == nullptr) return false;
    switch (column->type.kind) {
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kDouble:
      case Kind::kDecimal:
        return true;
      default:
        break;
    }
    Error(field, absl::StrCat("a number is drawn, and column ", name, " is ", TypeName(column->type)));
    return false;
  }

  void CheckTable(PanelSpec* panel) {
    for (const char* field : {"x", "y", "by"}) {
      if (diagnostics_.Present(absl::StrCat(path_, "/", field))) {
        Error(field, "a table has no axes: say `show: bars` or `show: line`, or name its `columns`");
      }
    }
    std::set<std::string> seen;
    for (int i = 0; i < yaml_.columns_size(); ++i) {
      const std::string& name = yaml_.columns(i);
      const std::string field = absl::StrCat("columns/", i);
      if (Find(name, field) == nullptr) continue;
      if (!seen.insert(name).second) Error(field, absl::StrCat("column '", name, "' stands here twice"));
      panel->columns.push_back(name);
    }
  }

  void CheckChart(PanelSpec* panel) {
    if (!yaml_.columns().empty()) Error("columns", "a table's; a chart has `x` and `y`");
    for (const char* field : {"x", "y"}) {
      if (!diagnostics_.Present(absl::StrCat(path_, "/", field))) {
        diagnostics_.Error(path_, absl::StrCat("missing field '", field, "': show: ", yaml_.show(),
                                               " draws column `y` by column `x`"));
      }
    }
    if (yaml_.has_x() && Compared(yaml_.x(), "x")) panel->x = yaml_.x();
    if (yaml_.has_y() && Number(yaml_.y(), "y")) panel->y = yaml_.y();
    if (!yaml_.has_by()) return;
    if (panel->show != Show::kLine) return Error("by", "one line for each of its values: it goes with `show: line`");
    if (Compared(yaml_.by(), "by")) panel->by = yaml_.by();
  }

  void CheckWhere(PanelSpec* panel) {
    panel->where = yaml_.where();
    if (!yaml_.has_where()) return;
    const auto compiled = Expression::Compile(yaml_.where(), view_.schema);
    if (!compiled.ok()) {
      const std::string message(compiled.status().message());
      const auto byte = ErrorPosition(compiled.status());
      if (byte) return diagnostics_.ErrorInside(path_ + "/where", yaml_.where(), *byte, message);
      return Error("where", message);
    }
    if (compiled->type().kind != Kind::kBool) {
      Error("where", absl::StrCat("a condition is expected, and this is ", TypeName(compiled->type())));
    }
  }

  // "n", "n asc", "n desc", as questions have it.
  void CheckOrder(PanelSpec* panel) {
    for (int i = 0; i < yaml_.order_size(); ++i) {
      const std::string field = absl::StrCat("order/", i);
      const std::vector<std::string> words = absl::StrSplit(yaml_.order(i), ' ', absl::SkipEmpty());
      const std::string way = words.size() == 2 ? absl::AsciiStrToLower(words[1]) : "asc";
      if (words.empty() || words.size() > 2 || (way != "asc" && way != "desc")) {
        Error(field, "a column is expected, or one with asc or desc behind it");
      } else if (Compared(words[0], field)) {
        panel->order.push_back(absl::StrCat(words[0], " ", way));
      }
    }
  }

  void FindTimes(PanelSpec* panel) const {
    for (const Column& column : view_.schema.columns()) {
      if (column.type.kind != Kind::kTimestamp || column.type.form == TimestampForm::kRfc3339) continue;
      panel->times[column.name] = column.type.form == TimestampForm::kSeconds  ? 1
                                  : column.type.form == TimestampForm::kMillis ? 1'000
                                                                               : 1'000'000;
    }
  }

  const topology::Panel& yaml_;
  const SinkPlan& view_;
  const std::string path_;
  Diagnostics& diagnostics_;
};

// The values to choose from are found in an index, one question each, so one has to begin with the column.
void CheckChoice(const topology::Dashboard& yaml, const SinkPlan& view, const std::string& path,
                 Diagnostics* diagnostics) {
  if (!yaml.has_choose()) return;
  const auto at = view.schema.Find(yaml.choose());
  if (!at) {
    std::vector<std::string> names;
    for (const Column& column : view.schema.columns()) names.push_back(column.name);
    return diagnostics->Error(path + "/choose", absl::StrCat("view ", view.name, " has no column '", yaml.choose(), "'",
                                                             DidYouMean(yaml.choose(), names)));
  }
  const auto begins = [&](const std::vector<size_t>& index) { return !index.empty() && index[0] == *at; };
  if (begins(std::get<KafkaSinkSpec>(view.spec).key) ||
      std::any_of(view.view->indexes.begin(), view.view->indexes.end(), begins)) {
    return;
  }
  diagnostics->Error(path + "/choose", absl::StrCat("no index of view ", view.name,
                                                    " begins with it, so its values can't be listed; add [",
                                                    yaml.choose(), "] to the view's `index`"));
}

const SinkPlan* FindView(const topology::Topology& topology, const Plan& plan, const std::string& name,
                         const std::string& path, Diagnostics* diagnostics) {
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view && sink.name == name) return &sink;
  }
  std::vector<std::string> names;
  for (const topology::View& view : topology.views()) names.push_back(view.name());
  // One that is there and isn't in the plan has an error of its own.
  if (std::find(names.begin(), names.end(), name) == names.end() && !diagnostics->Lost("views")) {
    diagnostics->Error(path, absl::StrCat("unknown view '", name, "'",
                                          names.empty() ? "; `views` has none" : DidYouMean(name, names)));
  }
  return nullptr;
}

}  // namespace

std::vector<DashboardSpec> CheckDashboards(const topology::Topology& topology, const Plan& plan,
                                           Diagnostics* diagnostics) {
  std::vector<DashboardSpec> dashboards;
  for (const topology::Dashboard& yaml : topology.dashboards()) {
    const std::string path = "dashboards/" + yaml.name();
    CheckName(yaml.name(), path, "dashboard", diagnostics);
    DashboardSpec dashboard{yaml.name(), yaml.title().empty() ? yaml.name() : yaml.title(), yaml.choose(), {}};
    std::set<std::string> asked;
    for (const topology::Panel& panel : yaml.panels()) {
      const std::string at = absl::StrCat(path, "/panels/", panel.name());
      if (panel.view().empty() || diagnostics->Broken(at)) continue;
      const SinkPlan* view = FindView(topology, plan, panel.view(), at + "/view", diagnostics);
      if (view == nullptr) continue;
      if (asked.insert(view->name).second) CheckChoice(yaml, *view, path, diagnostics);
      dashboard.panels.push_back(PanelCheck(panel, *view, at, diagnostics).Run());
    }
    if (yaml.panels().empty() && diagnostics->Present(path + "/panels") && !diagnostics->Broken(path + "/panels")) {
      diagnostics->Error(path + "/panels", "at least one panel is needed");
    }
    if (yaml.panels_size() > kMostPanels) {
      diagnostics->Error(path + "/panels", absl::StrCat("a dashboard has at most ", kMostPanels, " panels"));
    }
    dashboards.push_back(std::move(dashboard));
  }
  return dashboards;
}

}  // namespace tidemark
