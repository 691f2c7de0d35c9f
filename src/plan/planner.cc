#include "src/plan/planner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/plan/canonical_yaml.h"
#include "src/plan/compose.h"
#include "src/plan/dashboards.h"
#include "src/plan/diagnostics.h"
#include "src/plan/format_syntax.h"
#include "src/plan/lake_spec.h"
#include "src/plan/lineage_check.h"
#include "src/plan/logical.h"
#include "src/plan/partitioned_tables.h"
#include "src/plan/stages.h"
#include "src/plan/topic_patterns.h"
#include "src/plan/yaml_reader.h"

namespace tidemark {
namespace {

// Formats whose schemas are in a registry, where the topology has none.
void CheckRegistry(const Plan& plan, const FormatList& formats, Diagnostics* diagnostics) {
  if (!plan.registry.none()) return;
  const auto check = [&](const std::string& path, const FormatSpec& spec, FormatUse use) {
    const FormatSyntax* const format = FindFormat(formats, spec.name);
    if (format == nullptr || !format->NeedsRegistry(spec, use)) return;
    const auto options = format->options();
    const bool takes_file = std::find(options.begin(), options.end(), "schema_file") != options.end();
    diagnostics->Error(
        path + (IsKey(use) ? "/key_format" : "/format"),
        absl::StrCat("format ", spec.name,
                     " finds schemas in a registry, which `schema_registry: ", "http://HOST:PORT` names",
                     !takes_file                                                  ? ""
                     : use == FormatUse::kReadValue || use == FormatUse::kReadKey ? "; or name a schema_file"
                                                                                  : "; or say schema_id: none"));
  };
  for (const SourcePlan& source : plan.sources) {
    check("sources/" + source.declared(), source.format, FormatUse::kReadValue);
    check("sources/" + source.declared(), source.key_format, FormatUse::kReadKey);
  }
  for (const TablePlan& table : plan.tables) {
    check("tables/" + table.name, table.format, FormatUse::kReadValue);
    check("tables/" + table.name, table.key_format, FormatUse::kReadKey);
  }
  for (const SinkPlan& sink : plan.sinks) {
    const auto* const kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka == nullptr) continue;
    check("sinks/" + sink.name, kafka->format, FormatUse::kWriteValue);
    if (!kafka->key.empty()) check("sinks/" + sink.name, kafka->key_format, FormatUse::kWriteKey);
  }
}

// What is computed goes somewhere.
void CheckEnds(bool incomplete, Diagnostics* diagnostics) {
  if (incomplete) return;
  for (const char* section : {"sinks", "views"}) {
    if (diagnostics->Present(section) || diagnostics->Broken(section)) return;
  }
  diagnostics->Error("", "missing field 'sinks', or 'views'");
}

// What goes out with one commit is in memory several times over, beside what else is: packed in the task that lets it
// out, on its way to the brokers, packed and unpacked in a sink.
void CheckCommits(const Plan& plan, Diagnostics* diagnostics) {
  constexpr int64_t kTimes = 4;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind != Node::Kind::kOperator) continue;
      const std::string at = absl::StrCat("steps/", node.step, "/batch/max_bytes");
      const int64_t needs = kTimes * node.spec.kind().CommitBytes(node);
      if (needs <= plan.memory_bytes || !diagnostics->Present(at)) continue;
      diagnostics->Error(
          at, absl::StrCat("a batch of that size is held in memory ", kTimes, " times over, and `memory` is ",
                           plan.memory_bytes >> 20, " MiB: expected a memory of ", needs >> 20, " MiB or more"));
    }
  }
}

}  // namespace

absl::StatusOr<Plan> PlanFromYaml(std::string_view text, std::string_view filename, const OperatorList& operators,
                                  const FormatList& formats, const EnvLookup& env, const TopologyFiles& files,
                                  TopologyText* read, const TopicNames& topics) {
  Diagnostics diagnostics(filename, text);
  Composed composed = Compose(filename, text, files, env, &diagnostics);
  const topology::Topology topology =
      ReadTopology(*WritePartitionedTables(composed.root, env, &diagnostics), env, &diagnostics);
  CheckEnds(diagnostics.incomplete(), &diagnostics);
  if (diagnostics.incomplete()) return diagnostics.ToStatus();
  Plan plan;
  CheckSettings(topology, &diagnostics, &plan);
  plan.named_topics = NamedTopics(topology);
  std::optional<std::vector<std::string>> names;
  if (topics != nullptr && std::any_of(topology.sources().begin(), topology.sources().end(),
                                       [](const topology::Source& source) { return source.has_topics(); })) {
    TM_ASSIGN_OR_RETURN(names, topics(plan.kafka));
  }
  CheckSources(topology, formats, names ? &*names : nullptr, &diagnostics, &plan);
  CheckTables(topology, formats, &diagnostics, &plan);
  if (diagnostics.incomplete()) return diagnostics.ToStatus();
  const Logical logical = CheckSteps(topology, operators, plan, &diagnostics);
  CheckSinks(topology, formats, logical, &diagnostics, &plan);
  CheckRenames(topology, &diagnostics);
  CheckNotify(topology, &diagnostics, &plan);
  CheckRegistry(plan, formats, &diagnostics);
  std::vector<DashboardSpec> dashboards = CheckDashboards(topology, plan, &diagnostics);
  // Stages are cut only out of what is whole.
  if (diagnostics.ok()) CutStages(logical, &diagnostics, &plan);
  CheckCommits(plan, &diagnostics);
  LineageSpec lineage = CheckLineage(topology, plan, &diagnostics);
  LakeSpecs lakes = CheckReplays(topology, plan, &diagnostics);
  if (!diagnostics.ok()) return diagnostics.ToStatus();
  if (read != nullptr) {
    *read = {std::move(composed.files), CanonicalYaml(*composed.root),
             CollectAbout(topology),    std::move(dashboards),
             std::move(lineage),        std::move(lakes)};
  }
  return plan;
}

absl::StatusOr<Plan> LoadPlan(const std::string& path, const OperatorList& operators, const FormatList& formats,
                              TopologyText* read, const TopicNames& topics, const TopologyFiles& files) {
  const absl::StatusOr<std::string> text = files.Read(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": can't be read: ", std::string(text.status().message())));
  }
  return PlanFromYaml(*text, path, operators, formats, ProcessEnvironment(), files, read, topics);
}

}  // namespace tidemark
