// topology.yaml to a checked Plan: the front door of this layer. Makes one tree of its files (compose.h), reads it
// (yaml_reader.h), resolves names and types (logical.h), then cuts the graph into stages (stages.h). Which operators a
// step may have, and which formats records, is handed in: all that there are is Operators() of operators/operators.h
// and PlanningFormats() of src/registry/formats.h; without a registry OwnFormats() of src/codec/formats.h.
//
// Deterministic: the same files give the same plan wherever their entries stand, except that columns keep the order
// they are written in. Offline but for columns `from_schema`, of which a format may ask the registry and wait for it.
// Any thread may call.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/plan/substitute.h"
#include "src/plan/topology_files.h"
#include "src/plan/topology_text.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h
using OperatorList = std::vector<const OperatorSyntax*>;
class FormatSyntax;  // src/plan/format_syntax.h
using FormatList = std::vector<const FormatSyntax*>;
// The names of all topics that there are now.
using TopicNames = std::function<absl::StatusOr<std::vector<std::string>>(const KafkaSettings&)>;

// InvalidArgument for anything wrong with the topology. The message lists every error on a line of its own, as
// "file:line:column: what was expected (did you mean ...)". `files`: those that it includes. `read`, where it isn't
// null: what it says beside the plan. Unavailable: a registry that has to be asked for columns is away, and nothing
// else is wrong as far as can be seen.
// `topics`, where it isn't null: tells those that there are, for sources that read all of a pattern, and is asked only
// where there are such; its error is this one's. Without it one source stands for them (topic_patterns.h).
absl::StatusOr<Plan> PlanFromYaml(std::string_view text, std::string_view filename, const OperatorList& operators,
                                  const FormatList& formats, const EnvLookup& env,
                                  const TopologyFiles& files = FilesOnDisk(), TopologyText* read = nullptr,
                                  const TopicNames& topics = nullptr);

// The same for a file, with the environment of this process.
absl::StatusOr<Plan> LoadPlan(const std::string& path, const OperatorList& operators, const FormatList& formats,
                              TopologyText* read = nullptr, const TopicNames& topics = nullptr,
                              const TopologyFiles& files = FilesOnDisk());

}  // namespace tidemark
