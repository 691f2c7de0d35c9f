// `dashboards` of a topology as the page is told of them: GET /v1/dashboards (docs/dashboards.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/plan/dashboards.h"

namespace tidemark {

std::string DashboardsAsJson(std::string_view application, const std::vector<DashboardSpec>& dashboards);

}  // namespace tidemark
