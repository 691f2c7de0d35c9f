#include "src/status/dashboards.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/json_text.h"

namespace tidemark {
namespace {

std::string_view Word(PanelSpec::Show show) {
  switch (show) {
    case PanelSpec::Show::kTable:
      return "table";
    case PanelSpec::Show::kBars:
      return "bars";
    case PanelSpec::Show::kLine:
      break;
  }
  return "line";
}

std::string Strings(const std::vector<std::string>& values) {
  return absl::StrCat(
      "[",
      absl::StrJoin(values, ",",
                    [](std::string* out, const std::string& value) { absl::StrAppend(out, JsonQuoted(value)); }),
      "]");
}

std::string Numbers(const std::map<std::string, int64_t>& values) {
  return absl::StrCat("{",
                      absl::StrJoin(values, ",",
                                    [](std::string* out, const auto& value) {
                                      absl::StrAppend(out, JsonQuoted(value.first), ":", value.second);
                                    }),
                      "}");
}

std::string PanelJson(const PanelSpec& panel) {
  return absl::StrCat("{\"name\":", JsonQuoted(panel.name), ",\"title\":", JsonQuoted(panel.title),
                      ",\"view\":", JsonQuoted(panel.view), ",\"show\":", JsonQuoted(Word(panel.show)),
                      ",\"x\":", JsonQuoted(panel.x), ",\"y\":", JsonQuoted(panel.y), ",\"by\":", JsonQuoted(panel.by),
                      ",\"columns\":", Strings(panel.columns), ",\"latest\":", JsonQuoted(panel.latest),
                      ",\"where\":", JsonQuoted(panel.where), ",\"order\":", Strings(panel.order),
                      ",\"times\":", Numbers(panel.times), ",\"limit\":", panel.limit, "}");
}

}  // namespace

std::string DashboardsAsJson(std::string_view application, const std::vector<DashboardSpec>& dashboards) {
  std::vector<std::string> told;
  for (const DashboardSpec& dashboard : dashboards) {
    std::vector<std::string> panels;
    for (const PanelSpec& panel : dashboard.panels) panels.push_back(PanelJson(panel));
    told.push_back(absl::StrCat("{\"name\":", JsonQuoted(dashboard.name), ",\"title\":", JsonQuoted(dashboard.title),
                                ",\"choose\":", JsonQuoted(dashboard.choose), ",\"panels\":[",
                                absl::StrJoin(panels, ","), "]}"));
  }
  return absl::StrCat("{\"application\":", JsonQuoted(application), ",\"dashboards\":[", absl::StrJoin(told, ","),
                      "]}\n");
}

}  // namespace tidemark
