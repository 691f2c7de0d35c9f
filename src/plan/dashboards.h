// `dashboards`: panels of views that the page of every worker shows (docs/dashboards.md). They ask what anybody may ask
// of a view, so nothing of them is in the plan: no identity knows them, and they come and go without a trace.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/plan/diagnostics.h"
#include "src/plan/plan.h"

namespace tidemark {

namespace topology {
class Topology;
}

struct PanelSpec {
  enum class Show { kTable, kBars, kLine };

  std::string name, title, view;
  Show show = Show::kTable;
  std::string x, y, by;              // columns of the view; `by` may be empty, both others of tables are
  std::vector<std::string> columns;  // of a table; empty: all
  std::string latest;                // a column: only rows that have its greatest value; empty: all
  std::string where;
  std::vector<std::string> order;  // as a question has it: "n desc"
  int64_t limit = 0;               // of rows that are asked for
  // The view's times that are told as numbers: how many of them are a second.
  std::map<std::string, int64_t> times;
};

struct DashboardSpec {
  std::string name, title;
  std::string choose;  // a column of all views of it, one of whose values is asked for; empty: none
  std::vector<PanelSpec> panels;
};

// Behind CheckSinks. Reports what a question to the view would be refused for.
std::vector<DashboardSpec> CheckDashboards(const topology::Topology& topology, const Plan& plan,
                                           Diagnostics* diagnostics);

}  // namespace tidemark
