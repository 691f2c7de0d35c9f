#include "src/plan/planner.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <absl/strings/str_cat.h>

#include "src/plan/diagnostics.h"
#include "src/plan/logical.h"
#include "src/plan/stages.h"
#include "src/plan/yaml_reader.h"

namespace tidemark {

absl::StatusOr<Plan> PlanFromYaml(std::string_view text, std::string_view filename, const OperatorList& operators,
                                  const FormatList& formats, const EnvLookup& env) {
  Diagnostics diagnostics(filename, text);
  const topology::Topology topology = ReadTopology(text, env, &diagnostics);
  if (diagnostics.incomplete()) return diagnostics.ToStatus();
  Plan plan;
  CheckSettings(topology, &diagnostics, &plan);
  CheckSources(topology, formats, &diagnostics, &plan);
  CheckTables(topology, formats, &diagnostics, &plan);
  const Logical logical = CheckSteps(topology, operators, plan, &diagnostics);
  CheckSinks(topology, formats, logical, &diagnostics, &plan);
  // Stages are cut only out of what is whole.
  if (diagnostics.ok()) CutStages(logical, &diagnostics, &plan);
  if (!diagnostics.ok()) return diagnostics.ToStatus();
  return plan;
}

absl::StatusOr<Plan> LoadPlan(const std::string& path, const OperatorList& operators, const FormatList& formats) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return absl::InvalidArgumentError(absl::StrCat(path, ": can't be read: ", std::strerror(errno)));
  return PlanFromYaml(text.str(), path, operators, formats, ProcessEnvironment());
}

}  // namespace tidemark
