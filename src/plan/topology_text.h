// What is read of a topology beside its plan: for people, for `tidemark describe`, and for commands that compute the
// past anew. No result depends on it.
#pragma once

#include <string>
#include <vector>

#include "src/plan/about.h"
#include "src/plan/dashboards.h"
#include "src/plan/lake_spec.h"
#include "src/plan/lineage_spec.h"

namespace tidemark {

struct TopologyText {
  std::vector<std::string> files;  // that it was read from, the topology's own first
  std::string yaml;                // all of them as one (canonical_yaml.h), variables as they were written
  AboutParts about;
  std::vector<DashboardSpec> dashboards;
  LineageSpec lineage;
  LakeSpecs lakes;  // that sources say (`replay`): for commands that compute the past anew
};

}  // namespace tidemark
